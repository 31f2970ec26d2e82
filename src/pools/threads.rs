//! The threads that use CUDA: how many, and what each keeps for itself.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Pools;
use crate::driver::{Context, Driver};
use crate::front::ShardId;
use crate::order::Sign;

/// One in so many calls is timed: a look at the clock costs as much as a third of a hit. Odd, so
/// that a thread which allocates and frees in turn has both of them timed.
const SAMPLE: u32 = 63;

/// What is kept for each thread, together: in a shared library each look is a function call.
struct Thread {
    /// The instance that has counted this thread.
    counted_by: Cell<u32>,
    /// Its number there.
    number: Cell<u32>,
    /// Calls till the next one that is timed.
    untimed: Cell<u32>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread { counted_by: Cell::new(0), number: Cell::new(0), untimed: Cell::new(0) }
    };
}

impl<D: Driver> Pools<D> {
    /// The calling thread allocates or frees: its shard, and the time for one call in [`SAMPLE`].
    #[inline]
    pub(super) fn count_call(&self) -> (ShardId, Option<Instant>) {
        THREAD.with(|thread| {
            if thread.counted_by.get() != self.id {
                self.count_thread();
            }
            let shard = ShardId::of_thread(thread.number.get());
            match thread.untimed.get().checked_sub(1) {
                Some(less) => {
                    thread.untimed.set(less);
                    (shard, None)
                }
                None => {
                    thread.untimed.set(SAMPLE - 1);
                    (shard, Some(Instant::now()))
                }
            }
        })
    }

    /// The calling thread uses CUDA: the second one to do so is a sign.
    fn count_thread(&self) {
        let second = THREAD.with(|thread| {
            if thread.counted_by.replace(self.id) == self.id {
                return false;
            }
            thread.number.set(self.threads.fetch_add(1, Ordering::AcqRel));
            thread.number.get() > 0
        });
        if second {
            self.sign(Sign::SecondThread);
        }
    }

    /// From now on the calling thread stands for the program's thread of that `number`, counted from 0:
    /// a replay has one thread for all of them.
    pub fn stand_for_thread(&self, number: u32) {
        THREAD.with(|thread| {
            thread.counted_by.set(self.id);
            thread.number.set(number);
        });
        if number > 0 {
            self.sign(Sign::SecondThread);
        }
    }

    /// The calling thread is cupool's own: what it does for the program is no sign of another thread.
    pub fn exempt_thread(&self) {
        THREAD.with(|thread| thread.counted_by.set(self.id));
    }

    /// The program made `context` current on the calling thread, or created it there.
    pub fn context_in_use(&self, context: Context) {
        self.count_thread();
        let first =
            self.first_context.compare_exchange(0, context.0, Ordering::AcqRel, Ordering::Acquire);
        if first.is_err_and(|first| first != context.0) {
            self.sign(Sign::SecondContext);
        }
    }
}

/// Time since then, in nanoseconds.
pub(super) fn nanoseconds(since: Instant) -> u64 {
    since.elapsed().as_nanos().try_into().unwrap_or(u64::MAX)
}
