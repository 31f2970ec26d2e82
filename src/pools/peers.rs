//! Access of devices to each other's memory: `cuCtxEnablePeerAccess`.
//!
//! The driver opens its own allocations; mapped memory is opened by whoever maps it, to a device as a
//! whole and for good. So it stays open where the program disables the access again.

use parking_lot::Mutex;

use super::Pools;
use crate::driver::{Context, Current, Device, Driver, DriverError, Relaxed};
use crate::pool::Pool;

/// `device`, on which `by` lives, may use the memory of `owner`.
struct Grant {
    owner: Context,
    by: Context,
    device: Device,
}

/// The accesses that the program has enabled.
#[derive(Default)]
pub(super) struct Peers(Mutex<Vec<Grant>>);

impl Peers {
    /// A context has ended, and what was granted to it or by it.
    pub(super) fn forget(&self, context: Context) {
        self.0.lock().retain(|grant| grant.owner != context && grant.by != context);
    }

    /// The devices that may use the memory of `owner`.
    fn of(&self, owner: Context) -> Vec<Device> {
        let grants = self.0.lock();
        grants.iter().filter(|grant| grant.owner == owner).map(|grant| grant.device).collect()
    }
}

impl<D: Driver> Pools<D> {
    /// Runs `call`, which lets the current context use the memory of `owner`, and gives its
    /// `CUresult`; or, where the pool's memory cannot be opened, runs `undo` and gives the driver's
    /// reason.
    pub fn enable_peer_access(
        &self,
        owner: Context,
        call: impl FnOnce() -> i32,
        undo: impl FnOnce(),
    ) -> i32 {
        let result = call();
        if result != 0 {
            return result;
        }
        let (Ok(Some(by)), Ok(device)) =
            (self.driver.current_context(), self.driver.context_device())
        else {
            return result;
        };
        self.peers.0.lock().push(Grant { owner, by, device });
        // A pool that another thread is making finds the grant.
        let mut pools = self.table.all().into_iter().filter(|pool| pool.context == owner);
        let opened = pools.try_for_each(|pool| self.open_to(&pool, device));
        match opened {
            Ok(()) => result,
            Err(error) => {
                let kept = |grant: &Grant| (grant.owner, grant.by) != (owner, by);
                self.peers.0.lock().retain(kept);
                undo();
                error.code()
            }
        }
    }

    /// Opens a new pool's memory to whoever may use that of its context.
    pub(super) fn open_to_peers(&self, pool: &Pool<D>) -> Result<(), DriverError> {
        self.peers.of(pool.context).into_iter().try_for_each(|device| self.open_to(pool, device))
    }

    fn open_to(&self, pool: &Pool<D>, device: Device) -> Result<(), DriverError> {
        let _relaxed = Relaxed::enter(&self.driver);
        // Where the context is ending, so is its memory.
        let Some(_held) = pool.lease.hold() else { return Ok(()) };
        let _current = Current::enter(&self.driver, pool.context)?;
        pool.backing().open_to(&self.driver, device)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::config::Options;
    use crate::driver::DevicePtr;
    use crate::fake::FakeDriver;
    use crate::stats::FlushReason;

    const MIB: u64 = 1 << 20;
    const OWNER: Context = Context(0x10);
    const OTHER: Context = Context(0x20);
    const PEER: Device = Device(1);

    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(conf, false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(FakeDriver::new(1024 * MIB).with_vmm(), &options)
    }

    /// The context on the other device enables its access to the first.
    fn enable(pools: &Pools<FakeDriver>) -> i32 {
        pools.driver().set_current_on(PEER, OTHER);
        let result = pools.enable_peer_access(OWNER, || 0, || ());
        pools.driver().set_current_on(Device(0), OWNER);
        result
    }

    fn opened(pools: &Pools<FakeDriver>, ptr: DevicePtr, bytes: u64) -> bool {
        pools.driver().opened_to(PEER, ptr, bytes)
    }

    #[test]
    fn what_is_mapped_before_and_after_is_open() {
        let pools = pools("");
        let before = pools.allocate(130 * MIB).unwrap();
        assert!(!opened(&pools, before, 130 * MIB));
        assert_eq!(enable(&pools), 0);
        assert!(opened(&pools, before, 130 * MIB));
        let after = pools.allocate(70 * MIB).unwrap();
        assert!(opened(&pools, after, 70 * MIB));
    }

    #[test]
    fn so_is_a_pool_that_is_made_later() {
        let pools = pools("");
        assert_eq!(enable(&pools), 0);
        let ptr = pools.allocate(8 * MIB).unwrap();
        assert!(opened(&pools, ptr, 8 * MIB));
    }

    #[test]
    fn and_what_moves() {
        let pools = pools("");
        assert_eq!(enable(&pools), 0);
        let blocks = [(); 8].map(|()| pools.allocate(100 * MIB).unwrap());
        for ptr in blocks.into_iter().step_by(2) {
            pools.free(ptr).unwrap();
        }
        let large = pools.allocate(380 * MIB).unwrap();
        assert!(pools.driver().count("unmap_memory") > 0, "nothing moved");
        assert!(opened(&pools, large, 380 * MIB));
    }

    #[test]
    fn what_is_native_the_driver_opens() {
        let pools = pools("backing:exact");
        pools.allocate(8 * MIB).unwrap();
        assert_eq!(enable(&pools), 0);
        assert_eq!(pools.driver().count("allow_access"), 0);
    }

    #[test]
    fn an_access_that_fails_opens_nothing() {
        let pools = pools("");
        let before = pools.allocate(8 * MIB).unwrap();
        assert_eq!(pools.enable_peer_access(OWNER, || 704, || panic!("nothing to undo")), 704);
        assert!(!opened(&pools, before, 8 * MIB));
        pools.driver().fail_next("allow_access", DriverError::NOT_SUPPORTED);
        pools.driver().set_current_on(PEER, OTHER);
        let undone = Cell::new(false);
        let result = pools.enable_peer_access(OWNER, || 0, || undone.set(true));
        pools.driver().set_current_on(Device(0), OWNER);
        assert_eq!(result, DriverError::NOT_SUPPORTED.code());
        assert!(undone.get());
        let after = pools.allocate(64 * MIB).unwrap();
        assert!(!opened(&pools, after, 64 * MIB), "nor later");
    }

    #[test]
    fn it_ends_with_either_context() {
        for ends in [OWNER, OTHER] {
            let pools = pools("");
            assert_eq!(enable(&pools), 0);
            pools.context_ended(ends);
            let ptr = pools.allocate(8 * MIB).unwrap();
            assert!(!opened(&pools, ptr, 8 * MIB));
        }
    }

    #[test]
    fn what_is_given_back_meanwhile_is_no_error() {
        let pools = pools("");
        let ptr = pools.allocate(8 * MIB).unwrap();
        pools.free(ptr).unwrap();
        pools.flush(FlushReason::EmptyCache);
        assert_eq!(enable(&pools), 0);
        assert_eq!(pools.driver().count("allow_access"), 1, "of the block that was");
    }
}
