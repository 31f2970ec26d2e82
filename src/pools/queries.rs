//! What the pools answer about addresses, and what they do about blocks that others get to know.

use super::Pools;
use crate::backing::{GRANULE, Token};
use crate::driver::{Context, DevicePtr, Driver, DriverError};
use crate::front::ShardId;
use crate::pool::Pool;
use crate::ptrmap::Entry;

/// What is at an address that is a pool's, or of another process's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resident {
    /// A block that the program holds.
    Block(Held),
    /// Nothing that the program has: freed, never handed out, or behind the end of a block.
    Nothing {
        /// Whether the pool's memory is native allocations of the driver.
        native: bool,
    },
}

/// A block that the program holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// Where it begins.
    pub start: DevicePtr,
    /// Its size in bytes, as the program asked for it.
    pub bytes: u64,
    /// Its context.
    pub context: Context,
    /// Whether it is an allocation of the driver's own.
    pub native: bool,
}

impl<D: Driver> Pools<D> {
    /// What is at `ptr`; `None` if the address is none of ours.
    pub fn resident(&self, ptr: DevicePtr) -> Option<Resident> {
        let pools = self.table.all();
        let Some(pool) = pools.iter().find(|pool| pool.backing().owns(ptr)) else {
            return self.imports.resident(ptr);
        };
        let native = pool.backing().is_native();
        Some(match self.held(pool, ptr) {
            Some((start, bytes)) => {
                Resident::Block(Held { start, bytes, context: pool.context, native })
            }
            None => Resident::Nothing { native },
        })
    }

    /// Start and requested size of the block of `pool` that holds `ptr`.
    fn held(&self, pool: &Pool<D>, ptr: DevicePtr) -> Option<(DevicePtr, u64)> {
        // To the backing, a block that is idle in front of it is still handed out, and each is as
        // large as its class.
        let (start, _) = pool.backing().find(ptr)?;
        let entry = self.blocks.get(start).filter(|entry| entry.pool() == pool.number)?;
        let bytes = pool.requested(Token(entry.token()));
        (ptr.0 - start.0 < bytes).then_some((start, bytes))
    }

    /// Start and requested size of the block that holds `ptr`; `None` if it is not ours.
    ///
    /// # Errors
    /// `NOT_FOUND`, as the driver's, where the program has no block any more but the pool has.
    pub fn address_range(&self, ptr: DevicePtr) -> Option<Result<(DevicePtr, u64), DriverError>> {
        if !matches!(self.driver.current_context(), Ok(Some(_))) {
            // The driver says so, whatever the pointer.
            return None;
        }
        match self.resident(ptr)? {
            Resident::Block(block) => Some(Ok((block.start, block.bytes))),
            Resident::Nothing { .. } => Some(Err(DriverError::NOT_FOUND)),
        }
    }

    /// A number for the block that starts at `start`, which no other block of the process has or
    /// had; `None` if none of ours starts there.
    pub fn buffer_id(&self, start: DevicePtr) -> Option<u64> {
        self.marks.buffer_id(&self.blocks, start)
    }

    /// Somebody may reach the blocks in these `bytes` from `ptr` on by other means than their
    /// addresses (another process, another device): they are never handed out again, but go back to
    /// the driver when the program frees them.
    pub fn pin(&self, ptr: DevicePtr, bytes: u64) {
        let end = ptr.0.saturating_add(bytes.max(1));
        let mut at = ptr;
        while at.0 < end {
            let block = match self.resident(at) {
                Some(Resident::Block(block)) => block,
                // Behind the end of a block the next one may begin.
                Some(Resident::Nothing { .. }) => {
                    at = DevicePtr((at.0 + 1).next_multiple_of(GRANULE));
                    continue;
                }
                None => return,
            };
            if let Some(entry) = self.marks.pin(&self.blocks, block.start)
                && let Some(pool) = self.table.of_number(entry.pool())
            {
                pool.backing().pin(Token(entry.token()));
            }
            at = DevicePtr(block.start.0.saturating_add(block.bytes));
        }
    }

