//! Writing a trace while the program runs.
//!
//! The calls of the program only note what they did, under a lock that is never held across anything
//! slow. Whoever calls [`Recorder::flush`] turns what was noted into text and writes it; a call of
//! the program does so only when that has not been done for many thousand calls. Nothing is held
//! open in between: see [`crate::files`]. With gzip, each piece that is written is a member of its
//! own, so that what has been written can be read whatever becomes of the program.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use parking_lot::{Mutex, MutexGuard};

use super::{Action, Event};
use crate::driver::DevicePtr;
use crate::files::{FileError, Target};
use crate::report::ProcessFacts;

/// Calls that are noted before one of them writes.
const PIECE: usize = if cfg!(miri) { 64 } else { 1 << 16 };
/// Calls that are noted while another thread writes: some 40 MB.
const MOST: usize = 16 * PIECE;

/// Why a recording ended before the program did. Displays as one line with cause and cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The file could not be written.
    File(FileError),
    /// The program was faster than the file.
    TooSlow,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::TooSlow => {
                write!(f, "the file system is slower than the program; record to a local one")
            }
        }
    }
}

impl std::error::Error for RecordError {}

/// What was noted and not yet written.
#[derive(Default)]
struct Notes {
    events: Vec<Event>,
    /// The id of each block in the program's hands, by its address.
    live: HashMap<u64, u64>,
    next_id: u64,
}

/// What is known of the file; locked by whoever writes.
#[derive(Default)]
struct Written {
    /// Made by this recorder.
    begun: bool,
}

/// Records what a program allocates and frees. Never disturbs it: after a failure nothing is
/// recorded any more, and [`flush`](Self::flush) tells why, once.
pub struct Recorder {
    target: Target,
    process: ProcessFacts,
    started: Instant,
    recording: AtomicBool,
    problem: Mutex<Option<RecordError>>,
    notes: Mutex<Notes>,
    file: Mutex<Written>,
}

