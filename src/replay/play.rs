//! One trace from its first line to its last.

use std::time::{Duration, Instant};

use super::costs;
use super::figures::Figures;
use super::model::{Call, ModelDriver};
use crate::config::{Options, TraceFile};
use crate::driver::DevicePtr;
use crate::pools::{Pools, Segment};
use crate::trace::{Action, Trace};

/// How a trace is played.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The options of the pool.
    pub options: Options,
    /// How long after it was submitted the device has done something.
    pub lag: Duration,
    /// Whether every block is followed to see that no memory is handed out twice, or taken away
    /// while it is in use. Slower: `host_ns_per_op` then tells nothing.
    pub audit: bool,
}

impl Settings {
    /// The lag where none is given.
    pub const LAG: Duration = Duration::from_millis(10);
}

/// What the program did, as the trace alone tells it.
#[derive(Default)]
struct Requests {
    allocations: u64,
    frees: u64,
    zero_sized: u64,
    failed: u64,
    bytes: u64,
    peak_bytes: u64,
    native_ns: u64,
}

/// The pool after one call of the program.
pub struct Moment<'a> {
    /// The call's number, from 0.
    pub call: usize,
    /// When it was made, in microseconds since the start of the trace.
    pub micros: u64,
    /// Whether it failed for lack of memory.
    pub failed: bool,
    pools: &'a Pools<ModelDriver>,
}

impl Moment<'_> {
    /// Bytes that are taken from the device.
    pub fn reserved(&self) -> u64 {
        self.pools.driver().taken_bytes()
    }

    /// Bytes of those that the program does not hold.
    pub fn idle(&self) -> u64 {
        self.pools.idle_bytes()
    }

    /// All memory, block by block.
    pub fn segments(&self) -> Vec<Segment> {
        self.pools.segments()
    }
}

/// Plays `trace` through new pools on a modelled driver. `name` is what the figures call it.
pub fn play(name: &str, trace: &Trace, settings: &Settings) -> Figures {
    play_watched(name, trace, settings, |_| {})
}

/// The same, and shows `watch` the pool after every call.
pub fn play_watched(
    name: &str,
    trace: &Trace,
    settings: &Settings,
    mut watch: impl FnMut(&Moment),
) -> Figures {
    // A replay that recorded itself would be nobody's program.
    let options = Options { trace: TraceFile::Off, ..settings.options.clone() };
    let pools = Pools::new(ModelDriver::new(settings.lag, settings.audit), &options);
    // The block of each allocation, while the program holds it.
    let mut held: Vec<Option<(DevicePtr, u64)>> = Vec::with_capacity(trace.allocations as usize);
    let mut requests = Requests::default();
    let mut thread = None;
    let started = Instant::now();
    for (call, event) in trace.events.iter().enumerate() {
        let failed_before = requests.failed;
        pools.driver().next_call(event.micros);
        if thread.replace(event.thread) != Some(event.thread) {
            pools.stand_for_thread(event.thread);
        }
        match event.action {
            Action::Allocate { bytes, .. } => {
                let block = pools.allocate(bytes).ok();
                requests.allocate(bytes, block.is_some());
                if let Some(ptr) = block {
                    pools.driver().handed_out(ptr, bytes);
                }
                held.push(block.map(|ptr| (ptr, bytes)));
            }
            Action::Free { id } => {
                // What could not be allocated is not there to be freed.
                if let Some((ptr, bytes)) = held.get_mut(id as usize).and_then(Option::take) {
                    requests.free(bytes);
                    pools.driver().given_back(ptr);
                    if let Err(error) = pools.free(ptr) {
                        requests.failed += 1;
                        tracing::warn!("{name}: freeing block {id}: {error}");
                    }
                }
            }
        }
        let failed = requests.failed > failed_before;
        watch(&Moment { call, micros: event.micros, failed, pools: &pools });
    }
    let host = started.elapsed();
    let snapshot = pools.snapshot();
    let account = pools.driver().account();
    let us = |ns: u64| ns as f64 / 1e3;
    let reserved_peak_bytes = pools.driver().peak_bytes();
    let pool = snapshot.pools.first();
    Figures {
        schema: Figures::SCHEMA,
        trace: name.to_owned(),
        backing: pool.map_or("none", |pool| pool.backing),
        order: snapshot.order,
        lag_us: us(settings.lag.as_nanos() as u64),
        allocations: requests.allocations,
        frees: requests.frees,
        zero_sized: requests.zero_sized,
        failed: requests.failed,
        live_at_end: held.iter().flatten().count() as u64,
        requested_peak_bytes: requests.peak_bytes,
        reserved_peak_bytes,
        allocated_peak_bytes: pool.map_or(0, |pool| pool.counters.allocated_bytes.peak),
        reserved_over_requested: match requests.peak_bytes {
            0 => 0.0,
            requested => reserved_peak_bytes as f64 / requested as f64,
        },
        hits: pool.map_or(0, |pool| pool.counters.hits),
        misses: pool.map_or(0, |pool| pool.counters.misses),
        driver_us: us(account.memory_ns + account.wait_ns),
        driver_calls: account.calls.iter().sum(),
        calls: Call::NAMES.into_iter().zip(account.calls).filter(|&(_, n)| n > 0).collect(),
        waits: account.waits,
        wait_us: us(account.wait_ns),
        fences: pool.map_or(0, |pool| pool.counters.fences),
        fence_us: us(account.fence_ns),
        native_driver_us: us(requests.native_ns),
        violations: pools.driver().violations(),
        host_ns_per_op: host.as_nanos() as f64 / trace.events.len().max(1) as f64,
    }
}

impl Requests {
    fn allocate(&mut self, bytes: u64, succeeded: bool) {
        if bytes == 0 {
            // Refused by the driver: no memory is concerned.
            self.zero_sized += 1;
            return;
        }
        self.allocations += 1;
        self.native_ns += costs::allocate(if succeeded { bytes } else { 0 });
        if succeeded {
            self.bytes += bytes;
            self.peak_bytes = self.peak_bytes.max(self.bytes);
        } else {
            self.failed += 1;
        }
    }

    fn free(&mut self, bytes: u64) {
        self.frees += 1;
        self.bytes -= bytes;
        self.native_ns += costs::free(bytes);
    }
}
