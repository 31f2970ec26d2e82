//! The one thread of cupool. It serves the signal and requests by the live page, keeps that page, and
//! writes the stats file and the trace in intervals and at exit.
//!
//! It exists from the first use of CUDA until exit, is called `cupool`, and handles no signal.

use std::mem::MaybeUninit;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{io, ptr, thread};

use cupool::config::Options;
use cupool::pools::Pools;
use cupool::stats::FlushReason;

use crate::driver::RealDriver;
use crate::live::{self, Live};
use crate::{dump, futex, notice, signal, state};

/// How often the trace is written, where there is one: a killed program loses as much.
const TRACE_PERIOD: Duration = Duration::from_secs(1);

const NEVER: u32 = 0;
const RUNS: u32 = 1;
const ENDED: u32 = 2;

/// Whether the thread runs; also the futex on which [`finish`] waits.
static STATE: AtomicU32 = AtomicU32::new(NEVER);

/// Starts the thread. The error is the operating system's, when there can be no further thread.
pub fn start(pools: &'static Pools<RealDriver>, options: &'static Options) -> io::Result<()> {
    let plan = live::Plan::new(options);
    STATE.store(RUNS, Ordering::Relaxed);
    let started = with_signals_blocked(|| {
        thread::Builder::new().name("cupool".into()).spawn(move || {
            work(pools, options.interval, Live::begin(plan));
            STATE.store(ENDED, Ordering::Release);
            futex::wake_all(&STATE);
        })
    });
    if started.is_err() {
        STATE.store(NEVER, Ordering::Relaxed);
    }
    started.map(drop)
}

/// The process exits: has the last stats file written, and ends the thread.
///
/// The thread does it, not the caller, who may be a signal handler that has interrupted an
/// allocator or holds any other lock; that then costs `patience`, and the file. So does a driver
/// call in which the thread waits for the device, and a file system that hangs.
pub fn finish(pools: &Pools<RealDriver>, patience: Duration) {
    if STATE.load(Ordering::Acquire) == NEVER {
        dump::write_unasked(pools, "exit");
        write_trace(pools);
        return;
    }
    signal::end();
    futex::wait_until_not(&STATE, RUNS, patience);
}

/// How long the device is given between two looks at whether it is done: at first, and in the end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

fn work(pools: &'static Pools<RealDriver>, interval: Option<Duration>, mut live: Live) {
    let mut served = 0;
    let mut next = after(interval);
    let trace_period = pools.records().then_some(TRACE_PERIOD);
    let mut next_piece = after(trace_period);
    let mut rest = Rest::default();
    loop {
        // Read before looking: what comes meanwhile is served in the next round.
        let reasons = signal::reasons();
        if signal::ending() {
            break;
        }
        let requests = signal::requests();
        if requests != served {
            served = requests;
            guarded(|| {
                pools.flush(FlushReason::Signal);
                dump::write_unasked(pools, "signal");
                write_trace(pools);
                live.publish(pools);
            });
        } else if let Some(asked) = live.asked() {
            guarded(|| {
                live.serve(pools, asked);
                dump::write_unasked(pools, "request");
                write_trace(pools);
            });
        } else if next.is_some_and(|due| due <= Instant::now()) {
            next = after(interval);
            guarded(|| dump::write_unasked(pools, "interval"));
        } else if next_piece.is_some_and(|due| due <= Instant::now()) {
            next_piece = after(trace_period);
            guarded(|| write_trace(pools));
        } else if rest.due(pools) {
            guarded(|| rest.give_back(pools));
        } else if live.next().is_some_and(|due| due <= Instant::now()) {
            guarded(|| live.publish(pools));
        } else {
            let next = next.into_iter().chain(next_piece).chain(rest.next).chain(live.next()).min();
            signal::wait(reasons, next.map(|due| due.saturating_duration_since(Instant::now())));
        }
    }
    guarded(|| {
        dump::write_unasked(pools, "exit");
        write_trace(pools);
        live.end();
    });
}

/// What flushes left to be given back as soon as the device is done with it.
#[derive(Default)]
struct Rest {
    /// When to look again.
    next: Option<Instant>,
    pause: Duration,
}

impl Rest {
    /// Whether it is time to look.
    fn due(&self, pools: &Pools<RealDriver>) -> bool {
        match self.next {
            Some(next) => next <= Instant::now(),
            None => pools.has_rest(),
        }
    }

    /// Gives back what is done by now. The stats file tells when that was all.
    fn give_back(&mut self, pools: &Pools<RealDriver>) {
        if pools.flush_rest() {
            self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            self.next = after(Some(self.pause));
        } else {
            *self = Self::default();
            dump::write_unasked(pools, "flush");
        }
    }
}

/// Writes what was recorded since the last time. That nothing is recorded any more is told once.
fn write_trace(pools: &Pools<RealDriver>) {
    if let Err(error) = pools.flush_trace() {
        notice::warn(&format_args!("no more trace: {error}"));
    }
}

/// When `interval` from now is over; `None` if that is never.
fn after(interval: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(interval?)
}

/// A panic in here ends neither the thread nor the process; the pools retire.
fn guarded(f: impl FnOnce()) {
    if panic::catch_unwind(AssertUnwindSafe(f)).is_err() {
        state::retire("panic in the worker");
    }
}

/// Runs `f` while the calling thread blocks every signal; a thread that `f` starts inherits that.
pub fn with_signals_blocked<T>(f: impl FnOnce() -> T) -> T {
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: both sets are locals; an all-zero set is a set.
    let before = unsafe {
        let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    };
    let result = f();
    // SAFETY: `before` is the mask that the thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    result
}