thread_local! {
    /// What a trace calls the thread; 0 until it has a number, from which 1 is to be taken.
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

impl Recorder {
    /// Records to the file at `path`, which may contain the patterns of [`crate::files`], must not
    /// exist yet, and is compressed if its name ends in `.gz`. It is made when there is something to
    /// write. A relative path starts from the current directory of this moment.
    pub fn new(path: &str, process: ProcessFacts) -> Self {
        Self {
            target: Target::trace(path),
            process,
            started: Instant::now(),
            recording: AtomicBool::new(true),
            problem: Mutex::default(),
            notes: Mutex::default(),
            file: Mutex::default(),
        }
    }

    /// The program got `bytes` at `ptr`. To be called before the program can free it.
    pub fn allocated(&self, ptr: DevicePtr, bytes: u64) {
        let Some(mut notes) = self.notes() else { return };
        // Whatever stood there is no more, if nobody said so.
        if let Some(id) = notes.live.remove(&ptr.0) {
            self.note(&mut notes, Action::Free { id });
        }
        let id = notes.next_id;
        notes.next_id += 1;
        notes.live.insert(ptr.0, id);
        self.note(&mut notes, Action::Allocate { id, bytes });
        self.relieve(notes);
    }

    /// The program frees the block at `ptr`. To be called before another thread can get it.
    pub fn freed(&self, ptr: DevicePtr) {
        let Some(mut notes) = self.notes() else { return };
        if let Some(id) = notes.live.remove(&ptr.0) {
            self.note(&mut notes, Action::Free { id });
        }
        self.relieve(notes);
    }

    fn notes(&self) -> Option<MutexGuard<'_, Notes>> {
        self.recording.load(Ordering::Relaxed).then(|| self.notes.lock())
    }

    fn note(&self, notes: &mut Notes, action: Action) {
        // Under the lock, so that time never runs backwards in the file.
        let micros = self.started.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        notes.events.push(Event { action, thread: thread_number(), micros });
    }

    /// Writes if there is much to write and nobody else does.
    fn relieve(&self, notes: MutexGuard<'_, Notes>) {
        let noted = notes.events.len();
        drop(notes);
        if noted < PIECE {
            return;
        }
        if let Some(file) = self.file.try_lock() {
            self.write(file);
        } else if noted >= MOST {
            self.stop(RecordError::TooSlow);
        }
    }

    /// Writes what was noted so far.
    ///
    /// # Errors
    /// Why nothing is recorded any more, the first time after it happened.
    pub fn flush(&self) -> Result<(), RecordError> {
        self.write(self.file.lock());
        match self.problem.lock().take() {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    fn write(&self, mut file: MutexGuard<'_, Written>) {
        // With the file locked, so that pieces come in the order in which they were noted.
        let events = std::mem::take(&mut self.notes.lock().events);
        if events.is_empty() || !self.recording.load(Ordering::Relaxed) {
            return;
        }
        let piece = self.piece(&events);
        match self.target.extend(&piece, &self.process, !file.begun) {
            Ok(()) => file.begun = true,
            Err(error) => self.stop(RecordError::File(error)),
        }
    }

    fn piece(&self, events: &[Event]) -> Vec<u8> {
        let mut text = String::with_capacity(events.len() * 24);
        for event in events {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{event}");
        }
        if !self.target.is_gzip() {
            return text.into_bytes();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Nor can writing to a vector.
        let _ = encoder.write_all(text.as_bytes());
        encoder.finish().unwrap_or_default()
    }

    fn stop(&self, why: RecordError) {
        if self.recording.swap(false, Ordering::Relaxed) {
            *self.problem.lock() = Some(why);
            *self.notes.lock() = Notes::default();
        }
    }
}

fn thread_number() -> u32 {
    static THREADS: AtomicU32 = AtomicU32::new(0);
    if THREAD.get() == 0 {
        THREAD.set(THREADS.fetch_add(1, Ordering::Relaxed).wrapping_add(1));
    }
    THREAD.get().wrapping_sub(1)
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::path::{Path, PathBuf};
    use std::thread;

    use super::*;
    use crate::trace::Trace;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let name = format!("cupool-trace-{test}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).expect("a new directory");
            Self(path)
        }

        fn recorder(&self, name: &str) -> Recorder {
            let path = self.0.join(name);
            Recorder::new(path.to_str().expect("UTF-8"), ProcessFacts::of_this_process())
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn actions(path: &Path) -> Vec<Action> {
        let trace = Trace::read(path).expect("readable");
        trace.events.iter().map(|event| event.action).collect()
    }

    #[test]
    fn what_is_recorded_can_be_read() {
        let scratch = Scratch::new("read");
        let expected = [
            Action::Allocate { id: 0, bytes: 7 },
            Action::Allocate { id: 1, bytes: 8 },
            Action::Free { id: 0 },
            Action::Allocate { id: 2, bytes: 9 },
        ];
        for name in ["plain.trace", "packed.trace.gz"] {
            let recorder = scratch.recorder(name);
            recorder.allocated(DevicePtr(512), 7);
            recorder.allocated(DevicePtr(1024), 8);
            assert_eq!(recorder.flush(), Ok(()));
            recorder.freed(DevicePtr(512));
            recorder.freed(DevicePtr(4096));
            recorder.allocated(DevicePtr(512), 9);
            assert_eq!(recorder.flush(), Ok(()));
            assert_eq!(recorder.flush(), Ok(()), "nothing to write is no failure");
            assert_eq!(actions(&scratch.0.join(name)), expected, "{name}");
        }
        let start = std::fs::read(scratch.0.join("packed.trace.gz")).expect("written");
        assert_eq!(start[..2], [0x1f, 0x8b], "compressed");
    }

    #[test]
    fn a_block_that_vanished_is_freed_when_its_place_is_taken() {
        let scratch = Scratch::new("vanished");
        let recorder = scratch.recorder("x");
        recorder.allocated(DevicePtr(512), 1);
        recorder.allocated(DevicePtr(512), 2);
        recorder.flush().expect("written");
        let expected = [
            Action::Allocate { id: 0, bytes: 1 },
            Action::Free { id: 0 },
            Action::Allocate { id: 1, bytes: 2 },
        ];
        assert_eq!(actions(&scratch.0.join("x")), expected);
    }

    #[test]
    fn a_file_that_exists_is_left_alone() {
        let scratch = Scratch::new("exists");
        std::fs::write(scratch.0.join("x"), "precious").expect("written");
        let recorder = scratch.recorder("x");
        recorder.allocated(DevicePtr(512), 1);
        let error = recorder.flush().expect_err("it exists").to_string();
        assert!(error.contains("exists") && error.contains("; "), "{error}");
        recorder.allocated(DevicePtr(1024), 1);
        assert_eq!(recorder.flush(), Ok(()), "told once");
        let contents = std::fs::read(scratch.0.join("x")).expect("there");
        assert_eq!(contents, b"precious");
    }

    #[test]
    fn threads_are_told_apart_and_much_is_written_unasked() {
        let scratch = Scratch::new("threads");
        let recorder = scratch.recorder("x.gz");
        let pairs = PIECE as u64;
        thread::scope(|scope| {
            for thread in 0..2 {
                let recorder = &recorder;
                scope.spawn(move || {
                    let ptr = DevicePtr(512 * (thread + 1));
                    for _ in 0..pairs {
                        recorder.allocated(ptr, 1);
                        recorder.freed(ptr);
                    }
                });
            }
        });
        assert!(scratch.0.join("x.gz").exists(), "written by those who noted");
        recorder.flush().expect("written");
        let trace = Trace::read(&scratch.0.join("x.gz")).expect("readable");
        assert_eq!(trace.allocations, 2 * pairs);
        assert_eq!(trace.events.len() as u64, 4 * pairs);
        assert!(trace.events.is_sorted_by_key(|event| event.micros));
        let other = trace.events.iter().find(|event| event.thread != trace.events[0].thread);
        assert!(other.is_some(), "two threads");
    }
}
