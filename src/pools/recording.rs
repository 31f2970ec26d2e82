//! Noting what the program does, if it is to be recorded.

use super::Pools;
use crate::config::TraceFile;
use crate::driver::{DevicePtr, Driver};
use crate::report::ProcessFacts;
use crate::trace::{RecordError, Recorder};

/// The recorder that an option asks for.
pub(super) fn recorder(choice: &TraceFile) -> Option<Recorder> {
    match choice {
        TraceFile::Off => None,
        TraceFile::At(path) => Some(Recorder::new(path, ProcessFacts::of_this_process())),
    }
}

impl<D: Driver> Pools<D> {
    /// The program gets `bytes` at `ptr`.
    pub(super) fn note_allocated(&self, ptr: DevicePtr, bytes: u64) {
        if let Some(recorder) = &self.recorder {
            recorder.allocated(ptr, bytes);
        }
    }

    /// The program frees the block at `ptr`, which nobody else can get before this returns.
    pub(super) fn note_freed(&self, ptr: DevicePtr) {
        if let Some(recorder) = &self.recorder {
            recorder.freed(ptr);
        }
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
