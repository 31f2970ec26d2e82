//! A page from the side of its process.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use rustix::io::Errno;

use super::cursor::{Pen, WORD};
use super::figures::Figures;
use super::map::{MAGIC, Map, PROCESS, SIZE, Shared, VERSION};
use super::process::Process;
use super::{clock, list};
use crate::files::{FileError, Target};
use crate::report::ProcessFacts;

/// The page of the calling process.
pub struct Page {
    shared: &'static Shared,
    path: PathBuf,
    target: Target,
    facts: ProcessFacts,
    published: u64,
    /// Requests that were given out by [`Page::asked`].
    taken: u64,
    /// Memory snapshots that were asked for and written, or not.
    snapshots: u64,
    snapshot: Target,
}

/// A flush that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Goes into [`Figures::served`] when it is done.
    pub number: u64,
    /// On which devices, a bit for each ordinal.
    pub devices: u64,
    /// Of several that were asked for at once, the most urgent one's.
    pub urgency: Urgency,
}

/// How urgently a flush is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// The options `flush_threshold` and `flush_interval` hold.
    Asked,
    /// They do not.
    Forced,
    /// Nor here: another process has no memory.
    Neighbour,
}

impl Asked {
    /// All devices.
    pub const ALL: u64 = u64::MAX;
}

impl Page {
    /// Where the page of the calling process goes. Reads the environment, so it should be called
    /// before the program has threads that change it.
    pub fn place(process: &Process) -> Target {
        Target::in_default_directory(list::file_name(process.pid, process.start_ticks))
    }

    /// Makes the page of `process` at `target`. It stays mapped as long as the process lives, and is
    /// kept by the calling thread, which lives as long.
    ///
    /// # Errors
    /// Those of the directory, and of a full disk: every byte of the file is written before it is
    /// mapped, so that no later write can lack its block.
    pub fn make(
        target: Target,
        facts: ProcessFacts,
        mut process: Process,
    ) -> Result<Self, FileError> {
        process.worker = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
        let (path, file) = target.make(&blank(&mut process), &facts)?;
        let failed = |error: std::io::Error| {
            FileError::system(&path)(Errno::from_io_error(&error).unwrap_or(Errno::IO))
        };
        let shared = Map::new(&file).map_err(failed)?.leak();
        let snapshot = target.beside(list::snapshot_name(process.pid, process.start_ticks));
        Ok(Self { shared, path, target, facts, published: 0, taken: 0, snapshots: 0, snapshot })
    }

    /// Where it is.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The futex that others wake to be looked at; it is another value then.
    pub fn wake(&self) -> &'static AtomicU32 {
        &self.shared.wake
    }

    /// A worker waits for [`Page::wake`] from now on, or no longer.
    pub fn listen(&self, listening: bool) {
        self.shared.listening.store(u32::from(listening), Ordering::Release);
    }

    /// A flush that was asked for since the last one of these.
    pub fn asked(&mut self) -> Option<Asked> {
        let number = self.shared.requests.load(Ordering::Acquire);
        if number == self.taken {
            return None;
        }
        self.taken = number;
        let devices = self.shared.wanted.swap(0, Ordering::AcqRel);
        let forced = self.shared.forced.swap(0, Ordering::AcqRel) != 0;
        let urgency = match self.shared.neighbours.swap(0, Ordering::AcqRel) {
            0 if forced => Urgency::Forced,
            0 => Urgency::Asked,
            _ => Urgency::Neighbour,
        };
        Some(Asked { number, devices, urgency })
    }

    /// Writes the memory snapshot that was asked for since the last one of these, if any: the text
    /// that `text` gives, beside the page. True if there was a request.
    pub fn serve_snapshot(&mut self, text: impl FnOnce(&ProcessFacts) -> String) -> bool {
        let number = self.shared.snapshots.load(Ordering::Acquire);
        if number == self.snapshots {
            return false;
        }
        self.snapshots = number;
        let text = text(&self.facts);
        let errno = match self.snapshot.replace(text.as_bytes(), &self.facts, 0) {
            Ok(_) => 0,
            Err(error) => error.errno().unwrap_or(Errno::IO.raw_os_error()),
        };
        self.shared.snapshot_errno.store(errno.unsigned_abs().into(), Ordering::Relaxed);
        self.shared.snapshots_done.store(number, Ordering::Release);
        true
    }

    /// Whether somebody watches now.
    pub fn is_watched(&self) -> bool {
        self.shared.watched.load(Ordering::Relaxed) > clock()
    }

    /// Tells `figures`.
    pub fn publish(&mut self, figures: &mut Figures) {
        let number = self.published + 1;
        let half: &[AtomicU64] = &self.shared.figures[(number % 2) as usize];
        // A reader who sees one of the words below sees that the half's last publication has a
        // successor: the stores come after that of `published`.
        fence(Ordering::Release);
        figures.walk(&mut Pen::new(half));
        self.shared.published.store(number, Ordering::Release);
        self.published = number;
    }

    /// The process ends: nobody is to find the page any more.
    pub fn remove(&self) {
        self.listen(false);
        self.target.remove(&self.facts);
    }
}

/// The page of `process` without any figures, as it is before anybody can see it.
fn blank(process: &mut Process) -> Vec<u8> {
    let mut words: Vec<AtomicU64> = (0..SIZE / WORD).map(|_| AtomicU64::new(0)).collect();
    let header = [(0, MAGIC), (1, VERSION), (2, SIZE as u64)];
    header.into_iter().for_each(|(at, word)| *words[at].get_mut() = word);
    process.walk(&mut Pen::new(&words[PROCESS..PROCESS + Process::WORDS]));
    words.into_iter().flat_map(|word| word.into_inner().to_ne_bytes()).collect()
}
