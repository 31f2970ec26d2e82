//! What each of several processes has taken of a device that they share.
//!
//! A file of 16-byte entries, a process id and its bytes, one line of [`PLACES`] entries for each device.
//! It is locked while it is looked at; the entry of a process that has ended counts for nothing.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Processes that can share a device at a time.
const PLACES: usize = 64;
const ENTRY: usize = 16;

/// The entries of one device.
pub struct Ledger {
    file: File,
    start: u64,
}

impl Ledger {
    /// The entries of device `ordinal` in the file at `path`.
    pub fn open(path: &Path, ordinal: usize) -> Self {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.unwrap_or_else(|error| refuse(path, &error));
        Self { file, start: (ordinal * PLACES * ENTRY) as u64 }
    }

    /// Bytes that other processes have taken.
    pub fn others(&self) -> u64 {
        let _locked = self.lock();
        self.read().iter().filter(|entry| entry.is_anothers()).map(|entry| entry.bytes).sum()
    }

    /// This process has taken `bytes` in all, if `may` says so of what others have. Whether it does.
    pub fn enter_if(&self, bytes: u64, may: impl FnOnce(u64) -> bool) -> bool {
        let _locked = self.lock();
        let entries = self.read();
        let others = entries.iter().filter(|entry| entry.is_anothers());
        if !may(others.map(|entry| entry.bytes).sum()) {
            return false;
        }
        let own = entries.iter().position(|entry| entry.process == own_process());
        let place = own.or_else(|| entries.iter().position(|entry| !entry.is_anothers()));
        let Some(place) = place else { return false };
        let mut text = [0; ENTRY];
        text[..8].copy_from_slice(&(own_process() as u64).to_ne_bytes());
        text[8..].copy_from_slice(&bytes.to_ne_bytes());
        self.file.write_all_at(&text, self.start + (place * ENTRY) as u64).is_ok()
    }

    fn read(&self) -> Vec<Entry> {
        let mut text = [0; PLACES * ENTRY];
        // What was never written reads as nothing.
        let mut length = 0;
        while let Ok(more @ 1..) =
            self.file.read_at(&mut text[length..], self.start + length as u64)
        {
            length += more;
        }
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        let entry =
            |entry: &[u8]| Entry { process: word(&entry[..8]) as i32, bytes: word(&entry[8..]) };
        text.chunks_exact(ENTRY).map(entry).collect()
    }

    fn lock(&self) -> Locked<'_> {
        // SAFETY: the descriptor is open as long as `self` lives.
        unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_EX) };
        Locked(&self.file)
    }
}

/// What one process has taken.
struct Entry {
    process: i32,
    bytes: u64,
}

impl Entry {
    /// Whether it is of a process that runs and is not this one.
    fn is_anothers(&self) -> bool {
        self.process > 0 && self.process != own_process() && runs(self.process)
    }
}

/// The file is locked while this lives.
struct Locked<'a>(&'a File);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: as for locking.
        unsafe { libc::flock(self.0.as_raw_fd(), libc::LOCK_UN) };
    }
}

fn own_process() -> i32 {
    std::process::id() as i32
}

/// Whether a process exists and is no zombie.
fn runs(process: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn refuse(path: &Path, error: &std::io::Error) -> ! {
    eprintln!("simcuda: SIMCUDA_SHARED: {}: {error}", path.display());
    std::process::abort();
}
