//! How much memory the program is told to be free.

use super::{Phase, Pools};
use crate::driver::Driver;

impl<D: Driver> Pools<D> {
    /// `cuMemGetInfo`: bytes that are free to the program on the device of the current context, of
    /// which the driver says that `free` are. Idle memory is: an allocation that needs it gets it.
    pub fn free_memory(&self, free: u64) -> u64 {
        if self.phase() != Phase::Open {
            return free;
        }
        let Ok(device) = self.driver.context_device() else { return free };
        let pools = self.table.all();
        let mut here = pools.iter().filter(|pool| pool.device == device).peekable();
        let Some(total) = here.peek().map(|pool| pool.facts().total_bytes) else { return free };
        let idle: u64 = here.map(|pool| pool.returnable(&self.driver)).sum();
        // What is given back meanwhile may be counted twice.
        free.saturating_add(idle).min(total.max(free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::{Context, DriverError};
    use crate::fake::FakeDriver;

    const MIB: u64 = 1 << 20;
    const TOTAL: u64 = 1024 * MIB;

    fn pools(conf: &str, driver: FakeDriver) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(&format!("max_idle:none,{conf}"), false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(driver, &options)
    }

    fn both() -> [Pools<FakeDriver>; 2] {
        ["backing:arena", "backing:exact"]
            .map(|conf| pools(conf, FakeDriver::new(TOTAL).with_vmm()))
    }

    /// What the program would be told.
    fn told(pools: &Pools<FakeDriver>) -> u64 {
        pools.free_memory(TOTAL - pools.driver().reserved())
    }

    #[test]
    fn what_is_freed_is_free() {
        for pools in both() {
            assert_eq!(told(&pools), TOTAL, "without any pool");
            let (a, b) = (pools.allocate(64 * MIB).unwrap(), pools.allocate(2 * MIB).unwrap());
            assert_eq!(told(&pools), TOTAL - 66 * MIB);
            pools.free(a).unwrap();
            assert_eq!(told(&pools), TOTAL - 2 * MIB);
            pools.free(b).unwrap();
            assert_eq!(told(&pools), TOTAL);
            assert_eq!(pools.driver().reserved(), 66 * MIB, "nothing was given back for it");
        }
    }

    #[test]
    fn work_under_way_delays_no_answer() {
        for pools in both() {
            let ptr = pools.allocate(64 * MIB).unwrap();
            pools.driver().submit();
            pools.free(ptr).unwrap();
            assert_eq!(told(&pools), TOTAL);
            assert_eq!(pools.driver().count("wait_event"), 0);
        }
    }

    #[test]
    fn the_arena_counts_what_no_block_touches() {
        let pools = pools("backing:arena", FakeDriver::new(TOTAL).with_vmm());
        let blocks = [(); 32].map(|()| pools.allocate(32 << 10).unwrap());
        let full = told(&pools);
        assert_eq!(full, TOTAL - 2 * MIB, "small blocks share a page");
        for &ptr in &blocks[1..] {
            pools.free(ptr).unwrap();
        }
        assert_eq!(told(&pools), full, "which stays as long as one of them does");
        pools.free(blocks[0]).unwrap();
        assert_eq!(told(&pools), TOTAL);
    }

    #[test]
    fn what_other_contexts_of_the_device_hold_idle_counts() {
        for pools in both() {
            let ptr = pools.allocate(8 * MIB).unwrap();
            pools.free(ptr).unwrap();
            pools.driver().set_current(Context(0x20));
            assert_eq!(told(&pools), TOTAL);
        }
    }

    #[test]
    fn blocks_freed_during_a_capture_count_once_they_can_go() {
        let pools = pools("backing:exact", FakeDriver::new(TOTAL));
        let ptr = pools.allocate(8 * MIB).unwrap();
        let stream = crate::driver::Stream(7);
        pools.begin_capture(stream, || pools.driver().start_capture(stream));
        pools.free(ptr).unwrap();
        assert_eq!(told(&pools), TOTAL, "a native block can at any time");
    }

    #[test]
    fn there_is_never_more_than_the_device_has() {
        let pools = pools("", FakeDriver::new(TOTAL));
        let ptr = pools.allocate(8 * MIB).unwrap();
        pools.free(ptr).unwrap();
        assert_eq!(pools.free_memory(TOTAL - MIB), TOTAL);
        assert_eq!(pools.free_memory(TOTAL + MIB), TOTAL + MIB, "but for what the driver says");
    }

    #[test]
    fn without_a_pool_that_works_the_driver_is_right() {
        let pools = pools("", FakeDriver::new(TOTAL));
        let ptr = pools.allocate(8 * MIB).unwrap();
        pools.free(ptr).unwrap();
        pools.driver().fail_next("context_device", DriverError::INVALID_CONTEXT);
        assert_eq!(pools.free_memory(1), 1);
        pools.retire("a test");
        assert_eq!(pools.free_memory(1), 1);
    }
}
