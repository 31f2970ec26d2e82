//! Keeping some of the device free for others.

use std::time::{Duration, Instant};

use super::{Phase, Pools};
use crate::backing::Take;
use crate::config::Limit;
use crate::driver::{Current, Driver, Relaxed};
use crate::pool::Pool;
use crate::stats::{Cause, FlushReason, FlushRecord};

impl<D: Driver> Pools<D> {
    /// Gives idle memory back, the least recently used first, where a device has less free memory than
    /// the option `min_free` says, and says after which time to look again; `None`: never. The driver
    /// is not asked about a device of which nothing is idle here.
    pub fn keep_free(&self) -> Option<Duration> {
        if self.options.min_free == Limit::None {
            return None;
        }
        if self.phase() == Phase::Open {
            self.table.all().iter().for_each(|pool| self.keep_free_beside(pool));
        }
        Some(self.options.min_free_period)
    }

    fn keep_free_beside(&self, pool: &Pool<D>) {
        let idle_before = pool.idle();
        if idle_before == 0 || (pool.backing().is_native() && self.captures.any()) {
            return;
        }
        let Some(_held) = pool.lease.hold() else { return };
        let started = Instant::now();
        let lacking = {
            let _relaxed = Relaxed::enter(&self.driver);
            let Ok(_current) = Current::enter(&self.driver, pool.context) else { return };
            let Ok(free) = self.driver.free_memory() else { return };
            self.options.min_free.least_of(pool.facts().total_bytes).saturating_sub(free)
        };
        if lacking == 0 {
            return;
        }
        pool.order_idle(&self.driver, &self.captures, self.mode.mode());
        let released =
            pool.release(&self.driver, |quiesced| Take { at_most: lacking, ..Take::all(quiesced) });
        if released > 0 {
            pool.events.released.add(Cause::MinFree, released);
            tracing::info!("min_free: {released} bytes given back, {lacking} were lacking");
            self.note_release(FlushRecord {
                idle_before,
                idle_after: pool.idle(),
                released,
                duration: started.elapsed().as_secs_f64(),
                ..FlushRecord::new(FlushReason::MinFree)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::Stream;
    use crate::fake::FakeDriver;

    const MIB: u64 = 1 << 20;
    const TOTAL: u64 = 1024 * MIB;

    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(&format!("max_idle:none,{conf}"), false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(FakeDriver::new(TOTAL).with_vmm(), &options)
    }

    #[test]
    fn as_much_goes_as_is_lacking_and_the_oldest_first() {
        for backing in ["arena", "exact"] {
            let pools = pools(&format!("min_free:512M,min_free_period:2s,backing:{backing}"));
            let blocks = [(); 10].map(|()| pools.allocate(64 * MIB).unwrap());
            blocks[..8].iter().for_each(|&ptr| pools.free(ptr).unwrap());
            assert_eq!(pools.keep_free(), Some(Duration::from_secs(2)), "{backing}");
            assert_eq!(TOTAL - pools.driver().reserved(), 512 * MIB, "{backing}");
            let record = pools.snapshot().flushes.pop().unwrap();
            assert_eq!((record.reason, record.released), (FlushReason::MinFree, 128 * MIB));
            // What was freed last is still there.
            let grown = pools.driver().count("create_memory") + pools.driver().count("allocate");
            let again = pools.allocate(64 * MIB).unwrap();
            let after = pools.driver().count("create_memory") + pools.driver().count("allocate");
            assert_eq!(grown, after, "{backing}");
            assert!(!blocks[..2].contains(&again), "{backing}: the oldest have gone");
            pools.keep_free();
            assert_eq!(pools.snapshot().flushes.len(), 1, "{backing}: nothing is lacking any more");
        }
    }

    #[test]
    fn a_percentage_is_of_the_device() {
        let pools = pools("min_free:75%");
        let ptr = pools.allocate(512 * MIB).unwrap();
        pools.free(ptr).unwrap();
        pools.keep_free();
        assert_eq!(TOTAL - pools.driver().reserved(), 768 * MIB);
    }

    /// The driver's own free is at home in no capture.
    #[test]
    fn a_capture_is_left_alone() {
        for (backing, kept) in [("arena", 256), ("exact", 512)] {
            let pools = pools(&format!("min_free:75%,backing:{backing}"));
            for ptr in [(); 2].map(|()| pools.allocate(256 * MIB).unwrap()) {
                pools.free(ptr).unwrap();
            }
            let stream = Stream(7);
            pools.begin_capture(stream, || pools.driver().start_capture(stream));
            pools.keep_free();
            assert!(!pools.driver().invalidated(), "{backing}");
            assert_eq!(pools.driver().reserved(), kept * MIB, "{backing}");
            pools.end_capture(stream, || pools.driver().stop_capture(stream));
            pools.keep_free();
            assert_eq!(pools.driver().reserved(), 256 * MIB, "{backing}");
        }
    }

    #[test]
    fn what_was_freed_during_a_capture_goes_too() {
        let pools = pools("min_free:75%,backing:arena");
        let ptr = pools.allocate(512 * MIB).unwrap();
        let stream = Stream(7);
        pools.begin_capture(stream, || pools.driver().start_capture(stream));
        pools.free(ptr).unwrap();
        pools.end_capture(stream, || pools.driver().stop_capture(stream));
        pools.keep_free();
        assert_eq!(pools.driver().reserved(), 256 * MIB);
    }

    #[test]
    fn the_driver_is_asked_only_where_something_is_idle() {
        let quiet = pools("min_free:75%");
        let ptr = quiet.allocate(512 * MIB).unwrap();
        quiet.keep_free();
        assert_eq!(quiet.driver().count("free_memory"), 0);
        quiet.free(ptr).unwrap();
        quiet.keep_free();
        assert_eq!(quiet.driver().count("free_memory"), 1);
        assert_eq!(pools("").keep_free(), None, "by default nothing is kept free");
    }
}
