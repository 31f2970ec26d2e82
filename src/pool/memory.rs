//! The way of a block from the backing to the program and back.

use std::sync::atomic::Ordering;

use super::Pool;
use crate::backing::{Block, Progress, Token, round_up};
use crate::driver::{DevicePtr, Driver, DriverError};
use crate::front::{Lazily, Put, ShardId};
use crate::order::{Captures, Mode, Ordered, Stamp};

impl<D: Driver> Pool<D> {
    /// Idle memory for `bytes`, ordered behind all work that may still touch it.
    #[inline]
    pub fn reuse(
        &self,
        driver: &D,
        captures: &Captures,
        mode: Mode,
        shard: ShardId,
        bytes: u64,
    ) -> Option<Block> {
        let class = round_up(bytes)?;
        if mode == Mode::Lazy && !captures.any() {
            return self.reuse_lazily(driver, captures, shard, class, bytes);
        }
        let horizon = self.fences.placed();
        // Handed on as it is: a block that is put together here again costs time.
        match self.front.take(shard, class, bytes, horizon) {
            Some(block) => Some(block),
            None => self.reuse_from_backing(driver, shard, class, bytes, horizon),
        }
    }

    /// Idle memory, behind a fence that is placed now if it needs one.
    #[inline(never)]
    fn reuse_lazily(
        &self,
        driver: &D,
        captures: &Captures,
        shard: ShardId,
        class: u64,
        bytes: u64,
    ) -> Option<Block> {
        let block = self.find_lazily(driver, shard, class, bytes)?;
        if block.stamp > self.fences.placed() {
            match self.fences.reach(driver, captures, block.stamp) {
                Ok(Ordered::Yes(_)) => {}
                // A capture began meanwhile, or the context is broken: fresh memory needs no order.
                Ok(Ordered::Captured) | Err(_) => {
                    self.front.forget(shard, block.token);
                    self.give_to_backing(block.token, block.stamp);
                    return None;
                }
            }
        }
        Some(block)
    }

    /// Idle memory, if possible such as needs no fence.
    #[inline]
    fn find_lazily(&self, driver: &D, shard: ShardId, class: u64, bytes: u64) -> Option<Block> {
        let any = Stamp(u64::MAX);
        let placed = self.fences.placed();
        let found = match self.front.take_lazily(shard, class, bytes, placed) {
            Lazily::Found(block) => return Some(block),
            Lazily::Few => match self.backing.reuse(class, placed) {
                Some(block) => {
                    self.front.enter(shard, &block, class, bytes);
                    Some(block)
                }
                None => self.front.take(shard, class, bytes, any),
            },
            Lazily::Nothing => None,
        };
        found.or_else(|| self.reuse_from_backing(driver, shard, class, bytes, any))
    }

    /// Asks the backing for what is idle there, together with what threads have freed.
    ///
    /// It is not asked before it has all of that back: a hole that is cut up while the right one is
    /// held back here costs memory (on recorded traces up to 8 %, without what the bins do about
    /// large blocks 18 %). Among many threads their waiting for the backing would cost more: only what
    /// is large goes back first, and then what one thread after the other has, for as long as the
    /// backing has nothing.
    #[cold]
    fn reuse_from_backing(
        &self,
        driver: &D,
        shard: ShardId,
        class: u64,
        bytes: u64,
        horizon: Stamp,
    ) -> Option<Block> {
        // A fault shows in the program's own next call.
        let _ = self.collect(driver);
        let ask = || self.backing.reuse(class, horizon);
        let give = |token, stamp| {
            self.give_to_backing(token, stamp);
        };
        let found = if self.front.is_crowded() {
            self.front.drain_large(shard, give);
            ask().or_else(|| self.front.drain_until(shard, give, ask))
        } else {
            self.front.drain(give);
            ask()
        };
        let block = found?;
        self.front.enter(shard, &block, class, bytes);
        Some(block)
    }

