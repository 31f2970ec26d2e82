//! What the driver itself caches for the program: its stream-ordered pools, and memory for graphs.

use super::{Phase, Pools};
use crate::driver::{Device, Driver, Relaxed};

impl<D: Driver> Pools<D> {
    /// Gives back what the driver caches, on one device or on all that are in use. Gives the bytes.
    ///
    /// Not during a capture: nothing says that trimming leaves captures alone.
    pub(super) fn trim_driver_pools(&self, only: Option<Device>) -> u64 {
        let wanted = self.options.flush_driver_pools;
        if !wanted || self.phase() != Phase::Open || self.captures.any() {
            return 0;
        }
        let _relaxed = Relaxed::enter(&self.driver);
        let pools = self.table.all();
        let mut devices = match only {
            Some(device) => vec![device],
            None => self.driver.active_devices(),
        };
        if only.is_none() {
            devices.extend(pools.iter().map(|pool| pool.device));
            devices.sort_by_key(|device| device.0);
            devices.dedup();
        }
        let mut released = 0;
        for device in devices {
            // Where a context is ending, its device is left alone until the next time.
            let here = pools.iter().filter(|pool| pool.device == device);
            let held: Option<Vec<_>> = here.map(|pool| pool.lease.hold()).collect();
            if held.is_some() {
                released += self.driver.trim_driver_pools(device);
            }
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::{DevicePtr, DriverError, Stream};
    use crate::fake::FakeDriver;
    use crate::stats::{FlushReason, FlushRecord};

    const MIB: u64 = 1 << 20;
    const STREAM: Stream = Stream(7);

    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(conf, false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(FakeDriver::new(1024 * MIB), &options)
    }

    fn flush(pools: &Pools<FakeDriver>) -> FlushRecord {
        pools.flush(FlushReason::EmptyCache)
    }

    #[test]
    fn a_flush_empties_them_too() {
        let pools = pools("");
        pools.driver().fill_driver_pools(100 * MIB);
        let record = flush(&pools);
        assert_eq!((record.released, record.driver_pools), (0, 100 * MIB));
        assert_eq!(pools.driver().reserved(), 0);
        assert_eq!(flush(&pools).driver_pools, 0);
        assert_eq!(pools.snapshot().flushes[0].driver_pools, 100 * MIB);
    }

    #[test]
    fn each_device_is_asked_once() {
        let pools = pools("");
        let ptr = pools.allocate(MIB).unwrap();
        flush(&pools);
        assert_eq!(pools.driver().count("trim_driver_pools"), 1);
        pools.free(ptr).unwrap();
    }

    #[test]
    fn unless_it_is_configured_away() {
        let pools = pools("flush_driver_pools:false");
        pools.driver().fill_driver_pools(100 * MIB);
        assert_eq!(flush(&pools).driver_pools, 0);
        assert_eq!(pools.driver().count("trim_driver_pools"), 0);
    }

    #[test]
    fn a_capture_is_not_disturbed() {
        let pools = pools("");
        pools.driver().fill_driver_pools(100 * MIB);
        pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
        assert_eq!(flush(&pools).driver_pools, 0);
        pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
        assert_eq!(flush(&pools).driver_pools, 100 * MIB);
    }

    #[test]
    fn no_allocation_fails_for_their_sake() {
        let pools = pools("");
        pools.driver().fill_driver_pools(1000 * MIB);
        assert!(pools.allocate(512 * MIB).is_ok());
        let flush = pools.snapshot().flushes.pop().unwrap();
        assert_eq!((flush.reason, flush.driver_pools), (FlushReason::OutOfMemory, 1000 * MIB));
        assert_eq!(pools.allocate(768 * MIB), Err(DriverError::OUT_OF_MEMORY), "that was all");
    }

    #[test]
    fn a_device_whose_context_ends_is_left_alone() {
        let pools = pools("");
        let context = pools.driver().current_context().unwrap().unwrap();
        let ptr = pools.allocate(MIB).unwrap();
        pools.driver().fill_driver_pools(100 * MIB);
        let during = || {
            assert_eq!(flush(&pools).driver_pools, 0);
            1
        };
        assert_eq!(pools.end_context(context, during, || true), 1);
        assert_eq!(flush(&pools).driver_pools, 100 * MIB);
        pools.free(ptr).unwrap();
    }

    #[test]
    fn nor_after_the_end() {
        for retired in [false, true] {
            let pools = pools("");
            pools.driver().fill_driver_pools(100 * MIB);
            if retired {
                pools.retire("a test")
            } else {
                pools.close()
            }
            assert_eq!(flush(&pools).driver_pools, 0);
            assert_eq!(pools.free(DevicePtr(0)), Ok(()));
        }
    }
}
