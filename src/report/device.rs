//! The pools of one device, added up.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stats::{Counters, Gauge, Latency, PoolSnapshot, Quantiles, Snapshot};

#[derive(Serialize)]
pub(super) struct Device {
    device: i32,
    name: String,
    uuid: String,
    total_bytes: u64,
    contexts: u64,
    allocated_bytes: Amounts,
    reserved_bytes: Amounts,
    requested_bytes: Amounts,
    idle_bytes: u64,
    allocation: Amounts,
    segment: Amounts,
    num_alloc_retries: u64,
    num_ooms: u64,
    num_device_alloc: u64,
    num_device_free: u64,
    backing: &'static str,
    backing_reason: String,
    order: &'static str,
    hits: u64,
    misses: u64,
    fences: u64,
    host_syncs: u64,
    malloc_latency_ns: Durations,
    free_latency_ns: Durations,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Amounts {
    current: u64,
    peak: u64,
    allocated: u64,
    freed: u64,
}

#[derive(Serialize)]
struct Durations {
    count: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

/// One entry per device that a pool was made on, by ordinal.
pub(super) fn by_device(snapshot: &Snapshot) -> Vec<Device> {
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
            allocation: amounts(|counters| counters.allocation),
            segment: amounts(|counters| counters.segment),
            num_alloc_retries: sum(|counters| counters.num_alloc_retries),
            num_ooms: sum(|counters| counters.num_ooms),
            num_device_alloc: sum(|counters| counters.num_device_alloc),
            num_device_free: sum(|counters| counters.num_device_free),
            backing: latest.backing,
            backing_reason: latest.backing_reason.clone(),
            order,
            hits: sum(|counters| counters.hits),
            misses: sum(|counters| counters.misses),
            fences: sum(|counters| counters.fences),
            host_syncs: sum(|counters| counters.host_syncs),
            malloc_latency_ns: Durations::of(pools, |counters| &counters.malloc_latency),
            free_latency_ns: Durations::of(pools, |counters| &counters.free_latency),
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

impl Durations {
    fn of(pools: &[&PoolSnapshot], latency: fn(&Counters) -> &Latency) -> Self {
        let mut total = Latency::default();
        for pool in pools {
            total.merge(latency(&pool.counters));
        }
        let Quantiles { count, p50, p90, p99, max } = total.quantiles();
        Self { count, p50, p90, p99, max }
    }
}
