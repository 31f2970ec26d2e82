//! What is told of the pools, as text for programs.
//!
//! The format is versioned by [`SCHEMA`]: keys may be added within a version, but none changes its
//! meaning or disappears. Sizes are integers in bytes, times seconds since the Unix epoch with
//! their fraction, durations carry their unit in the key. `tests/stats.json` beside this file is an
//! example of the whole.

mod device;
mod document;
mod process;
#[cfg(test)]
mod tests;

pub(crate) use device::by_device;
pub use device::{Amounts, Device};
pub use document::SCHEMA;
pub use process::ProcessFacts;
pub(crate) use process::start_ticks;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Options;
use crate::stats::Snapshot;
use document::Document;

/// The stats file: one JSON object, indented, with a newline at its end.
///
/// `reason` says what it is written for (`signal`, `request`, `interval`, `exit`), `sequence` how
/// many this process wrote before. The keys are
///
/// | key | meaning |
/// |---|---|
/// | `schema` | [`SCHEMA`] |
/// | `version` | of cupool |
/// | `pid`, `process_start_time`, `executable` | the process; the time tells a reused pid apart |
/// | `sequence`, `reason`, `time` | this report |
/// | `options` | every option with its value, as in `CUPOOL_CONF` |
/// | `order` | the order in force: `strict`, `fence`, `lazy` |
/// | `order_configured`, `order_reason` | what was asked for, and why `auto` went over to `strict` |
/// | `retired` | why cupool serves no more allocations; null while it does |
/// | `devices` | one entry per device, by ordinal |
/// | `flushes` | the last times that idle memory was given back, oldest first |
/// | `leaks` | in the file at exit, where `report_leaks` is set: blocks that were never freed, each `{device, bytes, count}`, those that hold the most first; `bytes` is what the program asked for each time |
///
/// An entry of `devices` adds up the pools of all contexts of the device, those that have ended
/// included:
///
/// | key | meaning |
/// |---|---|
/// | `device`, `name`, `uuid`, `total_bytes` | the device |
/// | `contexts` | how many contexts have a pool now |
/// | `allocated_bytes`, `reserved_bytes`, `requested_bytes`, `allocation`, `segment` | as in `torch.cuda.memory_stats`, each `{current, peak, allocated, freed}` |
/// | `idle_bytes` | `reserved_bytes.current` − `allocated_bytes.current` |
/// | `returnable_bytes` | how much of that a flush could give back, at most; the rest lies beside blocks in use |
/// | `num_alloc_retries`, `num_ooms`, `num_device_alloc`, `num_device_free` | as in `torch.cuda.memory_stats` |
/// | `num_device_move` | times that idle memory was mapped at another place instead of reserving more |
/// | `backing`, `backing_reason` | where memory comes from, and why |
/// | `order` | as above |
/// | `hits`, `misses` | allocations served from idle memory, and from the driver |
/// | `fences`, `host_syncs` | fences placed; times the host waited for the device |
/// | `released_bytes` | what went back to the driver, `{asked, out_of_memory, neighbour, min_free, max_idle, decay}` by what had it given back: a flush that was asked for, an allocation here or in another process that found no memory, or the option of that name |
/// | `neighbours_released_bytes` | what other processes gave back since an allocation here found no memory (`ask_neighbours`) |
/// | `malloc_latency_ns`, `free_latency_ns` | `{count, p50, p90, p99, max}` in nanoseconds, sampled |
///
/// An entry of `flushes`:
///
/// | key | meaning |
/// |---|---|
/// | `reason`, `time`, `duration_seconds` | `signal`, `request`, `empty_cache`, `out_of_memory`, `neighbour`, `min_free` or `framework_caches`; when, and how long it took |
/// | `idle_bytes_before`, `idle_bytes_after` | of all pools of cupool |
/// | `released_bytes` | given back at once |
/// | `pending_bytes`, `released_later_bytes` | still in use by the device then, and what of it has gone since |
/// | `driver_pools_released_bytes` | beside all that: what the driver had cached in its stream-ordered pools and for graphs (option `flush_driver_pools`) |
/// | `kept` | what stayed, each `{bytes, reason}` |
/// | `skipped` | why nothing was done (`flush_threshold`, `flush_interval`); null if it was |
///
/// A *peak* is exact where a device has one context at a time. The peaks of contexts that exist
/// together are added, which is an upper bound: they may have been reached at different times. The
/// peak of a context that has ended stands by itself, since its memory was gone before what came
/// later.
pub fn json(
    snapshot: &Snapshot,
    process: &ProcessFacts,
    options: &Options,
    reason: &str,
    sequence: u64,
) -> String {
    Document::new(snapshot, process, options, reason, sequence, now()).to_json()
}

/// Seconds since the Unix epoch; 0 if the clock stands before it.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}
