//! Giving back what was not used for long.

use std::time::{Duration, Instant};

use super::Pool;
use crate::backing::Take;
use crate::driver::{Current, Driver, Relaxed};
use crate::order::{Captures, Mode, Stamp};
use crate::policy::decay::{PAUSE, PORTION, longest_period, period};
use crate::stats::Cause;

impl<D: Driver> Pool<D> {
    /// Gives a portion of that back which has been idle for `decay` by `now`, and says after which
    /// time to look again.
    pub fn decay(
        &self,
        driver: &D,
        captures: &Captures,
        mode: Mode,
        now: Instant,
        decay: Duration,
    ) -> Duration {
        let mut aging = self.aging.lock();
        if aging.is_due(now, decay) {
            // A fault shows in the program's own next call.
            let _ = self.collect(driver);
            if decay.is_zero() {
                self.drain();
            } else {
                self.front.drain_unused(|token, stamp| {
                    self.give_to_backing(token, stamp);
                });
            }
            aging.note(now, self.backing.moment());
        }
        let old = aging.old(now, decay);
        drop(aging);
        let Some(unused_since) = old.filter(|&moment| self.backing.has_unused(moment)) else {
            return if self.idle() > 0 { period(decay) } else { longest_period(decay) };
        };
        // The driver's own free is at home in no capture, even where it disturbs none.
        if self.backing.is_native() && captures.any() {
            return period(decay);
        }
        // Where frees place no fence, what is old may be behind none yet.
        self.order_idle(driver, captures, mode);
        let take = |quiesced| Take { unused_since, at_most: PORTION, ..Take::all(quiesced) };
        let released = self.release_some(driver, take);
        if released > 0 {
            self.events.released.add(Cause::Decay, released);
            tracing::debug!("decay: {released} bytes given back");
        }
        // What the device is still at will not be done the sooner for being looked at.
        if released > 0 { PAUSE } else { period(decay) }
    }

    /// Gives back what `take` says, including what waits in front of the backing. Gives the bytes.
    pub fn release(&self, driver: &D, take: impl FnOnce(Stamp) -> Take) -> u64 {
        let _ = self.collect(driver);
        self.drain();
        self.release_some(driver, take)
    }

    fn release_some(&self, driver: &D, take: impl FnOnce(Stamp) -> Take) -> u64 {
        let _relaxed = Relaxed::enter(driver);
        let Ok(_current) = Current::enter(driver, self.context) else { return 0 };
        self.backing.release(driver, take(self.quiesced(driver))).released
    }
}
