//! The families of series, each with its name, type and help.

use std::fmt::{Display, Write};

use crate::report::{Device, ProcessFacts, by_device};
use crate::stats::{Quantiles, Snapshot};

const GAUGE: &str = "gauge";
const COUNTER: &str = "counter";

/// A family with one series for each device.
struct PerDevice {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&Device) -> u64,
}

/// Makes the table from `kind name: "help" = value;`.
macro_rules! per_device {
    ($($kind:ident $name:ident: $help:literal = $value:expr;)+) => {
        const PER_DEVICE: &[PerDevice] = &[$(PerDevice {
            name: concat!("cupool_", stringify!($name)),
            kind: $kind,
            help: $help,
            value: $value,
        }),+];
    };
}

per_device! {
    GAUGE device_memory_bytes: "Memory of the device." = |d| d.total_bytes;
    GAUGE contexts: "CUDA contexts of the process that have a pool." = |d| d.contexts;
    GAUGE allocated_bytes: "Memory in the program's hands, as rounded by the pool." =
        |d| d.allocated_bytes.current;
    GAUGE allocated_peak_bytes: "The most memory that was in the program's hands." =
        |d| d.allocated_bytes.peak;
    GAUGE reserved_bytes: "Memory taken from the driver." = |d| d.reserved_bytes.current;
    GAUGE reserved_peak_bytes: "The most memory that was taken from the driver." =
        |d| d.reserved_bytes.peak;
    GAUGE requested_bytes: "Memory in the program's hands, as it asked for it." =
        |d| d.requested_bytes.current;
    GAUGE idle_bytes: "Memory reserved and not allocated." = |d| d.idle_bytes;
    GAUGE returnable_bytes: "Idle memory that a flush could give back, at most." =
        |d| d.returnable_bytes;
    GAUGE blocks: "Blocks in the program's hands." = |d| d.allocation.current;
    GAUGE segments: "Reservations from the driver." = |d| d.segment.current;
    COUNTER allocations_total: "Allocations that the pool served." = |d| d.allocation.allocated;
    COUNTER frees_total: "Blocks that the program gave back." = |d| d.allocation.freed;
    COUNTER requested_bytes_total: "Memory that the program has asked for." =
        |d| d.requested_bytes.allocated;
    COUNTER hits_total: "Allocations served from idle memory." = |d| d.hits;
    COUNTER misses_total: "Allocations that went to the driver." = |d| d.misses;
    COUNTER device_allocations_total: "Driver calls that reserved memory." = |d| d.num_device_alloc;
    COUNTER device_frees_total: "Driver calls that gave memory back." = |d| d.num_device_free;
    COUNTER allocation_retries_total: "Allocations that failed for memory and were tried again after a flush." =
        |d| d.num_alloc_retries;
    COUNTER out_of_memory_total: "Allocations that failed for lack of memory for good." = |d| d.num_ooms;
    COUNTER fences_total: "Context fences placed." = |d| d.fences;
    COUNTER neighbours_released_bytes_total: "Memory that other processes gave back since an allocation here found none." =
        |d| d.neighbours_released_bytes;
    COUNTER host_syncs_total: "Times the host waited for the device on the pool's account." =
        |d| d.host_syncs;
}

/// The text of the file that tells `snapshot`.
pub fn text(snapshot: &Snapshot, process: &ProcessFacts) -> String {
    let devices = by_device(snapshot);
    let of_process =
        format!("pid=\"{}\",executable=\"{}\"", process.pid, escaped(process.executable_name()),);
    let of_device = |device: &Device| {
        format!("gpu=\"{}\",UUID=\"{}\",{of_process}", device.device, escaped(&device.uuid))
    };
    let mut page = Page::default();
    page.family("cupool_info", GAUGE, "The process and how cupool serves it; always 1.");
    let version = env!("CARGO_PKG_VERSION");
    let (order, configured) = (snapshot.order, snapshot.order_configured);
    let how = format!("version=\"{version}\",order=\"{order}\",order_configured=\"{configured}\"");
    page.sample("cupool_info", &format!("{of_process},{how}"), 1);
    if let Some(started) = process.start_time {
        let name = "cupool_process_start_time_seconds";
        page.family(name, GAUGE, "When the process started, in seconds since the Unix epoch.");
        page.sample(name, &of_process, started);
    }
    let name = "cupool_retired";
    page.family(
        name,
        GAUGE,
        "Whether cupool serves no more allocations after a failure of its own.",
    );
    page.sample(name, &of_process, u8::from(!snapshot.retired.is_empty()));
    flushes(&mut page, snapshot, &of_process);
    let name = "cupool_released_bytes_total";
    page.family(name, COUNTER, "Memory given back to the driver, by what had it given back.");
    for device in &devices {
        for (cause, bytes) in device.released_bytes.named() {
            page.sample(name, &format!("{},cause=\"{cause}\"", of_device(device)), bytes);
        }
    }
    for family in PER_DEVICE {
        page.family(family.name, family.kind, family.help);
        for device in &devices {
            page.sample(family.name, &of_device(device), (family.value)(device));
        }
    }
    let malloc: fn(&Device) -> &Quantiles = |device| &device.malloc_latency_ns;
    let free: fn(&Device) -> &Quantiles = |device| &device.free_latency_ns;
    for (call, latency) in [("malloc", malloc), ("free", free)] {
        let name = format!("cupool_{call}_latency_seconds");
        page.family(&name, GAUGE, &format!("Sampled time inside a {call}, by percentile."));
        for device in &devices {
            let Quantiles { p50, p90, p99, max, .. } = *latency(device);
            for (percentile, ns) in [("50", p50), ("90", p90), ("99", p99), ("100", max)] {
                let labels = format!("{},percentile=\"{percentile}\"", of_device(device));
                page.sample(&name, &labels, ns as f64 / 1e9);
            }
        }
    }
    page.0
}

fn flushes(page: &mut Page, snapshot: &Snapshot, labels: &str) {
    let name = "cupool_flushes_total";
    page.family(name, COUNTER, "Times that idle memory was given back.");
    page.sample(name, labels, snapshot.flushes_before + snapshot.flushes.len() as u64);
    let Some(last) = snapshot.flushes.last() else { return };
    let name = "cupool_last_flush_timestamp_seconds";
    page.family(
        name,
        GAUGE,
        "When idle memory was given back last, in seconds since the Unix epoch.",
    );
    page.sample(name, labels, last.time);
    let name = "cupool_last_flush_released_bytes";
    page.family(name, GAUGE, "Memory that the last flush gave back.");
    page.sample(name, labels, last.given_back() + last.released_later);
}

/// The text as it grows.
#[derive(Default)]
struct Page(String);

// Writing to a string cannot fail.
impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{{{labels}}} {value}");
    }
}

/// A label's value as it can stand between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
