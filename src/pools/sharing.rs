//! Whether the process shares memory in ways that only native allocations allow, and so which
//! backing a new pool gets.

use std::sync::OnceLock;

use super::Pools;
use crate::backing::{
    Arena, Backing, Exact, FOREIGN_HANDLE, Kind, Surroundings, choose, wants_native,
};
use crate::config;
use crate::driver::{Device, DeviceFacts, Driver};
use crate::history::Notes;
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
        self.want_native(FOREIGN_HANDLE);
    }

    /// A call gave `sign`.
    pub(super) fn see_sharing(&self, sign: Sign) {
        if let Some(what) = wants_native(sign) {
            self.want_native(what);
        }
    }

    /// The program has used something that only native allocations can do.
    fn want_native(&self, what: &'static str) {
        // Only the first is told of.
        if self.sharing.seen.set(what).is_ok() {
            self.recheck_backings();
        }
    }

    /// Whether what is allocated from now on is native where it was not before, since the program has
    /// used what nothing else can do.
    pub fn moved_to_native(&self) -> bool {
        self.options.backing == config::Backing::Auto && self.sharing.seen.get().is_some()
    }

    /// Pools that would have another backing if they were made now serve nobody any more. They keep
    /// the blocks that the program has, and give idle memory back as any pool.
    pub(super) fn recheck_backings(&self) {
        if self.moved_to_native() && self.table.replace(|pool| !pool.backing().is_native()) {
            let what = self.sharing.seen.get().copied().unwrap_or_default();
            tracing::info!(
                "allocations are the driver's own from now on: the program has used {what}"
            );
        }
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
        let notes = Notes::new(self.history.as_ref(), device.0);
        let (Kind::Arena, Some(vmm)) = (kind, facts.vmm) else {
            return (Box::new(Exact::new().noting(notes)), reason);
        };
        match Arena::reserve(&self.driver, device, vmm, facts.total_bytes) {
            Ok(arena) => (Box::new(arena.noting(notes)), reason),
            Err(error) => {
                let reason = format!("no addresses could be reserved: {error}");
                (Box::new(Exact::new().noting(notes)), reason)
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
    fn it_counts_in_a_context_that_has_a_pool_too() {
        for wants in [|pools: &Pools<_>| pools.sign(Sign::SyncMemops), Pools::opened_foreign_handle]
        {
            let pools = pools("");
            let (held, idle) = (pools.allocate(4 << 20).unwrap(), pools.allocate(4 << 20).unwrap());
            pools.free(idle).unwrap();
            wants(&pools);
            let native = pools.allocate(4 << 20).unwrap();
            assert_eq!(
                pools.driver().count("allocate"),
                1,
                "though the other pool has idle memory"
            );
            assert_eq!(pools.address_range(held), Some(Ok((held, 4 << 20))));
            pools.free(native).unwrap();
            pools.free(held).unwrap();
            assert_eq!(pools.allocate(4 << 20), Ok(native), "cached as ever");
            let names: Vec<_> = pools.snapshot().pools.iter().map(|pool| pool.backing).collect();
            assert_eq!(names, ["arena", "exact"]);
            pools.flush(crate::stats::FlushReason::EmptyCache);
            assert_eq!(pools.driver().reserved(), 4 << 20, "the block in use");
            pools.context_ended(CONTEXT);
            assert_eq!(pools.driver().reservations(), 0);
            assert_eq!(pools.snapshot().pools.len(), 1, "one entry for what has ended");
        }
    }

    #[test]
    fn who_has_asked_for_the_arena_keeps_it() {
        let pools = pools("backing:arena");
        pools.allocate(4096).unwrap();
        pools.sign(Sign::SyncMemops);
        pools.allocate(4096).unwrap();
        assert_eq!((pools.driver().count("allocate"), pools.snapshot().pools.len()), (0, 1));
        assert!(!pools.moved_to_native());
    }

    #[test]
    fn a_context_that_ends_takes_both_pools_with_it() {
        let pools = pools("");
        let ptr = pools.allocate(4 << 20).unwrap();
        pools.sign(Sign::SyncMemops);
        pools.allocate(4096).unwrap();
        let during = || {
            pools.flush(crate::stats::FlushReason::EmptyCache);
            1
        };
        assert_eq!(pools.end_context(CONTEXT, during, || true), 1);
        pools.free(ptr).unwrap();
        assert_eq!(pools.end_context(CONTEXT, || 0, || false), 0);
        assert_eq!(pools.driver().reservations(), 0);
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