    /// Frees a block that is marked, if that takes more than the free of any other: one that is
    /// pinned goes back to the driver, which waits as natively. `None`: it is to be freed as any
    /// other.
    #[cold]
    pub(super) fn free_marked(
        &self,
        pool: &Pool<D>,
        ptr: DevicePtr,
        entry: Entry,
    ) -> Option<Result<(), DriverError>> {
        let mark = self.marks.take(ptr);
        if !mark.pinned || !pool.backing().is_native() {
            // What is not native, the backing itself keeps from being handed out again.
            return None;
        }
        let disposed = pool.dispose(&self.driver, ShardId::default(), Token(entry.token()));
        if disposed.is_err() {
            // Not freed: the block stays the program's.
            self.marks.restore(ptr, mark);
            self.blocks.insert(ptr, entry);
        }
        Some(disposed.map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::fake::FakeDriver;

    const MIB: u64 = 1 << 20;

    fn pools_on(driver: FakeDriver) -> Pools<FakeDriver> {
        Pools::new(driver, &Options::defaults())
    }

    fn pools() -> Pools<FakeDriver> {
        pools_on(FakeDriver::new(1024 * MIB))
    }

    #[test]
    fn only_what_the_program_holds_is_a_block() {
        let vmm = || FakeDriver::new(1024 * MIB).with_vmm();
        for (driver, native) in [(FakeDriver::new(1024 * MIB), true), (vmm(), false)] {
            let pools = pools_on(driver);
            let start = pools.allocate(5 * MIB + 1000).unwrap();
            let held = Held { start, bytes: 5 * MIB + 1000, context: Context(0x10), native };
            let at = |offset| pools.resident(DevicePtr(start.0 + offset));
            assert_eq!(at(0), Some(Resident::Block(held)));
            assert_eq!(at(5 * MIB + 999), Some(Resident::Block(held)));
            assert_eq!(at(5 * MIB + 1000), Some(Resident::Nothing { native }), "behind its end");
            assert_eq!(pools.resident(DevicePtr(0x1000)), None);
            pools.free(start).unwrap();
            assert_eq!(at(0), Some(Resident::Nothing { native }), "freed, though it is cached");
            assert_eq!(pools.address_range(start), Some(Err(DriverError::NOT_FOUND)));
        }
    }

    #[test]
    fn a_buffer_id_is_that_of_one_allocation() {
        let pools = pools();
        let (first, other) = (pools.allocate(MIB).unwrap(), pools.allocate(MIB).unwrap());
        let id = pools.buffer_id(first).unwrap();
        assert_eq!(pools.buffer_id(first), Some(id));
        assert_ne!(pools.buffer_id(other), Some(id));
        assert_eq!(pools.buffer_id(DevicePtr(first.0 + 512)), None, "no start of a block");
        pools.free(first).unwrap();
        assert_eq!(pools.buffer_id(first), None);
        assert_eq!(pools.allocate(MIB), Ok(first));
        assert_ne!(pools.buffer_id(first), Some(id), "the same memory, another allocation");
    }

    #[test]
    fn an_id_ends_with_its_context_too() {
        let pools = pools();
        let first = pools.allocate(MIB).unwrap();
        let id = pools.buffer_id(first);
        pools.pin(first, 1);
        pools.context_ended(Context(0x10));
        assert_eq!(pools.buffer_id(first), None);
        let entry = Entry::new(7, 0);
        pools.blocks.insert(first, entry);
        assert_ne!(pools.buffer_id(first), id);
        assert!(!pools.marks.take(first).pinned, "another block");
    }

    #[test]
    fn what_others_may_reach_goes_back_when_it_is_freed() {
        let pools = pools();
        let ptr = pools.allocate(4 * MIB).unwrap();
        pools.pin(DevicePtr(ptr.0 + 100), 1);
        pools.driver().fail_next("free", DriverError::INVALID_VALUE);
        assert_eq!(pools.free(ptr), Err(DriverError::INVALID_VALUE));
        assert_eq!(pools.free(ptr), Ok(()), "it stayed the program's, and pinned");
        assert_eq!((pools.driver().count("free"), pools.idle_bytes()), (2, 0));
        assert_eq!(pools.free(ptr), Err(DriverError::INVALID_VALUE), "a double free");
        let next = pools.allocate(4 * MIB).unwrap();
        pools.free(next).unwrap();
        assert_eq!(pools.idle_bytes(), 4 * MIB, "any other block is cached");
    }

    #[test]
    fn every_block_of_a_range_is_pinned() {
        let pools = pools();
        // One behind the other, with a gap behind the end of each.
        let blocks = [(); 4].map(|()| pools.allocate(2 * MIB - 1000).unwrap());
        assert_eq!(blocks[3].0 - blocks[0].0, 6 * MIB);
        pools.pin(blocks[0], blocks[2].0 + 1 - blocks[0].0);
        for ptr in blocks {
            pools.free(ptr).unwrap();
        }
        assert_eq!(pools.idle_bytes(), 2 * MIB, "all but the last went back");
    }
}
