//! What the pools count, and what of it is told.
//!
//! Words mean what they mean in `torch.cuda.memory_stats`: *allocated* is in the program's hands,
//! *reserved* is taken from the driver, *requested* is what the program asked for before rounding,
//! a *segment* is one reservation from the driver. Idle bytes are reserved − allocated.

mod events;
mod latency;
mod released;

use serde::Serialize;

pub use events::Events;
pub use latency::{Latency, LiveLatency, Quantiles};
pub use released::{Cause, LiveReleased, Released};

/// A quantity that goes up and down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// Now.
    pub current: u64,
    /// The highest `current` since the start or the last [`Gauge::reset_peak`].
    pub peak: u64,
    /// Everything ever added.
    pub allocated: u64,
    /// Everything ever taken away.
    pub freed: u64,
}

impl Gauge {
    /// Adds `amount`.
    pub fn add(&mut self, amount: u64) {
        self.current += amount;
        self.allocated += amount;
        self.peak = self.peak.max(self.current);
    }

    /// Takes `amount` away.
    pub fn sub(&mut self, amount: u64) {
        debug_assert!(amount <= self.current, "a gauge never goes below zero");
        self.current = self.current.saturating_sub(amount);
        self.freed += amount;
    }

    /// The peak starts again from now.
    pub fn reset_peak(&mut self) {
        self.peak = self.current;
    }
}

/// The counters of one pool. All sizes in bytes.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Bytes of the blocks in the program's hands, as rounded by the pool.
    pub allocated_bytes: Gauge,
    /// Bytes taken from the driver.
    pub reserved_bytes: Gauge,
    /// Bytes the program asked for.
    pub requested_bytes: Gauge,
    /// Bytes that a flush could give back now, at most.
    pub returnable: u64,
    /// Blocks in the program's hands.
    pub allocation: Gauge,
    /// Reservations from the driver.
    pub segment: Gauge,
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
    /// Allocations served from idle memory.
    pub hits: u64,
    /// Allocations that went to the driver.
    pub misses: u64,
    /// Context fences placed.
    pub fences: u64,
    /// Times the host waited for the device on the pool's account.
    pub host_syncs: u64,
    /// Bytes given back, by cause.
    pub released: Released,
    /// Bytes that other processes gave back since an allocation here found no memory.
    pub neighbours_released: u64,
    /// Sampled time inside an allocation.
    pub malloc_latency: Latency,
    /// Sampled time inside a free.
    pub free_latency: Latency,
}

impl Counters {
    /// A block of `bytes` goes to the program, which asked for `requested`.
    pub(crate) fn hand_out(&mut self, bytes: u64, requested: u64) {
        self.allocation.add(1);
        self.allocated_bytes.add(bytes);
        self.requested_bytes.add(requested);
    }

    /// Such a block comes back.
    pub(crate) fn take_back(&mut self, bytes: u64, requested: u64) {
        self.allocation.sub(1);
        self.allocated_bytes.sub(bytes);
        self.requested_bytes.sub(requested);
    }

    /// The driver gave `bytes`.
    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.num_device_alloc += 1;
        self.segment.add(1);
        self.reserved_bytes.add(bytes);
    }

    /// A reservation of `bytes` has ended.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.segment.sub(1);
        self.reserved_bytes.sub(bytes);
    }

    /// The context has ended: whatever was left in it went with it.
    pub(crate) fn end(&mut self) {
        for gauge in self.gauges() {
            gauge.sub(gauge.current);
        }
        self.returnable = 0;
    }

    /// Peaks start again from now.
    pub(crate) fn reset_peaks(&mut self) {
        for gauge in self.gauges() {
            gauge.reset_peak();
        }
    }

    /// Adds what another pool counted, which has ended.
    pub(crate) fn absorb(&mut self, other: &Counters) {
        let mut other = other.clone();
        for (gauge, other) in self.gauges().into_iter().zip(other.gauges()) {
            gauge.peak = gauge.peak.max(other.peak);
            gauge.allocated += other.allocated;
            gauge.freed += other.freed;
        }
        self.num_alloc_retries += other.num_alloc_retries;
        self.num_ooms += other.num_ooms;
        self.num_device_alloc += other.num_device_alloc;
        self.num_device_free += other.num_device_free;
        self.num_device_move += other.num_device_move;
        self.hits += other.hits;
        self.misses += other.misses;
        self.fences += other.fences;
        self.host_syncs += other.host_syncs;
        self.released.absorb(&other.released);
        self.neighbours_released += other.neighbours_released;
        self.malloc_latency.merge(&other.malloc_latency);
        self.free_latency.merge(&other.free_latency);
    }

    fn gauges(&mut self) -> [&mut Gauge; 5] {
        [
            &mut self.allocated_bytes,
            &mut self.reserved_bytes,
            &mut self.requested_bytes,
            &mut self.allocation,
            &mut self.segment,
        ]
    }
}

