//! Lines on standard error that do not depend on `CUPOOL_LOG`: mistakes in the configuration, and
//! the first failure of each kind.

use std::fmt::Display;
use std::sync::OnceLock;

use cupool::log::Sink;
use cupool::report::ProcessFacts;
use tracing::Level;

/// Standard error; nowhere if it was closed when [`begin`] looked.
static STDERR: OnceLock<Sink> = OnceLock::new();

/// Looks whether standard error is open. To be called before anything else here: later, another
/// file of the program's may have its number.
pub fn begin(process: &ProcessFacts) {
    STDERR.get_or_init(|| Sink::new(None, process));
}

/// Something was left out or does not work; the program goes on.
pub fn warn(message: &dyn Display) {
    line(Level::WARN, message);
}

/// cupool, or the program, does not go on.
pub fn error(message: &dyn Display) {
    line(Level::ERROR, message);
}

/// What the user asked to be told.
pub fn info(message: &dyn Display) {
    line(Level::INFO, message);
}

fn line(level: Level, message: &dyn Display) {
    if let Some(stderr) = STDERR.get() {
        stderr.write(level, message);
    }
}
