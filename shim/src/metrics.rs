//! The textfile for Prometheus, as the worker keeps it.

use std::time::{Duration, Instant};

use cupool::config::{MetricsDirectory, Options};
use cupool::metrics::Textfile;
use cupool::pools::Pools;
use cupool::report::ProcessFacts;

use crate::driver::RealDriver;
use crate::notice;

/// How often it is written where `interval` is not set: as often as Prometheus usually looks.
const PERIOD: Duration = Duration::from_secs(15);

/// The textfile, if the options ask for one.
pub struct Metrics {
    file: Option<Textfile>,
    period: Duration,
    next: Option<Instant>,
    /// Written before.
    begun: bool,
    failed: bool,
}

impl Metrics {
    /// What the options ask for. A relative path starts from the current directory of this moment.
    pub fn new(options: &Options) -> Self {
        let file = match &options.metrics {
            MetricsDirectory::Off => None,
            MetricsDirectory::At(directory) => {
                Some(Textfile::new(directory, ProcessFacts::of_this_process()))
            }
        };
        let next = file.is_some().then(Instant::now);
        Self { file, period: options.interval.unwrap_or(PERIOD), next, begun: false, failed: false }
    }

    /// When it is to be written next.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Writes it; the first time after it has deleted what killed processes left in the directory. The
    /// first failure is told on standard error.
    pub fn write(&mut self, pools: &Pools<RealDriver>) {
        let Some(file) = &self.file else { return };
        self.next = Instant::now().checked_add(self.period);
        if !std::mem::replace(&mut self.begun, true) {
            file.clear_stale();
        }
        if let Err(error) = file.write(&pools.snapshot())
            && !std::mem::replace(&mut self.failed, true)
        {
            notice::warn(&format_args!("no metrics: {error}"));
        }
    }

    /// The process ends.
    pub fn end(&self) {
        if let Some(file) = &self.file {
            file.remove();
        }
    }
}
