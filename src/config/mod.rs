//! What a user can set: the grammar of `CUPOOL_CONF`, and the [`Options`] that come of it.
//!
//! ```text
//! CUPOOL_CONF="order:fence,max_idle:4GiB,stats:/var/log/cupool/%e.%p.json"
//! ```
//!
//! Entries `key:value` are separated by commas; blanks around entries, keys and values and empty
//! entries mean nothing. A value reaches from the first colon to the next comma: it may contain
//! further colons, but no comma, and nothing escapes one. If a key comes twice, the later one
//! counts. A key that does not exist or a value that does not fit changes nothing and yields a
//! [`Warning`]; whoever has called decides where it is printed and, by [`Options::abort_conf`],
//! whether the program may go on.

mod choice;
mod formats;
#[cfg(test)]
mod fuzz;
mod programs;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod warning;

pub use choice::{
    Backing, Fill, LogFile, LogFormat, Order, SignalChoice, StatsFile, TraceFile, UnderTools,
};
pub use formats::{HistoryLength, MetricsDirectory, SnapshotFile};
pub use programs::Programs;
pub use table::Options;
pub use value::{Limit, Span};
pub use warning::Warning;

use warning::Fault;

impl Options {
    /// Whether the program is to be served whose executable is known by these paths: by `only` any of
    /// them will do, by `except` none may.
    pub fn serves(&self, paths: &[String]) -> bool {
        let named = |programs: &Programs| paths.iter().any(|path| programs.include(path));
        (self.only.is_empty() || named(&self.only)) && !named(&self.except)
    }

    /// What holds where nothing is set.
    pub fn defaults() -> Self {
        Self::default()
    }

    /// Reads the value of `CUPOOL_CONF`. Whatever it contains, the options that come back are
    /// valid, and there is one warning for each entry that was left out.
    ///
    /// `testing` also admits the values that exist for tests alone, such as `order:unordered`.
    pub fn parse(text: &str, testing: bool) -> (Self, Vec<Warning>) {
        let mut options = Self::default();
        let mut warnings = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (key, value) = match entry.split_once(':') {
                Some((key, value)) => (key.trim(), value.trim()),
                None => {
                    warnings.push(Warning::new(entry, "", Fault::NoValue));
                    continue;
                }
            };
            if let Err(fault) = options.set(key, value, testing) {
                warnings.push(Warning::new(key, value, fault));
            }
        }
        (options, warnings)
    }
}
