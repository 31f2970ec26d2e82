//! Asking a process for something through its page.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::thread::futex;

use super::clock;
use super::map::{Map, REASON};
use super::page::Urgency;
use super::reader::{Fault, open_private, read};

/// The page of a process, to ask it for something.
pub struct Control {
    map: Map,
}

impl Control {
    /// The page at `path`, which is checked as by [`read`].
    ///
    /// # Errors
    /// Those of [`read`], and where the file cannot be mapped.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        read(path)?;
        let file = open_private(path, OFlags::RDWR)?;
        let map = Map::new(&file).map_err(|error| Fault::system(path, error))?;
        Ok(Self { map })
    }

    /// Whether a worker waits for what is asked here. If not, only the signal is left.
    pub fn is_heard(&self) -> bool {
        self.map.listening.load(Ordering::Acquire) == 1
    }

    /// Somebody watches for the next while.
    pub fn watch(&self, during: Duration) {
        let during = u64::try_from(during.as_nanos()).unwrap_or(u64::MAX);
        let until = clock().saturating_add(during);
        if self.map.watched.fetch_max(until, Ordering::Relaxed) < clock() {
            self.wake();
        }
    }

    /// Asks for a flush of the `devices`, a bit for each ordinal. It is done once
    /// [`Figures::served`](super::Figures::served) is the number that this gives, or more.
    pub fn flush(&self, devices: u64) -> u64 {
        self.flush_as(devices, Urgency::Asked)
    }

    /// The same, as urgently as `urgency` says.
    pub fn flush_as(&self, devices: u64, urgency: Urgency) -> u64 {
        match urgency {
            Urgency::Asked => {}
            Urgency::Forced => drop(self.map.forced.fetch_or(devices, Ordering::AcqRel)),
            Urgency::Neighbour => drop(self.map.neighbours.fetch_or(devices, Ordering::AcqRel)),
        }
        self.map.wanted.fetch_or(devices, Ordering::AcqRel);
        let number = self.map.requests.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        self.wake();
        number
    }

    /// Asks for a memory snapshot. It is written once [`snapshot_done`](Self::snapshot_done) tells so
    /// of the number that this gives.
    pub fn snapshot(&self) -> u64 {
        let number = self.map.snapshots.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
        self.wake();
        number
    }

    /// Whether the memory snapshot of that number is written, to the file beside the page; or the
    /// error's number.
    pub fn snapshot_done(&self, number: u64) -> Option<Result<(), u64>> {
        if self.map.snapshots_done.load(Ordering::Acquire) < number {
            return None;
        }
        Some(match self.map.snapshot_errno.load(Ordering::Relaxed) {
            0 => Ok(()),
            errno => Err(errno),
        })
    }

    fn wake(&self) {
        self.map.wake.fetch_add(REASON, Ordering::Release);
        // Not private: the one who waits is another process.
        let _ = futex::wake(&self.map.wake, futex::Flags::empty(), i32::MAX as u32);
    }
}
