//! Whether the process shares memory in ways that only native allocations allow, and so which
//! backing a new pool gets.

use std::sync::OnceLock;

use super::Pools;
use crate::backing::{
    Arena, Backing, Exact, FOREIGN_HANDLE, Kind, Surroundings, choose, wants_native,
};
use crate::config;
use crate::driver::{Device, DeviceFacts, Driver};
use crate::order::Sign;

/// What is known of that.
pub(super) struct Sharing {
    /// The first thing that the program asked for and the arena cannot do.
    seen: OnceLock<&'static str>,
    /// What is around the pools.
    look: fn() -> Surroundings,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { seen: OnceLock::new(), look: Surroundings::default }
    }
}

impl Sharing {
    /// A call gave `sign`.
    pub(super) fn see(&self, sign: Sign) {
        if let Some(what) = wants_native(sign) {
            // Only the first is told of.
            let _ = self.seen.set(what);
        }
    }
}

impl<D: Driver> Pools<D> {
    /// The same in a process of which `look` tells what is around the pools, asked once for each
    /// pool that is made.
    pub fn among(mut self, look: fn() -> Surroundings) -> Self {
        self.sharing.look = look;
        self
    }

    /// The program has opened a CUDA IPC handle that is none of ours: it shares memory with processes
    /// that may not run cupool.
    pub fn opened_foreign_handle(&self) {
        let _ = self.sharing.seen.set(FOREIGN_HANDLE);
    }

    /// The backing for a new pool on `device`, and why.
    pub(super) fn choose_backing(
        &self,
        device: Device,
        facts: &DeviceFacts,
    ) -> (Box<dyn Backing<D>>, String) {
        let option = self.options.backing;
        let seen = self.sharing.seen.get().copied();
        // Who has decided needs nobody to look.
        let surroundings = match option {
            config::Backing::Auto => (self.sharing.look)(),
            config::Backing::Arena | config::Backing::Exact => Surroundings::default(),
        };
        let (kind, reason) = choose(option, facts.vmm, seen, &surroundings);
        let (Kind::Arena, Some(vmm)) = (kind, facts.vmm) else {
            return (Box::new(Exact::new()), reason);
        };
        match Arena::reserve(&self.driver, device, vmm, facts.total_bytes) {
            Ok(arena) => (Box::new(arena), reason),
            Err(error) => {
                (Box::new(Exact::new()), format!("no addresses could be reserved: {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::Context;
    use crate::fake::FakeDriver;

    const CONTEXT: Context = Context(0x10);

    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(conf, false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(FakeDriver::new(1 << 30).with_vmm(), &options)
    }

    fn backing(pools: &Pools<FakeDriver>) -> (&'static str, String) {
        pools.allocate(4096).unwrap();
        let pool = &pools.snapshot().pools[0];
        (pool.backing, pool.backing_reason.clone())
    }

    #[test]
    fn a_pool_that_another_thread_was_faster_to_make_leaves_nothing() {
        let pools = pools("");
        let first = pools.add_pool(CONTEXT).unwrap().number;
        assert_eq!(pools.add_pool(CONTEXT).unwrap().number, first);
        assert_eq!(pools.driver().count("reserve_addresses"), 2);
        assert_eq!(pools.driver().reservations(), 1);
    }

    #[test]
    fn a_call_that_wants_native_blocks_counts_from_then_on() {
        let pools = pools("");
        assert_eq!(backing(&pools).0, "arena");
        pools.sign(Sign::PinnedMemory);
        pools.sign(Sign::Ipc);
        pools.context_ended(CONTEXT);
        assert_eq!(backing(&pools).0, "arena", "handles of ours do");
        pools.sign(Sign::SyncMemops);
        pools.opened_foreign_handle();
        pools.context_ended(CONTEXT);
        let (name, reason) = backing(&pools);
        assert_eq!(name, "exact");
        assert!(reason.contains(Sign::SyncMemops.name()), "{reason}");
    }

    #[test]
    fn what_is_around_counts() {
        let launched =
            || Surroundings { launcher: Some("PMI_SIZE=2".to_owned()), ..<_>::default() };
        let pools = pools("").among(launched);
        assert_eq!(backing(&pools).0, "exact");
    }

    #[test]
    fn without_addresses_there_is_the_other_backing() {
        let pools = pools("backing:arena");
        pools.driver().fail_next("reserve_addresses", crate::driver::DriverError::OUT_OF_MEMORY);
        let (name, reason) = backing(&pools);
        assert_eq!(name, "exact");
        assert!(reason.contains("addresses"), "{reason}");
    }
}
