//! Noting what the program does, if it is to be recorded.

use super::Pools;
use crate::backing::Token;
use crate::config::TraceFile;
use crate::driver::{Device, DevicePtr, Driver};
use crate::history::{Action, History};
use crate::pool::Pool;
use crate::ptrmap::Entry;
use crate::report::ProcessFacts;
use crate::trace::{RecordError, Recorder};

/// In an event that concerns all devices.
pub const EVERY_DEVICE: i32 = -1;

/// The recorder that an option asks for.
pub(super) fn recorder(choice: &TraceFile) -> Option<Recorder> {
    match choice {
        TraceFile::Off => None,
        TraceFile::At(path) => Some(Recorder::new(path, ProcessFacts::of_this_process())),
    }
}

impl<D: Driver> Pools<D> {
    /// The program gets `bytes` at `ptr`.
    pub(super) fn note_allocated(&self, pool: &Pool<D>, ptr: DevicePtr, bytes: u64) {
        if let Some(recorder) = &self.recorder {
            recorder.allocated(ptr, bytes);
        }
        if let Some(history) = &self.history {
            history.note(Action::Allocate, pool.device.0, ptr.0, bytes);
        }
    }

    /// The program frees the block at `ptr`, which nobody else can get before this returns.
    pub(super) fn note_freed(&self, ptr: DevicePtr, entry: Entry) {
        if let Some(recorder) = &self.recorder {
            recorder.freed(ptr);
        }
        if let Some(history) = &self.history {
            self.remember_freed(history, ptr, entry);
        }
    }

    #[cold]
    fn remember_freed(&self, history: &History, ptr: DevicePtr, entry: Entry) {
        if let Some(pool) = self.table.of_number(entry.pool()) {
            let bytes = pool.requested(Token(entry.token()));
            history.note(Action::Free, pool.device.0, ptr.0, bytes);
        }
    }

    /// An allocation of `bytes` has failed for lack of memory.
    pub(super) fn note_out_of_memory(&self, pool: &Pool<D>, bytes: u64) {
        if let Some(history) = &self.history {
            history.note(Action::OutOfMemory, pool.device.0, 0, bytes);
        }
        self.snapshot_out_of_memory();
    }

    /// A flush of one device or all has given `bytes` back.
    pub(super) fn note_flushed(&self, only: Option<Device>, bytes: u64) {
        if let Some(history) = &self.history {
            let device = only.map_or(EVERY_DEVICE, |device| device.0);
            history.note(Action::Flush, device, 0, bytes);
        }
    }

    /// The last events, if they are remembered.
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// Whether there is a trace to [flush](Self::flush_trace).
    pub fn records(&self) -> bool {
        self.recorder.is_some()
    }

    /// Writes what the program did since the last time to its trace, if there is one.
    ///
    /// # Errors
    /// Why nothing is recorded any more, the first time after it happened.
    pub fn flush_trace(&self) -> Result<(), RecordError> {
        self.recorder.as_ref().map_or(Ok(()), Recorder::flush)
    }
}
