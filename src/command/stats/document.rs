//! The figures as JSON, with the keys of the stats file where they mean the same.

use cupool::live::{Figures, Flush, Listed, State};
use cupool::report::{Device, SCHEMA, now};
use serde::Serialize;

use super::advice::advice;
use crate::command::processes::command_line;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    version: &'a str,
    pid: u32,
    process_start_time: f64,
    executable: &'a str,
    command: String,
    state: &'static str,
    /// When the figures were told, and how long ago.
    time: Option<f64>,
    age_seconds: Option<f64>,
    order: Option<&'a str>,
    order_configured: Option<&'a str>,
    order_reason: Option<&'a str>,
    retired: Option<&'a str>,
    devices: &'a [Device],
    num_flushes: u64,
    last_flush: Option<&'a Flush>,
    advice: Vec<String>,
}

/// One object on one line.
pub fn json(page: &Listed) -> String {
    let figures = page.figures.as_ref();
    let text = |of: fn(&Figures) -> &str| figures.map(of).filter(|text| !text.is_empty());
    let document = Document {
        schema: SCHEMA,
        version: &page.process.version,
        pid: page.process.pid,
        process_start_time: page.process.start_time,
        executable: &page.process.executable,
        command: command_line(page),
        state: state(page.state),
        time: figures.map(|figures| figures.time),
        age_seconds: figures.map(|figures| (now() - figures.time).max(0.0)),
        order: text(|figures| &figures.order),
        order_configured: text(|figures| &figures.order_configured),
        order_reason: text(|figures| &figures.order_reason),
        retired: text(|figures| &figures.retired),
        devices: figures.map(|figures| figures.devices.as_slice()).unwrap_or_default(),
        num_flushes: figures.map_or(0, |figures| figures.flushes),
        last_flush: figures.and_then(|figures| figures.last_flush.as_ref()),
        advice: advice(page),
    };
    // Strings and numbers always serialize.
    serde_json::to_string(&document).unwrap_or_default()
}

/// The word for a state.
pub fn state(state: State) -> &'static str {
    match state {
        State::Running => "running",
        State::Gone => "gone",
        State::Elsewhere => "elsewhere",
    }
}
