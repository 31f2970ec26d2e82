//! A memory snapshot: every segment and block at one moment, and what happened last.
//!
//! The process writes it as JSON ([`json`]), which the command reads ([`Snapshot`]) and turns into
//! what PyTorch's memory viewer opens, or into a picture. Keys may be added within a [`SCHEMA`], but
//! none changes its meaning or disappears. Sizes are in bytes.
//!
//! | key | meaning |
//! |---|---|
//! | `memory_snapshot` | [`SCHEMA`]; tells the file apart from a stats file |
//! | `version` | of cupool |
//! | `pid`, `executable` | the process |
//! | `time`, `reason` | when, in seconds since the Unix epoch, and why: `request`, `out_of_memory` |
//! | `options` | every option with its value |
//! | `devices` | as in the stats file |
//! | `segments` | by context and address, each `{device, address, bytes, expandable, blocks}`, with blocks `{address, bytes, requested, state}`; a `state` is `allocated`, `waiting` or `idle` |
//! | `history` | how many events are remembered (option `history`) |
//! | `forgotten` | how many events there were before |
//! | `events` | oldest first, each `[action, device, address, bytes, microseconds since the epoch]`; an action is `alloc`, `free`, `oom` or `flush`, or of a segment, with its address and size, `segment_alloc` and `segment_free` (one allocation of the driver's), `segment_map` and `segment_unmap` (a part of an expandable one, also where it moves) |

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::driver::Driver;
use crate::history::Event;
use crate::pools::{Pools, Segment};
use crate::report::{self, ProcessFacts, by_device};

/// The version of the format.
pub const SCHEMA: u32 = 1;

/// A snapshot as it stands in a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SCHEMA`]
    pub memory_snapshot: u32,
    /// Of cupool.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// Its program's path.
    pub executable: String,
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// Why.
    pub reason: String,
    /// Every option with its value.
    pub options: Map<String, Value>,
    /// As in the stats file.
    pub devices: Vec<Value>,
    /// All memory.
    pub segments: Vec<Segment>,
    /// Events that are remembered at most.
    pub history: u64,
    /// Events that are no longer remembered.
    pub forgotten: u64,
    /// The last events, oldest first.
    pub events: Vec<EventLine>,
}

/// Action, device, address, bytes, microseconds since the Unix epoch.
pub type EventLine = (Cow<'static, str>, i32, u64, u64, u64);

fn line(event: &Event) -> EventLine {
    let Event { action, device, address, bytes, micros } = *event;
    (Cow::Borrowed(action.name()), device, address, bytes, micros)
}

/// The file's text, for `reason`.
pub fn json<D: Driver>(pools: &Pools<D>, process: &ProcessFacts, reason: &str) -> String {
    let devices = by_device(&pools.snapshot());
    let options = pools.options().pairs();
    let snapshot = Snapshot {
        memory_snapshot: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: process.pid,
        executable: process.executable.clone(),
        time: report::now(),
        reason: reason.to_owned(),
        options: options.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect(),
        // Strings and numbers always serialize.
        devices: devices.iter().filter_map(|device| serde_json::to_value(device).ok()).collect(),
        segments: pools.segments(),
        history: pools.history().map_or(0, |history| history.length() as u64),
        forgotten: pools.history().map_or(0, |history| history.forgotten()),
        events: pools.history().map_or(Vec::new(), |h| h.events().iter().map(line).collect()),
    };
    let mut text = serde_json::to_string(&snapshot).unwrap_or_default();
    text.push('\n');
    text
}
