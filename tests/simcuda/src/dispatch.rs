//! What every exported function does around its implementation.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use parking_lot::Mutex;

use crate::error::{Api, Error};
use crate::exports;
use crate::host_function;
use crate::latency;
use crate::settings::SETTINGS;
use crate::{state, vmm};

/// The address of an exported function.
pub struct Code(pub *const ());

// SAFETY: the address of a function is the same, and as good, in every thread.
unsafe impl Sync for Code {}

/// A row of the table of exported functions.
pub struct Entry {
    /// What the dynamic linker calls it.
    pub symbol: &'static str,
    /// What `cuGetProcAddress` calls it.
    pub name: &'static str,
    /// The first version of CUDA that has it.
    pub since: i32,
    /// The function.
    pub code: Code,
    /// Its variant for programs whose default stream is the thread's.
    pub per_thread: Option<(&'static str, Code)>,
    /// May be called before `cuInit`.
    pub early: bool,
    /// Calls so far.
    pub calls: AtomicU64,
}

impl Entry {
    /// The name for people: two functions share a name where one is of CUDA 3.1.
    fn label(&self) -> String {
        let old = self.since == 2000
            && exports::TABLE.iter().any(|other| other.name == self.name && other.since == 3020);
        if old { format!("{}_v1", self.name) } else { self.name.to_owned() }
    }
}

thread_local! {
    static PER_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// The call in progress means the thread's own stream by "default stream".
pub fn default_stream_is_the_threads() -> bool {
    PER_THREAD.get()
}

/// Runs one call.
pub fn call(entry: &'static Entry, per_thread: bool, body: impl FnOnce() -> Api) -> u32 {
    let began = Instant::now();
    let number = entry.calls.fetch_add(1, Ordering::Relaxed) + 1;
    let result = scripted_fault(entry, number).unwrap_or_else(|| {
        if !entry.early
            && let Err(error) = state::check_initialised()
        {
            return error.0;
        }
        // CUDA says that it may refuse what a host function calls.
        if !entry.early && host_function::inside() {
            return Error::NOT_PERMITTED.0;
        }
        let outer = PER_THREAD.replace(per_thread);
        let result = body();
        PER_THREAD.set(outer);
        result.err().map_or(0, |error| error.0)
    });
    if SETTINGS.latency {
        latency::spend(entry.name, began);
    }
    if let Some((_, time)) = SETTINGS.linger.iter().find(|(name, _)| name == entry.name) {
        thread::sleep(*time);
    }
    log(entry, result);
    result
}

fn scripted_fault(entry: &Entry, call: u64) -> Option<u32> {
    if SETTINGS.faults.is_empty() {
        return None;
    }
    let name = entry.label();
    let fault = SETTINGS.faults.iter().find(|fault| fault.call == call && fault.name == name);
    fault.map(|fault| fault.code)
}

static LOG: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let path = SETTINGS.log.as_ref()?;
    OpenOptions::new().create(true).append(true).open(path).ok().map(Mutex::new)
});

fn log(entry: &Entry, result: u32) {
    if let Some(file) = LOG.as_ref() {
        // A log that cannot be written does not concern the program.
        let _ = file.lock().write_all(line(entry, result).as_bytes());
    }
}

fn line(entry: &Entry, result: u32) -> String {
    format!("{} {} {result}\n", entry.label(), state::thread())
}

/// Writes how often each function was called, if asked to.
pub fn write_counts() {
    let Some(path) = &SETTINGS.counts else { return };
    let mut totals = BTreeMap::new();
    for entry in &exports::TABLE {
        *totals.entry(entry.label()).or_insert(0) += entry.calls.load(Ordering::Relaxed);
    }
    let mut text = String::new();
    for (name, calls) in totals.into_iter().filter(|&(_, calls)| calls > 0) {
        let _ = writeln!(text, "{name} {calls}");
    }
    write(path, &text);
}

/// Writes what nobody has unmapped, released or freed, if asked to.
pub fn write_left() {
    if let Some(path) = &SETTINGS.left {
        write(path, &vmm::left(&state::lock()));
    }
}

fn write(path: &Path, text: &str) {
    if let Err(error) = std::fs::write(path, text) {
        eprintln!("simcuda: {}: {error}", path.display());
    }
}