/// One pool, that is one context of one device, at one moment.
#[derive(Clone, Debug)]
pub struct PoolSnapshot {
    /// The device's ordinal.
    pub device: i32,
    /// Its name.
    pub name: String,
    /// Its UUID, empty if unknown.
    pub uuid: String,
    /// Its memory in bytes.
    pub total_bytes: u64,
    /// The context's handle.
    pub context: usize,
    /// Whether the context still exists.
    pub alive: bool,
    /// `exact` or `arena`.
    pub backing: &'static str,
    /// Why that backing.
    pub backing_reason: String,
    /// The counters.
    pub counters: Counters,
}

/// Why memory was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushReason {
    /// `empty_cache()` or `cupool_empty_cache()`.
    EmptyCache,
    /// The signal.
    Signal,
    /// An allocation found no memory.
    OutOfMemory,
    /// `cupool flush`.
    Request,
    /// Another process has no memory.
    Neighbour,
    /// The device has less free memory than it should.
    MinFree,
    /// A framework's own cache was emptied, later than the flush that asked for it.
    FrameworkCaches,
}

impl FlushReason {
    /// The word in the stats file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmptyCache => "empty_cache",
            Self::Signal => "signal",
            Self::OutOfMemory => "out_of_memory",
            Self::Request => "request",
            Self::Neighbour => "neighbour",
            Self::MinFree => "min_free",
            Self::FrameworkCaches => "framework_caches",
        }
    }

    /// What its bytes are counted as.
    pub const fn cause(self) -> Cause {
        match self {
            Self::EmptyCache | Self::Signal | Self::Request | Self::FrameworkCaches => Cause::Asked,
            Self::OutOfMemory => Cause::OutOfMemory,
            Self::Neighbour => Cause::Neighbour,
            Self::MinFree => Cause::MinFree,
        }
    }
}

/// What one flush did, over all pools.
#[derive(Clone, Debug)]
pub struct FlushRecord {
    /// Why.
    pub reason: FlushReason,
    /// When it began, in seconds since the Unix epoch.
    pub time: f64,
    /// Idle bytes before.
    pub idle_before: u64,
    /// Idle bytes after.
    pub idle_after: u64,
    /// Bytes given back to the driver at once.
    pub released: u64,
    /// Bytes that the device still used, to go as soon as it does not.
    pub pending: u64,
    /// Bytes of those that have gone since.
    pub released_later: u64,
    /// Bytes that the driver's own pools and graphs had cached and gave back.
    pub driver_pools: u64,
    /// How long it took, in seconds.
    pub duration: f64,
    /// Why anything stayed; empty if nothing did.
    pub kept: Vec<Kept>,
    /// Why nothing was done, if an option says so; empty if it was done.
    pub skipped: &'static str,
}

impl FlushRecord {
    /// All bytes that the flush gave back at once.
    pub const fn given_back(&self) -> u64 {
        self.released + self.driver_pools
    }
}

/// Idle memory that a flush did not give back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// How much, in bytes.
    pub bytes: u64,
    /// Why, in a few words.
    pub why: &'static str,
}

impl Kept {
    /// `None` if it is nothing.
    pub fn unless_nothing(bytes: u64, why: &'static str) -> Option<Self> {
        (bytes > 0).then_some(Self { bytes, why })
    }
}

/// Everything at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The order in force: `strict`, `fence` or `lazy` (and `unordered` under test).
    pub order: &'static str,
    /// The order asked for, for instance `auto`.
    pub order_configured: &'static str,
    /// Why `auto` went over to `strict`; empty if it did not.
    pub order_reason: String,
    /// One entry per context, the ended ones included.
    pub pools: Vec<PoolSnapshot>,
    /// The last flushes, oldest first.
    pub flushes: Vec<FlushRecord>,
    /// How many there were before those.
    pub flushes_before: u64,
    /// Why the pools were retired; empty while they work.
    pub retired: String,
    /// What the program has not freed, where that is asked for.
    pub leaks: Option<Vec<Leak>>,
}

/// Blocks of one size that the program holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The device's ordinal.
    pub device: i32,
    /// What the program asked for each time, in bytes.
    pub bytes: u64,
    /// How many there are.
    pub count: u64,
}
