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
