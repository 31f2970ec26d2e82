//! Writing the stats file, whoever asks for it.

use std::ffi::c_int;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Once, OnceLock};
use std::time::Duration;

use cupool::config::Options;
use cupool::files::{FileError, Target};
use cupool::pools::Pools;
use cupool::report::{self, ProcessFacts};
use parking_lot::Mutex;

use crate::driver::RealDriver;
use crate::notice;

/// What stays the same from one file to the next.
struct Writer {
    options: &'static Options,
    process: ProcessFacts,
    /// The configured place, if there is one.
    target: Option<Target>,
    /// How many files were begun. Locked while one is written, so that none replaces a newer one.
    sequence: Mutex<u64>,
}

static WRITER: OnceLock<Writer> = OnceLock::new();

/// Files that could not be written.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// How long a file waits for the one before it, which may hang on a network's file system.
const PATIENCE: Duration = Duration::from_secs(2);

/// Notes what every file says of the process. To be called once, before there are pools.
pub fn begin(options: &'static Options, process: ProcessFacts) {
    WRITER.get_or_init(|| Writer {
        options,
        process,
        target: Target::stats(&options.stats),
        sequence: Mutex::new(0),
    });
}

/// Writes the file to its configured place, if it has one. The first failure is told on standard
/// error, all of them are counted.
pub fn write_unasked(pools: &Pools<RealDriver>, reason: &str) {
    static TOLD: Once = Once::new();
    match write(pools, None, reason) {
        Ok(()) | Err(Failure::NoPlace) => {}
        Err(failure) => TOLD.call_once(|| notice::warn(&format_args!("no stats file: {failure}"))),
    }
}

/// Writes the file to `path`, a pattern, or to its configured place.
pub fn write(pools: &Pools<RealDriver>, path: Option<&str>, reason: &str) -> Result<(), Failure> {
    let Some(writer) = WRITER.get() else { return Err(Failure::NoPlace) };
    let written = match (path.map(Target::at), &writer.target) {
        (Some(target), _) => writer.write(&target, pools, reason),
        (None, Some(target)) => writer.write(target, pools, reason),
        (None, None) => return Err(Failure::NoPlace),
    };
    if written.is_err() {
        FAILURES.fetch_add(1, Ordering::Relaxed);
    }
    written
}

impl Writer {
    fn write(
        &self,
        target: &Target,
        pools: &Pools<RealDriver>,
        reason: &str,
    ) -> Result<(), Failure> {
        let mut sequence = self.sequence.try_lock_for(PATIENCE).ok_or(Failure::Busy)?;
        let number = *sequence;
        *sequence += 1;
        let mut snapshot = pools.snapshot();
        if self.options.report_leaks && reason == "exit" {
            snapshot.leaks = Some(pools.leaks());
        }
        let text = report::json(&snapshot, &self.process, self.options, reason, number);
        let path = target.replace(text.as_bytes(), &self.process, number)?;
        tracing::debug!(reason, path = %path.display(), "stats file written");
        Ok(())
    }
}

/// Files that could not be written so far.
pub fn failures() -> u64 {
    FAILURES.load(Ordering::Relaxed)
}

/// Why there is no file. Displays as one line.
pub enum Failure {
    /// None is configured, or there are no pools.
    NoPlace,
    /// The one before is still being written.
    Busy,
    /// It could not be written.
    File(FileError),
}

impl Failure {
    /// As `errno` tells it.
    pub fn errno(&self) -> c_int {
        match self {
            Self::NoPlace => libc::ENOENT,
            Self::Busy => libc::EBUSY,
            Self::File(error) => error.errno().unwrap_or(libc::EPERM),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlace => write!(f, "no place is configured"),
            Self::Busy => write!(f, "the one before is still being written"),
            Self::File(error) => error.fmt(f),
        }
    }
}
