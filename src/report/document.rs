//! The stats file's top level. The order of the fields is the order of the keys.

use serde::{Serialize, Serializer};

use super::device::{self, Device};
use super::process::ProcessFacts;
use crate::config::Options;
use crate::stats::{FlushRecord, Kept, Leak, Snapshot};

/// The version of the stats file's format.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    version: &'static str,
    pid: u32,
    process_start_time: Option<f64>,
    executable: &'a str,
    sequence: u64,
    reason: &'a str,
    time: f64,
    #[serde(serialize_with = "as_map")]
    options: Vec<(&'static str, String)>,
    order: &'static str,
    order_configured: &'static str,
    order_reason: Option<&'a str>,
    retired: Option<&'a str>,
    devices: Vec<Device>,
    flushes: Vec<Flush>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaks: Option<&'a [Leak]>,
}

#[derive(Serialize)]
struct Flush {
    reason: &'static str,
    time: f64,
    idle_bytes_before: u64,
    idle_bytes_after: u64,
    released_bytes: u64,
    pending_bytes: u64,
    released_later_bytes: u64,
    driver_pools_released_bytes: u64,
    duration_seconds: f64,
    kept: Vec<KeptBytes>,
    skipped: Option<&'static str>,
}

#[derive(Serialize)]
struct KeptBytes {
    bytes: u64,
    reason: &'static str,
}

impl<'a> Document<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        process: &'a ProcessFacts,
        options: &Options,
        reason: &'a str,
        sequence: u64,
        time: f64,
    ) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            pid: process.pid,
            process_start_time: process.start_time,
            executable: &process.executable,
            sequence,
            reason,
            time,
            options: options.pairs(),
            order: snapshot.order,
            order_configured: snapshot.order_configured,
            order_reason: unless_empty(&snapshot.order_reason),
            retired: unless_empty(&snapshot.retired),
            devices: device::by_device(snapshot),
            flushes: snapshot.flushes.iter().map(Flush::from).collect(),
            leaks: snapshot.leaks.as_deref(),
        }
    }

    pub(super) fn to_json(&self) -> String {
        // Strings, numbers and maps of strings always serialize; a number that is none becomes null.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl From<&FlushRecord> for Flush {
    fn from(record: &FlushRecord) -> Self {
        Self {
            reason: record.reason.name(),
            time: record.time,
            idle_bytes_before: record.idle_before,
            idle_bytes_after: record.idle_after,
            released_bytes: record.released,
            pending_bytes: record.pending,
            released_later_bytes: record.released_later,
            driver_pools_released_bytes: record.driver_pools,
            duration_seconds: record.duration,
            kept: record.kept.iter().map(KeptBytes::from).collect(),
            skipped: (!record.skipped.is_empty()).then_some(record.skipped),
        }
    }
}

impl From<&Kept> for KeptBytes {
    fn from(kept: &Kept) -> Self {
        Self { bytes: kept.bytes, reason: kept.why }
    }
}

fn as_map<S: Serializer>(
    pairs: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

fn unless_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
