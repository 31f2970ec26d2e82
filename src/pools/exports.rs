//! Blocks that other processes may map, by the physical memory behind them.

use super::{Phase, Pools, Resident};
use crate::backing::{Backing, Pieces, Token};
use crate::driver::{Current, DevicePtr, Driver, Relaxed};

/// A block that other processes may map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Export {
    /// Where it begins here.
    pub start: DevicePtr,
    /// Its size in bytes, as the program asked for it.
    pub bytes: u64,
    /// A number that no other block of the process has or had.
    pub id: u64,
}

impl<D: Driver> Pools<D> {
    /// The block that holds `ptr`, pinned from now on; `None` if there is none, or none whose memory
    /// can be shared by descriptor.
    pub fn export(&self, ptr: DevicePtr) -> Option<Export> {
        let Some(Resident::Block(block)) = self.resident(ptr) else { return None };
        if block.native {
            return None;
        }
        self.pin(block.start, 1);
        let id = self.buffer_id(block.start)?;
        let export = Export { start: block.start, bytes: block.bytes, id };
        self.with_memory(export, |_| ()).map(|()| export)
    }

    /// Calls `f` with the memory behind an exported block, which stays there meanwhile, in the block's
    /// context. `None` if the program has freed the block, or the context or the process is ending.
    pub fn with_memory<T>(&self, export: Export, f: impl FnOnce(&Pieces) -> T) -> Option<T> {
        if self.phase() != Phase::Open {
            return None;
        }
        let entry = self.blocks.get(export.start)?;
        let pool = self.table.of_number(entry.pool())?;
        let _lease = pool.lease.hold()?;
        let _relaxed = Relaxed::enter(&self.driver);
        let _current = Current::enter(&self.driver, pool.context).ok()?;
        let token = Token(entry.token());
        let pieces = pool.backing().hold(token)?;
        let _held = LetGo { backing: pool.backing(), token };
        // What was held may be another block, in the place of one that was freed just before.
        let still = self.blocks.get(export.start).is_some_and(|now| {
            (now.pool(), now.token()) == (entry.pool(), entry.token())
                && pool.requested(token) == export.bytes
                && self.buffer_id(export.start) == Some(export.id)
        });
        still.then(|| f(&pieces))
    }
}

/// Lets a held block go.
struct LetGo<'a, D: Driver> {
    backing: &'a dyn Backing<D>,
    token: Token,
}

impl<D: Driver> Drop for LetGo<'_, D> {
    fn drop(&mut self) {
        self.backing.let_go(self.token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::Context;
    use crate::fake::FakeDriver;
    use crate::stats::FlushReason;

    const MIB: u64 = 1 << 20;

    fn pools(driver: FakeDriver) -> Pools<FakeDriver> {
        Pools::new(driver, &Options::defaults())
    }

    fn arena() -> Pools<FakeDriver> {
        pools(FakeDriver::new(1024 * MIB).with_vmm())
    }

    #[test]
    fn an_export_is_that_of_the_block() {
        let pools = arena();
        let [a, b] = [1000, 3000].map(|bytes| pools.allocate(bytes).unwrap());
        let export = pools.export(DevicePtr(b.0 + 700)).unwrap();
        assert_eq!((export.start, export.bytes), (b, 3000));
        assert_eq!(pools.export(b), Some(export), "the same for the same block");
        let other = pools.export(a).unwrap();
        assert_ne!(other.id, export.id);
        let [first, second] =
            [other, export].map(|export| pools.with_memory(export, Pieces::clone).unwrap());
        assert_eq!(first.memory, second.memory, "they share a page");
        assert_eq!(second.offset - first.offset, b.0 - a.0);
        assert_eq!(pools.export(DevicePtr(b.0 + 3000)), None, "behind its end");
    }

    #[test]
    fn native_blocks_have_handles_of_their_own() {
        let pools = pools(FakeDriver::new(1024 * MIB));
        let ptr = pools.allocate(MIB).unwrap();
        assert_eq!(pools.export(ptr), None);
    }

    #[test]
    fn only_the_very_block_is_found() {
        let pools = arena();
        let ptr = pools.allocate(4 * MIB).unwrap();
        let export = pools.export(ptr).unwrap();
        let found = |export| pools.with_memory(export, |_| ()).is_some();
        assert!(found(export));
        assert!(!found(Export { bytes: export.bytes + 1, ..export }));
        assert!(!found(Export { id: export.id + 1, ..export }));
        assert!(!found(Export { start: DevicePtr(ptr.0 + 512), ..export }));
        pools.free(ptr).unwrap();
        assert!(!found(export));
        pools.flush(FlushReason::EmptyCache);
        let again = pools.allocate(4 * MIB).unwrap();
        assert_eq!(again, ptr, "another block in its place");
        assert!(!found(export));
        pools.context_ended(Context(0x10));
        assert!(!found(export));
    }

    #[test]
    fn what_is_being_sent_stays_though_it_is_freed() {
        for bytes in [4 * MIB, 1000] {
            let pools = arena();
            let ptr = pools.allocate(bytes).unwrap();
            let export = pools.export(ptr).unwrap();
            let sent = pools.with_memory(export, |_| {
                pools.free(ptr).unwrap();
                pools.flush(FlushReason::EmptyCache);
                assert_eq!(pools.driver().count("release_memory"), 0);
            });
            assert!(sent.is_some());
            pools.flush(FlushReason::EmptyCache);
            assert_eq!(pools.driver().count("release_memory"), 1);
        }
    }
}
