//! What happens in a pool, counted by all threads without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Counters, LiveLatency, LiveReleased};

/// Counters that only go up, and sampled times.
#[derive(Default)]
pub struct Events {
    /// Allocations that failed for memory once and were tried again after a flush.
    pub num_alloc_retries: AtomicU64,
    /// Allocations that failed for memory for good.
    pub num_ooms: AtomicU64,
    /// Times the host waited for the device on the pool's account.
    pub host_syncs: AtomicU64,
    /// Bytes given back, by cause.
    pub released: LiveReleased,
    /// Bytes that other processes gave back since an allocation here found no memory.
    pub neighbours_released: AtomicU64,
    /// Sampled time inside an allocation.
    pub malloc_latency: LiveLatency,
    /// Sampled time inside a free.
    pub free_latency: LiveLatency,
}

impl Events {
    /// One more.
    pub fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Enters what was counted so far.
    pub(crate) fn enter(&self, counters: &mut Counters) {
        counters.num_alloc_retries = self.num_alloc_retries.load(Ordering::Relaxed);
        counters.num_ooms = self.num_ooms.load(Ordering::Relaxed);
        counters.host_syncs = self.host_syncs.load(Ordering::Relaxed);
        counters.released = self.released.now();
        counters.neighbours_released = self.neighbours_released.load(Ordering::Relaxed);
        counters.malloc_latency = self.malloc_latency.now();
        counters.free_latency = self.free_latency.now();
    }
}
