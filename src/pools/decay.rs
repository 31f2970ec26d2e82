//! Giving back what was not used for long, in all contexts.

use std::time::{Duration, Instant};

use super::{Phase, Pools};
use crate::config::Span;
use crate::driver::Driver;
use crate::policy::decay::longest_period;

impl<D: Driver> Pools<D> {
    /// Gives a portion of that back which has not been used for as long as the option `decay` says,
    /// and says after which time to look again; `None`: never. To be called by one thread.
    pub fn decay(&self, now: Instant) -> Option<Duration> {
        let Span::For(decay) = self.options.decay else { return None };
        let mut pause = longest_period(decay);
        if self.phase() != Phase::Open {
            return Some(pause);
        }
        for pool in self.table.all().iter() {
            let Some(_held) = pool.lease.hold() else { continue };
            let mode = self.mode.mode();
            pause = pause.min(pool.decay(&self.driver, &self.captures, mode, now, decay));
        }
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::Stream;
    use crate::fake::FakeDriver;
    use crate::policy::decay::{PAUSE, PORTION, period};

    const MIB: u64 = 1 << 20;
    const SECOND: Duration = Duration::from_secs(1);
    const DECAY: Duration = Duration::from_secs(8);

    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(&format!("max_idle:none,{conf}"), false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(FakeDriver::new(64 << 30).with_vmm(), &options)
    }

    /// The background thread, at a clock of its own.
    struct Worker {
        now: Instant,
        next: Instant,
    }

    impl Worker {
        fn new() -> Self {
            let now = Instant::now();
            Self { now, next: now }
        }

        /// Time passes.
        fn run(&mut self, pools: &Pools<FakeDriver>, time: Duration) {
            let end = self.now + time;
            while self.next <= end {
                self.now = self.next;
                self.next += pools.decay(self.now).expect("decay is on");
            }
            self.now = end;
        }
    }

    #[test]
    fn what_is_not_used_goes_and_what_is_stays() {
        for backing in ["arena", "exact"] {
            let pools = pools(&format!("decay:8s,backing:{backing}"));
            let mut worker = Worker::new();
            let unused = pools.allocate(96 * MIB).unwrap();
            let (large, small) = (pools.allocate(32 * MIB).unwrap(), pools.allocate(4096).unwrap());
            for ptr in [unused, large, small] {
                pools.free(ptr).unwrap();
            }
            for second in 0..30 {
                worker.run(&pools, SECOND);
                // These are used in every second: the others are as they were.
                for bytes in [32 * MIB, 4096] {
                    let ptr = pools.allocate(bytes).unwrap();
                    pools.free(ptr).unwrap();
                }
                let reserved = pools.driver().reserved();
                if second < 7 {
                    assert!(reserved >= 128 * MIB, "{backing}: {reserved} in second {second}");
                }
                assert!(reserved >= 32 * MIB, "{backing}: {reserved} in second {second}");
            }
            let kept = pools.driver().reserved();
            assert!(kept <= 34 * MIB, "{backing}: {kept}");
            worker.run(&pools, 2 * DECAY);
            assert_eq!(pools.driver().reserved(), 0, "{backing}");
            assert_eq!(pools.idle_bytes(), 0, "{backing}");
        }
    }

    #[test]
    fn beside_what_is_old_what_was_just_freed_stays() {
        for backing in ["arena", "exact"] {
            let pools = pools(&format!("decay:8s,backing:{backing}"));
            let mut worker = Worker::new();
            // Large ones go straight to the backing, unless they are what was allocated last.
            let [old, young, _held] = [(); 3].map(|()| pools.allocate(64 * MIB).unwrap());
            pools.free(old).unwrap();
            worker.run(&pools, 6 * SECOND);
            pools.free(young).unwrap();
            worker.run(&pools, 5 * SECOND);
            assert_eq!(pools.driver().reserved(), 128 * MIB, "{backing}");
            worker.run(&pools, 6 * SECOND);
            assert_eq!(pools.driver().reserved(), 64 * MIB, "{backing}");
        }
    }

    #[test]
    fn much_goes_in_portions() {
        for backing in ["arena", "exact"] {
            let pools = pools(&format!("decay:8s,backing:{backing}"));
            let mut worker = Worker::new();
            let blocks = [(); 80].map(|()| pools.allocate(64 * MIB).unwrap());
            blocks.iter().for_each(|&ptr| pools.free(ptr).unwrap());
            let mut before = pools.driver().reserved();
            let mut portions = 0;
            for _ in 0..3000 {
                worker.run(&pools, PAUSE);
                let reserved = pools.driver().reserved();
                assert!(before - reserved <= PORTION, "{backing}: {}", before - reserved);
                portions += u32::from(reserved < before);
                before = reserved;
            }
            assert_eq!((before, portions), (0, 5), "{backing}");
        }
    }

    #[test]
    fn a_thread_that_comes_no_more_keeps_nothing() {
        let pools = pools("decay:8s,backing:arena");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let blocks = [4096, 64 << 10, 1 << 20].map(|bytes| pools.allocate(bytes).unwrap());
                blocks.iter().for_each(|&ptr| pools.free(ptr).unwrap());
            });
        });
        assert!(pools.idle_bytes() > 0);
        Worker::new().run(&pools, 2 * DECAY);
        assert_eq!(pools.idle_bytes(), 0);
    }

    #[test]
    fn at_once_and_never() {
        for backing in ["arena", "exact"] {
            let never = pools(&format!("decay:off,backing:{backing}"));
            assert_eq!(never.decay(Instant::now()), None);
            let at_once = pools(&format!("decay:0,backing:{backing}"));
            let ptr = at_once.allocate(4096).unwrap();
            at_once.free(ptr).unwrap();
            at_once.decay(Instant::now());
            assert_eq!(at_once.driver().reserved(), 0, "{backing}");
        }
    }

    #[test]
    fn what_the_device_still_uses_waits_without_being_watched() {
        let pools = pools("decay:8s,backing:arena,order:fence");
        let mut worker = Worker::new();
        let ptr = pools.allocate(64 * MIB).unwrap();
        pools.driver().submit();
        pools.free(ptr).unwrap();
        worker.run(&pools, 2 * DECAY);
        assert_eq!(pools.driver().reserved(), 64 * MIB);
        assert!(worker.next - worker.now > PAUSE, "it is looked at all the time");
        pools.driver().finish();
        worker.run(&pools, period(DECAY));
        assert_eq!(pools.driver().reserved(), 0);
    }

    #[test]
    fn without_a_fence_at_the_free_there_is_one_before_it_goes() {
        let pools = pools("decay:8s,backing:arena,order:lazy");
        let mut worker = Worker::new();
        let ptr = pools.allocate(64 * MIB).unwrap();
        pools.free(ptr).unwrap();
        worker.run(&pools, DECAY / 2);
        assert_eq!(pools.driver().count("record_context"), 0, "nothing is old yet");
        worker.run(&pools, 2 * DECAY);
        assert_eq!(pools.driver().reserved(), 0);
        let fences = pools.driver().count("record_context");
        worker.run(&pools, 10 * DECAY);
        assert_eq!(pools.driver().count("record_context"), fences, "nothing is left to order");
    }

    #[test]
    fn a_capture_is_left_alone() {
        for (backing, stays) in [("arena", 0), ("exact", 64 * MIB)] {
            let pools = pools(&format!("decay:8s,backing:{backing}"));
            let mut worker = Worker::new();
            let ptr = pools.allocate(64 * MIB).unwrap();
            pools.free(ptr).unwrap();
            let stream = Stream(7);
            pools.begin_capture(stream, || pools.driver().start_capture(stream));
            worker.run(&pools, 2 * DECAY);
            assert!(!pools.driver().invalidated(), "{backing}");
            assert_eq!(pools.driver().reserved(), stays, "{backing}");
            pools.end_capture(stream, || pools.driver().stop_capture(stream));
            worker.run(&pools, 2 * DECAY);
            assert_eq!(pools.driver().reserved(), 0, "{backing}");
        }
    }

    #[test]
    fn what_was_freed_during_a_capture_is_found_without_a_miss() {
        for backing in ["arena", "exact"] {
            let pools = pools(&format!("decay:8s,backing:{backing}"));
            let ptr = pools.allocate(64 * MIB).unwrap();
            let stream = Stream(7);
            pools.begin_capture(stream, || pools.driver().start_capture(stream));
            pools.free(ptr).unwrap();
            pools.end_capture(stream, || pools.driver().stop_capture(stream));
            Worker::new().run(&pools, 2 * DECAY);
            assert_eq!(pools.driver().reserved(), 0, "{backing}");
        }
    }

    #[test]
    fn where_nothing_is_idle_little_is_looked() {
        let pools = pools("decay:8s");
        let ptr = pools.allocate(4 * MIB).unwrap();
        let calls = pools.driver().count("event_done");
        assert_eq!(pools.decay(Instant::now()), Some(DECAY / 2));
        assert_eq!(pools.driver().count("event_done"), calls);
        pools.free(ptr).unwrap();
        assert_eq!(pools.decay(Instant::now()), Some(period(DECAY)));
    }
}
