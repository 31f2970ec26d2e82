//! The process's one set of pools, and the steps by which it comes and goes.
//!
//! ```text
//!            start()              published
//!   INERT ───────────▶ STARTING ───────────▶ ACTIVE
//!     │                    │                    │
//!     │ set-uid, disabled  │ failed             │ forked: in the child
//!     └───────▶ OFF ◀──────┘                    └───────▶ OFF
//! ```
//!
//! `INERT` and `OFF` look the same to a hook: there are no pools, and it calls the driver. Only
//! `INERT` can still start. Exit is no phase of its own: the closed pools let everything through,
//! and still know what they handed out before.

use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cupool::config::Options;
use cupool::pools::Pools;

use crate::cancel::Uncancelled;
use crate::driver::RealDriver;
use crate::futex;

const INERT: u32 = 0;
const STARTING: u32 = 1;
const ACTIVE: u32 = 2;
const OFF: u32 = 3;

/// Where the process is; also the futex on which threads wait for another one's `start`.
static PHASE: AtomicU32 = AtomicU32::new(INERT);

/// The thread that is in `start`, so that it does not wait for itself.
static STARTER: AtomicI32 = AtomicI32::new(0);

/// The pools for the hooks: null unless `ACTIVE`. Once published they are never freed.
static POOLS: AtomicPtr<Pools<RealDriver>> = AtomicPtr::new(ptr::null_mut());

/// How long a thread waits for another one's `start`. That takes a millisecond, unless the two
/// block each other: a library whose constructor uses CUDA holds the loader's lock, which `start`
/// needs. Then the process does without the pool.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pools, if they exist. `None`: call the driver.
#[inline]
pub fn pools() -> Option<&'static Pools<RealDriver>> {
    // SAFETY: the pointer is null or came from `Box::into_raw` and is never freed.
    unsafe { POOLS.load(Ordering::Acquire).as_ref() }
}

/// What came of making the pools.
pub enum Made {
    /// They serve the process from now on.
    Pools(Box<Pools<RealDriver>>, &'static Options),
    /// Not yet: the next call may try again.
    NotYet,
    /// This process does without.
    Never,
}

/// The pools, made now by `make` if this is the process's first use of CUDA; `started` is told of
/// them. `None`: call the driver.
///
/// `make` may come back here through a hook, and then finds no pools.
pub fn start(
    make: impl FnOnce() -> Made,
    started: impl FnOnce(&'static Pools<RealDriver>, &'static Options),
) -> Option<&'static Pools<RealDriver>> {
    match PHASE.compare_exchange(INERT, STARTING, Ordering::Acquire, Ordering::Acquire) {
        Ok(_) => {
            let _uncancelled = Uncancelled::enter();
            STARTER.store(thread_id(), Ordering::Relaxed);
            panic::catch_unwind(AssertUnwindSafe(|| publish(make, started))).unwrap_or_else(|_| {
                turn_off();
                None
            })
        }
        Err(STARTING) if STARTER.load(Ordering::Relaxed) != thread_id() => {
            wait_for_start();
            published()
        }
        Err(_) => published(),
    }
}

/// Nothing of ours happens in this process any more: hooks call the driver.
///
/// Two stores, so that it can be called in a forked child.
pub fn turn_off() {
    PHASE.store(OFF, Ordering::Release);
    POOLS.store(ptr::null_mut(), Ordering::Release);
}

/// After a caught panic: what the pools hold stays where it is, and new calls go to the driver.
pub fn retire(why: &str) {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| {
        if let Some(pools) = pools() {
            pools.retire(why);
        }
    }));
}

/// Called by the one thread that took the phase to `STARTING`.
fn publish(
    make: impl FnOnce() -> Made,
    started: impl FnOnce(&'static Pools<RealDriver>, &'static Options),
) -> Option<&'static Pools<RealDriver>> {
    // Set however this ends, a panic included, so that nobody waits for nothing.
    let mut ending = Ending { phase: OFF };
    let (pools, options) = match make() {
        Made::Pools(pools, options) => (Box::into_raw(pools), options),
        Made::NotYet => {
            ending.phase = INERT;
            return None;
        }
        Made::Never => return None,
    };
    // A thread that gave up waiting has gone to the driver, and pools that missed one call are
    // pools that are wrong: then there are none.
    PHASE.compare_exchange(STARTING, ACTIVE, Ordering::AcqRel, Ordering::Relaxed).ok()?;
    POOLS.store(pools, Ordering::Release);
    drop(ending);
    // SAFETY: just made, and never freed.
    let pools = unsafe { &*pools };
    started(pools, options);
    Some(pools)
}

/// The pools, waited for between the two stores of `publish`.
fn published() -> Option<&'static Pools<RealDriver>> {
    loop {
        if let Some(pools) = pools() {
            return Some(pools);
        }
        if PHASE.load(Ordering::Acquire) != ACTIVE {
            return None;
        }
        std::hint::spin_loop();
    }
}

/// Leaves `STARTING` when dropped, and wakes those who wait for it.
struct Ending {
    phase: u32,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = PHASE.compare_exchange(STARTING, self.phase, Ordering::Release, Ordering::Relaxed);
        futex::wake_all(&PHASE);
    }
}

fn wait_for_start() {
    let deadline = Instant::now() + PATIENCE;
    while PHASE.load(Ordering::Acquire) == STARTING {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let _ = PHASE.compare_exchange(STARTING, OFF, Ordering::AcqRel, Ordering::Relaxed);
            return;
        }
        futex::wait(&PHASE, STARTING, Some(left));
    }
}

fn thread_id() -> i32 {
    // SAFETY: gettid has no preconditions.
    unsafe { libc::gettid() }
}
