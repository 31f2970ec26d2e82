//! Giving idle memory back, and remembering that it was done.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::{Phase, Pools};
use crate::driver::{Device, Driver};
use crate::order::Stamp;
use crate::pool::Pool;
use crate::stats::{FlushReason, FlushRecord, Kept};

/// How long a flush gives the device to pass the last fence before what it may still use is left for
/// later. A device that has nothing to do takes some ten microseconds to say so.
const PATIENCE: Duration = Duration::from_millis(2);

/// Flushes that are remembered.
const REMEMBERED: usize = 32;

/// The last flushes, oldest first, and how many there were before them.
#[derive(Default)]
struct Records {
    last: VecDeque<FlushRecord>,
    dropped: u64,
}

/// What a flush left to be given back as soon as the device is done with it.
struct Rest {
    /// Which flush.
    record: u64,
    /// In the pool of this number.
    pool: u32,
    /// What was freed before this fence.
    until: Stamp,
}

/// The last flushes, and what is left of them.
#[derive(Default)]
pub(super) struct History {
    records: Mutex<Records>,
    rests: Mutex<Vec<Rest>>,
}

impl History {
    /// Remembers `record`, and gives its number.
    fn add(&self, record: FlushRecord) -> u64 {
        let mut records = self.records.lock();
        if records.last.len() == REMEMBERED {
            records.last.pop_front();
            records.dropped += 1;
        }
        records.last.push_back(record);
        records.dropped + records.last.len() as u64 - 1
    }

    /// More was given back for the flush of that number.
    fn amend(&self, number: u64, released: u64) {
        let mut records = self.records.lock();
        let Some(at) = number.checked_sub(records.dropped) else { return };
        if let Some(record) = records.last.get_mut(at as usize) {
            record.released_later += released;
            record.idle_after = record.idle_after.saturating_sub(released);
        }
    }

    fn leave(&self, more: impl Iterator<Item = Rest>) {
        let mut rests = self.rests.lock();
        rests.extend(more);
        // What the oldest left is left by later ones too.
        let excess = rests.len().saturating_sub(REMEMBERED);
        rests.drain(..excess);
    }

    /// How many are no longer remembered, and the others, oldest first.
    pub(super) fn all(&self) -> (u64, Vec<FlushRecord>) {
        let records = self.records.lock();
        (records.dropped, records.last.iter().cloned().collect())
    }
}

impl<D: Driver> Pools<D> {
    /// Gives all idle memory back, from any thread, and holds up nobody else. Where giving back does
    /// not wait for the device by itself, what is still in use after two milliseconds is left to
    /// [`flush_rest`](Self::flush_rest).
    pub fn flush(&self, reason: FlushReason) -> FlushRecord {
        self.flush_on(reason, None)
    }

    /// The same on one device, if one is named.
    pub fn flush_on(&self, reason: FlushReason, only: Option<Device>) -> FlushRecord {
        let wanted = |pool: &Pool<D>| only.is_none_or(|device| pool.device == device);
        let started = Instant::now();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut record = FlushRecord {
            reason,
            time: since_epoch.as_secs_f64(),
            idle_before: 0,
            idle_after: 0,
            released: 0,
            pending: 0,
            released_later: 0,
            driver_pools: 0,
            duration: 0.0,
            kept: Vec::new(),
        };
        let mut rests = Vec::new();
        for pool in self.table.all().iter().filter(|pool| wanted(pool)) {
            let idle = pool.idle();
            record.idle_before += idle;
            let why_not = match (self.phase(), pool.lease.hold()) {
                (Phase::Open, Some(_held)) => {
                    let until = pool.order_idle(&self.driver, &self.captures, self.mode.mode());
                    pool.linger(&self.driver, until, started + PATIENCE);
                    let trimmed = pool.trim(&self.driver, 0);
                    record.released += trimmed.released;
                    record.pending += trimmed.pending;
                    if trimmed.pending > 0 {
                        rests.push((pool.number, until));
                    }
                    record.kept.extend(trimmed.kept);
                    record.idle_after += pool.idle();
                    continue;
                }
                (Phase::Open, None) => "its context is ending",
                (Phase::Closed, _) => "the process is ending",
                (Phase::Retired, _) => "the pool is retired",
            };
            record.idle_after += idle;
            record.kept.extend(Kept::unless_nothing(idle, why_not));
        }
        record.driver_pools = self.trim_driver_pools(only);
        record.duration = started.elapsed().as_secs_f64();
        tracing::info!(
            "flush ({}): {} of {} idle bytes given back, and {} of the driver's pools, in {:.3} ms",
            reason.name(),
            record.released,
            record.idle_before,
            record.driver_pools,
            record.duration * 1e3,
        );
        self.note_flushed(only, record.given_back());
        let number = self.flushes.add(record.clone());
        let rests = rests.into_iter().map(|(pool, until)| Rest { record: number, pool, until });
        self.flushes.leave(rests);
        record
    }

    /// Gives back what earlier flushes could not, as far as the device is done with it by now. True
    /// if there may be more later.
    pub fn flush_rest(&self) -> bool {
        let rests = std::mem::take(&mut *self.flushes.rests.lock());
        if rests.is_empty() || self.phase() != Phase::Open {
            return false;
        }
        for rest in rests {
            let pools = self.table.all();
            let Some(pool) = pools.iter().find(|pool| pool.number == rest.pool) else { continue };
            let Some(_held) = pool.lease.hold() else {
                // Its context is ending, or remains after all.
                self.flushes.leave(std::iter::once(rest));
                continue;
            };
            let (released, more) = pool.trim_pending(&self.driver, rest.until);
            self.flushes.amend(rest.record, released);
            if more {
                self.flushes.leave(std::iter::once(rest));
            }
        }
        !self.flushes.rests.lock().is_empty()
    }

    /// Whether [`flush_rest`](Self::flush_rest) has something to do.
    pub fn has_rest(&self) -> bool {
        !self.flushes.rests.lock().is_empty()
    }
}
