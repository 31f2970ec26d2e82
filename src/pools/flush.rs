//! Giving idle memory back, and remembering that it was done.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::{Phase, Pools};
use crate::driver::Driver;
use crate::pool::Pool;
use crate::stats::{FlushReason, FlushRecord, Kept};

/// Flushes that are remembered.
const REMEMBERED: usize = 32;

/// The last flushes, oldest first.
#[derive(Default)]
pub(super) struct History(Mutex<VecDeque<FlushRecord>>);

impl History {
    fn add(&self, record: FlushRecord) {
        let mut records = self.0.lock();
        if records.len() == REMEMBERED {
            records.pop_front();
        }
        records.push_back(record);
    }

    pub(super) fn all(&self) -> Vec<FlushRecord> {
        self.0.lock().iter().cloned().collect()
    }
}

impl<D: Driver> Pools<D> {
    /// Gives all idle memory back, from any thread. Waits for the work that may still touch it, but
    /// holds up nobody else.
    pub fn flush(&self, reason: FlushReason) -> FlushRecord {
        self.flush_where(reason, |_| true)
    }

    pub(super) fn flush_where(
        &self,
        reason: FlushReason,
        wanted: impl Fn(&Pool<D>) -> bool,
    ) -> FlushRecord {
        let started = Instant::now();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut record = FlushRecord {
            reason,
            time: since_epoch.as_secs_f64(),
            idle_before: 0,
            idle_after: 0,
            released: 0,
            duration: 0.0,
            kept: Vec::new(),
        };
        for pool in self.table.all().iter().filter(|pool| wanted(pool)) {
            let idle = pool.idle();
            record.idle_before += idle;
            let why_not = match (self.phase(), pool.lease.hold()) {
                (Phase::Open, Some(_held)) => {
                    let trimmed = pool.trim(&self.driver, 0);
                    record.released += trimmed.released;
                    record.kept.extend(trimmed.kept);
                    record.idle_after += pool.idle();
                    continue;
                }
                (Phase::Open, None) => "its context is ending",
                (Phase::Closed, _) => "the process is ending",
                (Phase::Retired, _) => "the pool is retired",
            };
            record.idle_after += idle;
            if idle > 0 {
                record.kept.push(Kept { bytes: idle, why: why_not });
            }
        }
        record.duration = started.elapsed().as_secs_f64();
        tracing::info!(
            "flush ({}): {} of {} idle bytes given back in {:.3} ms",
            reason.name(),
            record.released,
            record.idle_before,
            record.duration * 1e3,
        );
        self.flushes.add(record.clone());
        record
    }
}