    /// Memory for `bytes` with the driver's help; see [`Backing::grow`](crate::backing::Backing).
    ///
    /// # Errors
    /// Those of the driver, `OUT_OF_MEMORY` above all.
    pub fn grow(
        &self,
        driver: &D,
        shard: ShardId,
        bytes: u64,
    ) -> Result<(Block, Vec<DevicePtr>), DriverError> {
        let class = round_up(bytes).ok_or(DriverError::OUT_OF_MEMORY)?;
        if !self.backing.is_native() && self.fences.check(driver).is_err() {
            // Virtual memory is not the context's, and to be had even after a fault; the driver's own
            // allocation says what the program would hear.
            self.wait_natively(driver)?;
        }
        let progress = Progress { ordered: self.fences.placed(), quiesced: self.quiesced(driver) };
        let (block, stale) = self.backing.grow(driver, class, progress)?;
        // Before the record is written: the backing may have given it the name of a stale block.
        self.strike(&stale);
        self.front.enter(shard, &block, class, bytes);
        Ok((block, stale))
    }

    /// The driver handed `bytes` at `ptr` out to somebody else; see
    /// [`Backing::evict`](crate::backing::Backing::evict).
    pub fn evict(&self, ptr: DevicePtr, bytes: u64) -> Vec<DevicePtr> {
        let stale = self.backing.evict(ptr, bytes);
        self.strike(&stale);
        stale
    }

    fn strike(&self, stale: &[DevicePtr]) {
        self.front.strike(stale, |token, stamp| {
            self.give_to_backing(token, stamp);
        });
    }

    /// Takes back an ordered block, to be handed out again unless it is not to be `recycled`. True
    /// if more is idle now than may be.
    #[inline]
    pub fn give(&self, shard: ShardId, token: Token, stamp: Stamp, recycled: bool) -> bool {
        if !recycled {
            self.front.forget(shard, token);
            return self.give_to_backing(token, stamp) > self.budget;
        }
        let give = |token, stamp| {
            self.give_to_backing(token, stamp);
        };
        match self.front.put(shard, token, stamp, give) {
            Put::Here => false,
            Put::More => self.exceeds_budget(),
            Put::Refused => self.give_to_backing(token, stamp) > self.budget,
        }
    }

    /// Whether more is idle than may be. Where that could be, the backing gets all of it, to say.
    fn exceeds_budget(&self) -> bool {
        let may = |front| self.spare.load(Ordering::Relaxed).saturating_add(front) > self.budget;
        if !may(self.front.idle_bound()) {
            return false;
        }
        self.drain();
        may(0)
    }

    /// The backing has everything that is idle, except for what other threads free meanwhile.
    pub(super) fn drain(&self) {
        self.front.drain(|token, stamp| {
            self.give_to_backing(token, stamp);
        });
    }

    pub(super) fn give_to_backing(&self, token: Token, stamp: Stamp) -> u64 {
        let spare = self.backing.give(token, stamp);
        self.spare.store(spare, Ordering::Relaxed);
        spare
    }

    /// Gives a block straight back to the driver, which waits as natively; one that is no allocation
    /// of the driver's own is idle after such a wait. Gives the bytes given back.
    ///
    /// # Errors
    /// Those of the driver's free.
    pub fn dispose(&self, driver: &D, shard: ShardId, token: Token) -> Result<u64, DriverError> {
        if self.backing.is_native() {
            return self.dispose_by(shard, token, &mut |ptr| driver.free(ptr));
        }
        self.wait_natively(driver)?;
        self.front.forget(shard, token);
        self.give_to_backing(token, Stamp::QUIESCED);
        Ok(0)
    }

    /// Gives a block back to the driver by `free`; only where blocks are the driver's own
    /// allocations. Gives the bytes given back.
    ///
    /// # Errors
    /// Those of `free`.
    pub fn dispose_by(
        &self,
        shard: ShardId,
        token: Token,
        free: &mut dyn FnMut(DevicePtr) -> Result<(), DriverError>,
    ) -> Result<u64, DriverError> {
        let bytes = self.backing.dispose(token, free)?;
        self.front.forget(shard, token);
        Ok(bytes)
    }

    /// What the program asked for when it got the block `token`, in bytes.
    pub fn requested(&self, token: Token) -> u64 {
        self.front.requested(token)
    }
}
