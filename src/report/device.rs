//! The pools of one device, added up.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::{Counters, Gauge, Latency, PoolSnapshot, Quantiles, Released, Snapshot};

/// What the pools of one device come to. Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Its ordinal in the process.
    pub device: i32,
    /// Its name.
    pub name: String,
    /// Its UUID, empty if unknown.
    pub uuid: String,
    /// Its memory.
    pub total_bytes: u64,
    /// Contexts that have a pool now.
    pub contexts: u64,
    /// In the program's hands, as rounded by the pool.
    pub allocated_bytes: Amounts,
    /// Taken from the driver.
    pub reserved_bytes: Amounts,
    /// Asked for by the program.
    pub requested_bytes: Amounts,
    /// Reserved and not allocated.
    pub idle_bytes: u64,
    /// Of that, what a flush could give back at most.
    pub returnable_bytes: u64,
    /// Blocks in the program's hands.
    pub allocation: Amounts,
    /// Reservations from the driver.
    pub segment: Amounts,
    /// Allocations that failed for memory once and were tried again after a flush.
    pub num_alloc_retries: u64,
    /// Allocations that failed for memory for good.
    pub num_ooms: u64,
    /// Driver calls that reserved memory.
    pub num_device_alloc: u64,
    /// Driver calls that gave memory back.
    pub num_device_free: u64,
    /// Times that idle memory was mapped at another place instead of reserving more.
    pub num_device_move: u64,
    /// `arena` or `exact`.
    pub backing: Cow<'static, str>,
    /// Why that backing.
    pub backing_reason: String,
    /// The order in force.
    pub order: Cow<'static, str>,
    /// Allocations served from idle memory.
    pub hits: u64,
    /// Allocations that went to the driver.
    pub misses: u64,
    /// Context fences placed.
    pub fences: u64,
    /// Times the host waited for the device on the pool's account.
    pub host_syncs: u64,
    /// Given back to the driver, by cause.
    pub released_bytes: Released,
    /// What other processes gave back since an allocation here found no memory.
    pub neighbours_released_bytes: u64,
    /// Sampled time inside an allocation, in nanoseconds.
    pub malloc_latency_ns: Quantiles,
    /// Sampled time inside a free, in nanoseconds.
    pub free_latency_ns: Quantiles,
}

/// A quantity that goes up and down, added up over pools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Now.
    pub current: u64,
    /// At most so far; see [`json`](super::json) for what that means over several pools.
    pub peak: u64,
    /// Everything ever added.
    pub allocated: u64,
    /// Everything ever taken away.
    pub freed: u64,
}

/// One entry per device that a pool was made on, by ordinal.
pub(crate) fn by_device(snapshot: &Snapshot) -> Vec<Device> {
    let mut devices: BTreeMap<i32, Vec<&PoolSnapshot>> = BTreeMap::new();
    for pool in &snapshot.pools {
        devices.entry(pool.device).or_default().push(pool);
    }
    devices.values().filter_map(|pools| Device::of(pools, snapshot.order)).collect()
}

impl Device {
    /// The device of `pools`; `None` without a pool.
    fn of(pools: &[&PoolSnapshot], order: &'static str) -> Option<Self> {
        let latest = pools.iter().rev().find(|pool| pool.alive).or(pools.last())?;
        let amounts = |gauge| Amounts::of(pools, gauge);
        let sum = |count: fn(&Counters) -> u64| pools.iter().map(|p| count(&p.counters)).sum();
        let allocated_bytes = amounts(|counters| counters.allocated_bytes);
        let reserved_bytes = amounts(|counters| counters.reserved_bytes);
        Some(Self {
            device: latest.device,
            name: latest.name.clone(),
            uuid: latest.uuid.clone(),
            total_bytes: latest.total_bytes,
            contexts: pools.iter().filter(|pool| pool.alive).count() as u64,
            allocated_bytes,
            reserved_bytes,
            requested_bytes: amounts(|counters| counters.requested_bytes),
            idle_bytes: reserved_bytes.current.saturating_sub(allocated_bytes.current),
            returnable_bytes: sum(|counters| counters.returnable),
            allocation: amounts(|counters| counters.allocation),
            segment: amounts(|counters| counters.segment),
            num_alloc_retries: sum(|counters| counters.num_alloc_retries),
            num_ooms: sum(|counters| counters.num_ooms),
            num_device_alloc: sum(|counters| counters.num_device_alloc),
            num_device_free: sum(|counters| counters.num_device_free),
            num_device_move: sum(|counters| counters.num_device_move),
            backing: Cow::Borrowed(latest.backing),
            backing_reason: latest.backing_reason.clone(),
            order: Cow::Borrowed(order),
            hits: sum(|counters| counters.hits),
            misses: sum(|counters| counters.misses),
            fences: sum(|counters| counters.fences),
            host_syncs: sum(|counters| counters.host_syncs),
            released_bytes: released(pools),
            neighbours_released_bytes: sum(|counters| counters.neighbours_released),
            malloc_latency_ns: quantiles(pools, |counters| &counters.malloc_latency),
            free_latency_ns: quantiles(pools, |counters| &counters.free_latency),
        })
    }
}

impl Amounts {
    /// Adds one gauge up over `pools`; what that means for the peak, [`super::json`] says.
    fn of(pools: &[&PoolSnapshot], gauge: fn(&Counters) -> Gauge) -> Self {
        let mut total = Self::default();
        let mut highest_ended = 0;
        for pool in pools {
            let gauge = gauge(&pool.counters);
            total.current += gauge.current;
            total.allocated += gauge.allocated;
            total.freed += gauge.freed;
            if pool.alive {
                total.peak += gauge.peak;
            } else {
                highest_ended = highest_ended.max(gauge.peak);
            }
        }
        // What is there now is a lower bound, should an ended context still hold anything.
        total.peak = total.peak.max(highest_ended).max(total.current);
        total
    }
}

fn released(pools: &[&PoolSnapshot]) -> Released {
    let mut total = Released::default();
    pools.iter().for_each(|pool| total.absorb(&pool.counters.released));
    total
}

fn quantiles(pools: &[&PoolSnapshot], latency: fn(&Counters) -> &Latency) -> Quantiles {
    let mut total = Latency::default();
    for pool in pools {
        total.merge(latency(&pool.counters));
    }
    total.quantiles()
}
