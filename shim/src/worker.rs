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
use cupool::live::Urgency;
use cupool::pools::Pools;
use cupool::stats::FlushReason;

use crate::driver::RealDriver;
use crate::live::{self, Live};
use crate::metrics::Metrics;
use crate::{dump, frameworks, futex, notice, signal, state};

/// How long a flush for another process waits for the frameworks: that one waits for 200 ms in all, and
/// is not to miss what is idle here for the sake of an interpreter's lock.
const NEIGHBOURS_PATIENCE: Duration = Duration::from_millis(100);

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
    let metrics = Metrics::new(options);
    STATE.store(RUNS, Ordering::Relaxed);
    let started = with_signals_blocked(|| {
        thread::Builder::new().name("cupool".into()).spawn(move || {
            work(pools, options, Live::begin(plan), metrics);
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

fn work(pools: &'static Pools<RealDriver>, options: &Options, live: Live, metrics: Metrics) {
    let mut worker = Worker {
        pools,
        framework_caches: options.framework_caches,
        served: 0,
        live,
        stats: Clock::new(options.interval),
        metrics,
        trace: Clock::new(pools.records().then_some(TRACE_PERIOD)),
        rest: Rest::default(),
        decay: Some(Instant::now()),
        min_free: Some(Instant::now()),
    };
    loop {
        // Read before looking: what comes meanwhile is served in the next round.
        let reasons = signal::reasons();
        if signal::ending() {
            break;
        }
        if worker.serve() {
            continue;
        }
        let next = DUTIES
            .iter()
            .filter_map(|duty| Some(((duty.due)(&worker)?, duty.act)))
            .min_by_key(|&(due, _)| due);
        let left = next.map(|(due, _)| due.saturating_duration_since(Instant::now()));
        match next {
            Some((_, act)) if left == Some(Duration::ZERO) => guarded(|| act(&mut worker)),
            _ => signal::wait(reasons, left),
        }
    }
    guarded(|| {
        dump::write_unasked(pools, "exit");
        write_trace(pools);
        worker.live.end();
        worker.metrics.end();
    });
}

/// What the thread knows.
struct Worker {
    pools: &'static Pools<RealDriver>,
    /// Whether a flush reaches the caches above the pool.
    framework_caches: bool,
    /// Signals that were answered.
    served: u32,
    live: Live,
    stats: Clock,
    metrics: Metrics,
    trace: Clock,
    rest: Rest,
    /// When what was not used for long is looked for.
    decay: Option<Instant>,
    /// When the devices' free memory is looked at.
    min_free: Option<Instant>,
}

/// Something that is done from time to time.
struct Duty {
    /// When next; `None` as long as nothing is to be done.
    due: fn(&Worker) -> Option<Instant>,
    /// Does it. Sets the next time first, so that one that panics is not done again at once.
    act: fn(&mut Worker),
}

/// All of them. What has been due for the longest time goes first.
const DUTIES: &[Duty] = &[
    Duty {
        due: |worker| worker.stats.next,
        act: |worker| {
            worker.stats.advance();
            worker.report("interval");
        },
    },
    Duty { due: |worker| worker.metrics.next(), act: |worker| worker.metrics.write(worker.pools) },
    Duty {
        due: |worker| worker.trace.next,
        act: |worker| {
            worker.trace.advance();
            write_trace(worker.pools);
        },
    },
    Duty {
        due: |worker| worker.rest.due(worker.pools),
        act: |worker| worker.rest.give_back(worker.pools),
    },
    Duty {
        due: |worker| worker.decay,
        act: |worker| {
            worker.decay = None;
            worker.decay = after(worker.pools.decay(Instant::now()));
        },
    },
    Duty {
        due: |worker| worker.min_free,
        act: |worker| {
            worker.min_free = None;
            worker.min_free = after(worker.pools.keep_free());
        },
    },
    Duty { due: |worker| worker.live.next(), act: |worker| worker.live.publish(worker.pools) },
];

impl Worker {
    /// Answers a signal or a request by the live page, if there is one.
    fn serve(&mut self) -> bool {
        let pools = self.pools;
        let requests = signal::requests();
        if requests != self.served {
            self.served = requests;
            guarded(|| {
                self.empty_above();
                pools.flush_asked(FlushReason::Signal, None);
                self.report("signal");
                write_trace(pools);
                self.live.publish(pools);
            });
            return true;
        }
        if let Some(asked) = self.live.asked() {
            guarded(|| {
                self.empty_above_for(asked.urgency);
                self.live.serve(pools, asked);
                self.report("request");
                write_trace(pools);
            });
            return true;
        }
        let mut snapshot = false;
        guarded(|| snapshot = self.live.serve_snapshot(pools));
        if snapshot {
            return true;
        }
        if frameworks::emptied_late() {
            guarded(|| {
                pools.flush(FlushReason::FrameworkCaches);
                self.report("framework_caches");
                self.live.publish(pools);
            });
            return true;
        }
        false
    }

    /// Writes the stats file and what is made from the same figures.
    fn report(&mut self, reason: &str) {
        dump::write_unasked(self.pools, reason);
        self.metrics.write(self.pools);
    }

    /// What is cached above the pool lands in the pool, unless that comes too soon.
    fn empty_above(&self) {
        if !self.pools.is_too_soon() {
            self.empty_frameworks(frameworks::PATIENCE);
        }
    }

    /// The same for a request, which may be one that is never denied.
    fn empty_above_for(&self, urgency: Urgency) {
        match urgency {
            Urgency::Asked => self.empty_above(),
            Urgency::Forced => self.empty_frameworks(frameworks::PATIENCE),
            Urgency::Neighbour => self.empty_frameworks(NEIGHBOURS_PATIENCE),
        }
    }

    fn empty_frameworks(&self, patience: Duration) {
        if self.framework_caches {
            frameworks::empty(self.pools, patience);
        }
    }
}

/// A time that comes again and again.
struct Clock {
    period: Option<Duration>,
    next: Option<Instant>,
}

impl Clock {
    /// Comes for the first time when `period` is over; `None`: never.
    fn new(period: Option<Duration>) -> Self {
        Self { period, next: after(period) }
    }

    fn advance(&mut self) {
        self.next = after(self.period);
    }
}

/// How long the device is given between two looks at whether it is done: at first, and in the end.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What flushes left to be given back as soon as the device is done with it.
#[derive(Default)]
struct Rest {
    /// When to look again.
    next: Option<Instant>,
    pause: Duration,
}

impl Rest {
    /// When to look: at once for what a flush has just left.
    fn due(&self, pools: &Pools<RealDriver>) -> Option<Instant> {
        self.next.or_else(|| pools.has_rest().then(Instant::now))
    }

    /// Gives back what is done by now. The stats file tells when that was all.
    fn give_back(&mut self, pools: &Pools<RealDriver>) {
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.next = after(Some(self.pause));
        if !pools.flush_rest() {
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
