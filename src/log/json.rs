//! A line of the log for programs: one object of JSON.

use std::fmt;

use rustix::process::getpid;
use rustix::thread::gettid;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::Event;
use tracing::field::{Field, Visit};

use crate::report;

#[derive(Serialize)]
struct Line {
    /// In seconds since the Unix epoch.
    time: f64,
    level: String,
    pid: i32,
    thread: i32,
    message: String,
    /// What is told beside the message.
    #[serde(skip_serializing_if = "Map::is_empty")]
    fields: Map<String, Value>,
}

/// The line of an event, with its end.
pub(super) fn line(event: &Event<'_>) -> String {
    let mut line = Line {
        time: report::now(),
        level: event.metadata().level().as_str().to_ascii_lowercase(),
        // Asked anew each time: after a fork both are others.
        pid: getpid().as_raw_pid(),
        thread: gettid().as_raw_pid(),
        message: String::new(),
        fields: Map::new(),
    };
    event.record(&mut line);
    // Strings and numbers always serialize.
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

impl Line {
    fn put(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Line {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            _ => self.put(field, text.into()),
        }
    }
}
