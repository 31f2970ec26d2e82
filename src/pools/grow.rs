//! Fresh memory, and what is done before an allocation fails for lack of it.

use std::time::{Duration, Instant};

use super::Pools;
use super::neighbours::Asking;
use crate::backing::Block;
use crate::driver::{DevicePtr, Driver, DriverError, Relaxed};
use crate::front::ShardId;
use crate::pool::Pool;
use crate::stats::Events;

/// How long an allocation waits for memory that other threads are giving back. Theirs is a wait for
/// the device, which may in turn wait for this thread.
pub(super) const RETRY_FOR: Duration = Duration::from_secs(10);

/// Memory found after all.
enum Regained {
    Reused(Block),
    Grown(Block, Vec<DevicePtr>),
}

impl<D: Driver> Pools<D> {
    pub(super) fn grow(
        &self,
        pool: &Pool<D>,
        shard: ShardId,
        bytes: u64,
    ) -> Result<Block, DriverError> {
        let _relaxed = Relaxed::enter(&self.driver);
        let (block, stale) = match pool.grow(&self.driver, shard, bytes) {
            // What the device cannot hold is not worth everybody's cache.
            Err(DriverError::OUT_OF_MEMORY) if bytes <= pool.facts().total_bytes => {
                match self.grow_after_flush(pool, shard, bytes)? {
                    Regained::Reused(block) => return Ok(block),
                    Regained::Grown(block, stale) => (block, stale),
                }
            }
            other => other?,
        };
        self.strike(pool.number, stale);
        for other in self.table.all().iter().filter(|other| other.number != pool.number) {
            self.strike(other.number, other.evict(block.ptr, block.bytes));
        }
        Ok(block)
    }

    fn grow_after_flush(
        &self,
        pool: &Pool<D>,
        shard: ShardId,
        bytes: u64,
    ) -> Result<Regained, DriverError> {
        Events::count(&pool.events.num_alloc_retries);
        let deadline = Instant::now() + RETRY_FOR;
        self.wait_for_idle(pool, deadline);
        // Several at once might each hold what another is short of, and all fail.
        let _turn = self.short_of_memory.try_lock_until(deadline);
        let mut asking = Asking::default();
        loop {
            let reached = self.reached(pool.device);
            let mode = self.mode.mode();
            if let Some(block) = pool.reuse(&self.driver, &self.captures, mode, shard, bytes) {
                return Ok(Regained::Reused(block));
            }
            let flushed = self.flush_waiting(Some(pool.device));
            // Another thread may be in the middle of giving back what this one needs.
            let leaving = self.table.all().iter().any(|other| other.backing().leaving() > 0);
            match pool.grow(&self.driver, shard, bytes) {
                Ok((block, stale)) => return Ok(Regained::Grown(block, stale)),
                Err(DriverError::OUT_OF_MEMORY)
                    if (flushed.given_back() > 0 || leaving) && Instant::now() < deadline =>
                {
                    if leaving {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                // Freed since this one began to wait.
                Err(DriverError::OUT_OF_MEMORY)
                    if flushed.pending > 0 && Instant::now() < deadline && {
                        self.wait_for_idle(pool, deadline);
                        self.reached(pool.device) > reached
                    } => {}
                Err(DriverError::OUT_OF_MEMORY)
                    if self.neighbours_help(pool.device, &mut asking) => {}
                Err(error) => {
                    if error == DriverError::OUT_OF_MEMORY {
                        Events::count(&pool.events.num_ooms);
                        self.note_out_of_memory(pool, bytes);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Forgets blocks of the pool with that `number` that the program held, where the driver now
    /// has something else: that may already be another pool's.
    pub(super) fn strike(&self, number: u32, stale: Vec<DevicePtr>) {
        for ptr in stale {
            if let Some(entry) = self.blocks.take_of(ptr, number) {
                self.note_freed(ptr, entry);
            }
        }
    }
}
