//! Stream captures, and the gate that keeps fences out of them.
//!
//! A context fence or synchronisation during a capture fails *and invalidates the capture*, whatever
//! the thread's capture mode (measured, driver 580). So captures are counted, and the one race that
//! counting leaves open, a capture that begins between a fence's check and its driver call, is closed
//! by a gate: shared around fences, exclusive around begin-capture. It is the only lock that is ever
//! held across a driver call, and the calls made under it do not wait for the device.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::driver::{Driver, Stream};

/// The captures under way in the process.
#[derive(Default)]
pub struct Captures {
    gate: RwLock<()>,
    /// Streams whose capture was begun and has not ended.
    streams: Mutex<Vec<Stream>>,
    /// How many; written under `streams`, raised inside the gate.
    active: AtomicUsize,
}

/// No capture begins while this lives.
pub struct NoCapture<'a>(#[allow(dead_code)] RwLockReadGuard<'a, ()>);

impl Captures {
    /// Whether any stream is being captured.
    pub fn any(&self) -> bool {
        self.active.load(Ordering::Acquire) != 0
    }

    /// Keeps captures from beginning; `None` while one is under way.
    pub fn exclude(&self) -> Option<NoCapture<'_>> {
        let shared = self.gate.read();
        (!self.any()).then_some(NoCapture(shared))
    }

    /// Runs begin-capture, `call`, when no fence is being placed. Gives its `CUresult`.
    pub fn begin(&self, stream: Stream, call: impl FnOnce() -> i32) -> i32 {
        let _exclusive = self.gate.write();
        let result = call();
        if result == 0 {
            let mut streams = self.streams.lock();
            streams.push(stream);
            self.active.store(streams.len(), Ordering::Release);
        }
        result
    }

    /// To be told after end-capture of `stream`, whatever its result. True if this ended the last
    /// capture of the process.
    pub fn ended(&self, stream: Stream, driver: &impl Driver) -> bool {
        // An end-capture that fails (wrong thread, unjoined streams) may leave the capture open.
        if !self.any() || driver.is_capturing(stream).unwrap_or(false) {
            return false;
        }
        self.forget(stream)
    }

    /// Takes `stream` off the list, also because it was destroyed. True if it was the last.
    pub fn forget(&self, stream: Stream) -> bool {
        let mut streams = self.streams.lock();
        let Some(at) = streams.iter().position(|&s| s == stream) else { return false };
        streams.swap_remove(at);
        self.active.store(streams.len(), Ordering::Release);
        streams.is_empty()
    }
}
