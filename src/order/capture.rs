//! Stream captures, and how fences keep out of them.
//!
//! A context fence or synchronisation during a capture fails *and invalidates the capture*, whatever
//! the thread's capture mode (measured, driver 580). So captures are counted, and whoever records a
//! fence looks at the count first. That leaves one race: a capture that begins between the look and
//! the driver call. It is closed without holding anything across the begin itself: a capture is
//! counted *before* it begins, and then every fence that may not have seen it is waited for
//! ([`Fences::pass`](super::Fences::pass)).

use std::sync::atomic::{AtomicUsize, Ordering, fence};

use parking_lot::Mutex;

use crate::driver::{Context, Driver, Stream};

/// The captures under way in the process.
#[derive(Default)]
pub struct Captures {
    /// Streams whose capture is about to begin or has begun, and has not ended, each with the
    /// context that was current when it began.
    streams: Mutex<Vec<(Stream, Option<Context>)>>,
    /// How many; written under `streams`.
    active: AtomicUsize,
}

impl Captures {
    /// Whether any stream is being captured, or about to be.
    pub fn any(&self) -> bool {
        self.active.load(Ordering::SeqCst) != 0
    }

    /// A capture of `stream` is about to begin, in `context` as far as is known.
    pub fn announce(&self, stream: Stream, context: Option<Context>) {
        let mut streams = self.streams.lock();
        streams.push((stream, context));
        self.active.store(streams.len(), Ordering::SeqCst);
        drop(streams);
        // What is looked for after this was there before, or sees the capture.
        fence(Ordering::SeqCst);
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

    /// Takes `stream` off the list: its capture has ended, never began, or went with the stream.
    /// True if it was the last.
    pub fn forget(&self, stream: Stream) -> bool {
        let mut streams = self.streams.lock();
        let Some(at) = streams.iter().position(|&(s, _)| s == stream) else { return false };
        streams.swap_remove(at);
        self.active.store(streams.len(), Ordering::SeqCst);
        streams.is_empty()
    }

    /// Takes the streams of `context` off the list, which went with it. True if the last capture
    /// of the process ended so.
    pub fn forget_context(&self, context: Context) -> bool {
        let mut streams = self.streams.lock();
        let before = streams.len();
        streams.retain(|&(_, of)| of != Some(context));
        self.active.store(streams.len(), Ordering::SeqCst);
        streams.is_empty() && before > 0
    }
}
