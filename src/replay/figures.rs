//! What came of a replay, for programs and for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

/// What came of playing one trace. All sizes in bytes; times in microseconds but for
/// `host_ns_per_op`.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The version of this list of keys.
    pub schema: u32,
    /// The trace as it was named.
    pub trace: String,
    /// The backing that served it; `none` if nothing was allocated.
    pub backing: &'static str,
    /// The order in force at the end.
    pub order: &'static str,
    /// How long after it was submitted the device had done something.
    pub lag_us: f64,
    /// Allocations of more than 0 bytes.
    pub allocations: u64,
    /// Frees of what they gave.
    pub frees: u64,
    /// Allocations of 0 bytes, which the driver refuses.
    pub zero_sized: u64,
    /// Calls that failed although they would not have on a device without end.
    pub failed: u64,
    /// Blocks never freed.
    pub live_at_end: u64,
    /// The most that the program held at any time, as it asked for it.
    pub requested_peak_bytes: u64,
    /// The most that was taken from the device at any time.
    pub reserved_peak_bytes: u64,
    /// The most that the program's blocks took at any time, as the pool rounds them.
    pub allocated_peak_bytes: u64,
    /// Reserved over requested; 0 if nothing was requested.
    pub reserved_over_requested: f64,
    /// Allocations served without the driver.
    pub hits: u64,
    /// Allocations that went to it.
    pub misses: u64,
    /// Time in calls that concern memory (allocate, free, create, map, ...) and waiting for the
    /// device. Fences and event queries are in `fence_us`.
    pub driver_us: f64,
    /// Calls that concern memory.
    pub driver_calls: u64,
    /// The same by name.
    pub calls: BTreeMap<&'static str, u64>,
    /// Times the host waited for the device.
    pub waits: u64,
    /// Time it waited; part of `driver_us`.
    pub wait_us: f64,
    /// Context fences.
    pub fences: u64,
    /// Time to place and query fences. No part of `driver_us`.
    pub fence_us: f64,
    /// Time in `cuMemAlloc` and `cuMemFree` if the program called the driver itself, without waits.
    pub native_driver_us: f64,
    /// What [`Settings::audit`](super::Settings::audit) found; absent without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violations: Option<Vec<String>>,
    /// Measured time of the pool, and of the model beneath it, per call of the program, in
    /// nanoseconds. The only figure that is not the same each time.
    pub host_ns_per_op: f64,
}

impl Figures {
    /// See [`schema`](Self::schema).
    pub const SCHEMA: u32 = 1;

    /// One line of JSON, without its end.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("keys are strings and numbers are finite")
    }
}

const HEADINGS: [&str; 11] = [
    "trace",
    "allocations",
    "requested",
    "reserved",
    "ratio",
    "hits",
    "driver",
    "calls",
    "fences",
    "native",
    "host/op",
];

/// A table with a line for each trace: peaks in binary units, `driver` and `native` as times.
pub fn table(all: &[Figures]) -> String {
    let rows: Vec<[String; HEADINGS.len()]> = all.iter().map(row).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for cells in std::iter::once(HEADINGS.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(figures: &Figures) -> [String; HEADINGS.len()] {
    let calls = figures.hits + figures.misses;
    let hits = if calls == 0 { 0.0 } else { 100.0 * figures.hits as f64 / calls as f64 };
    [
        short_name(&figures.trace).to_owned(),
        figures.allocations.to_string(),
        bytes(figures.requested_peak_bytes),
        bytes(figures.reserved_peak_bytes),
        format!("{:.3}", figures.reserved_over_requested),
        format!("{hits:.2}%"),
        time(figures.driver_us),
        figures.driver_calls.to_string(),
        figures.fences.to_string(),
        time(figures.native_driver_us),
        format!("{:.0} ns", figures.host_ns_per_op),
    ]
}

/// The file's name without what every trace ends in.
fn short_name(path: &str) -> &str {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.strip_suffix(".trace").unwrap_or(name)
}

/// An amount of memory in the largest unit of which there is one.
fn bytes(amount: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|&&(_, unit)| amount >= unit) {
        Some(&(name, unit)) => format!("{:.2} {name}", amount as f64 / unit as f64),
        None => format!("{amount} B"),
    }
}

fn time(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{:.2} s", us / 1e6),
        us if us >= 1e3 => format!("{:.2} ms", us / 1e3),
        us => format!("{us:.0} µs"),
    }
}
