//! Giving idle memory back, and remembering that it was done.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::{Phase, Pools};
use crate::backing::Trimmed;
use crate::driver::{Device, Driver};
use crate::policy;
use crate::pool::{Pool, Until};
use crate::stats::{Cause, FlushReason, FlushRecord, Kept};

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
    cause: Cause,
    /// In the pool of this number.
    pool: u32,
    /// What was idle then.
    until: Until,
}

/// The last flushes, and what is left of them.
#[derive(Default)]
pub(super) struct History {
    records: Mutex<Records>,
    rests: Mutex<Vec<Rest>>,
    /// When the last one that was asked for began.
    asked: Mutex<Option<Instant>>,
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

impl FlushRecord {
    /// Nothing yet.
    pub(super) fn new(reason: FlushReason) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
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
            skipped: "",
        }
    }
}

impl<D: Driver> Pools<D> {
    /// A [`flush_on`](Self::flush_on) that somebody asks for who may be denied: the options
    /// `flush_threshold` and `flush_interval` say when nothing is done but a record that says so.
    pub fn flush_asked(&self, reason: FlushReason, only: Option<Device>) -> FlushRecord {
        let wanted = |pool: &Pool<D>| only.is_none_or(|device| pool.device == device);
        let (mut idle, mut threshold) = (0, 0);
        for pool in self.table.all().iter().filter(|pool| wanted(pool)) {
            idle += pool.idle();
            let least = self.options.flush_threshold.least_of(pool.facts().total_bytes);
            threshold = threshold.max(least);
        }
        let since_last = self.since_asked();
        let interval = self.options.flush_interval;
        let Some(why) = policy::flush::why_not(idle, threshold, since_last, interval) else {
            *self.flushes.asked.lock() = Some(Instant::now());
            return self.flush_on(reason, only);
        };
        let kept = Kept::unless_nothing(idle, why).into_iter().collect();
        let (idle_before, idle_after) = (idle, idle);
        let skipped = why;
        let record =
            FlushRecord { idle_before, idle_after, kept, skipped, ..FlushRecord::new(reason) };
        tracing::info!("flush ({}): {why}", reason.name());
        self.flushes.add(record.clone());
        record
    }

    /// Remembers what was given back by itself.
    pub(super) fn note_release(&self, record: FlushRecord) {
        self.flushes.add(record);
    }

    /// Whether a flush that is asked for now comes too soon after the last one.
    pub fn is_too_soon(&self) -> bool {
        let interval = self.options.flush_interval;
        policy::flush::why_not(0, 0, self.since_asked(), interval).is_some()
    }

    fn since_asked(&self) -> Option<Duration> {
        self.flushes.asked.lock().map(|last| last.elapsed())
    }

    /// Gives all idle memory back, from any thread, and holds up nobody else. Where giving back does
    /// not wait for the device by itself, what is still in use after two milliseconds is left to
    /// [`flush_rest`](Self::flush_rest).
    pub fn flush(&self, reason: FlushReason) -> FlushRecord {
        self.flush_on(reason, None)
    }

    /// The same on one device, if one is named.
    pub fn flush_on(&self, reason: FlushReason, only: Option<Device>) -> FlushRecord {
        self.flush_by(reason, only, |pool| pool.trim(&self.driver, 0))
    }

    /// The same for lack of memory, which waits for what was freed during captures as the driver's free
    /// would have.
    pub(super) fn flush_waiting(&self, only: Option<Device>) -> FlushRecord {
        self.flush_by(FlushReason::OutOfMemory, only, |pool| pool.trim_waiting(&self.driver, 0))
    }

    fn flush_by(
        &self,
        reason: FlushReason,
        only: Option<Device>,
        trim: impl Fn(&Pool<D>) -> Trimmed,
    ) -> FlushRecord {
        let wanted = |pool: &Pool<D>| only.is_none_or(|device| pool.device == device);
        let started = Instant::now();
        let mut record = FlushRecord::new(reason);
        let mut rests = Vec::new();
        for pool in self.table.all().iter().filter(|pool| wanted(pool)) {
            let idle = pool.idle();
            record.idle_before += idle;
            let why_not = match (self.phase(), pool.lease.hold()) {
                (Phase::Open, Some(_held)) => {
                    let until = pool.order_idle(&self.driver, &self.captures, self.mode.mode());
                    pool.linger(&self.driver, &until, started + PATIENCE);
                    let trimmed = trim(pool);
                    record.released += trimmed.released;
                    pool.events.released.add(reason.cause(), trimmed.released);
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
        let cause = reason.cause();
        let rests =
            rests.into_iter().map(|(pool, until)| Rest { record: number, cause, pool, until });
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
            let (released, more) = pool.trim_pending(&self.driver, &rest.until);
            self.flushes.amend(rest.record, released);
            pool.events.released.add(rest.cause, released);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::fake::FakeDriver;
    use crate::policy::flush::{TOO_LITTLE, TOO_SOON};

    const MIB: u64 = 1 << 20;

    /// Pools with 32 MiB idle.
    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(&format!("max_idle:none,{conf}"), false);
        assert!(warnings.is_empty(), "{warnings:?}");
        let pools = Pools::new(FakeDriver::new(1 << 30).with_vmm(), &options);
        make_idle(&pools);
        pools
    }

    fn make_idle(pools: &Pools<FakeDriver>) {
        let ptr = pools.allocate(32 * MIB).unwrap();
        pools.free(ptr).unwrap();
    }

    #[test]
    fn below_the_threshold_only_who_need_not_ask_gets_anything() {
        for threshold in ["33M", "4%"] {
            let pools = pools(&format!("flush_threshold:{threshold}"));
            let record = pools.flush_asked(FlushReason::Signal, None);
            assert_eq!(record.kept, [Kept { bytes: 32 * MIB, why: TOO_LITTLE }], "{threshold}");
            assert_eq!((record.released, record.idle_after), (0, 32 * MIB));
            assert_eq!(pools.snapshot().flushes.len(), 1, "it is on record");
            assert_eq!(pools.flush(FlushReason::Request).released, 32 * MIB);
        }
        let pools = pools("flush_threshold:32M");
        assert_eq!(pools.flush_asked(FlushReason::Signal, None).released, 32 * MIB);
    }

    #[test]
    fn the_second_of_two_comes_too_soon() {
        let pools = pools("flush_interval:1h");
        assert!(!pools.is_too_soon());
        assert_eq!(pools.flush_asked(FlushReason::EmptyCache, None).released, 32 * MIB);
        make_idle(&pools);
        assert!(pools.is_too_soon());
        let record = pools.flush_asked(FlushReason::EmptyCache, None);
        assert_eq!(record.kept, [Kept { bytes: 32 * MIB, why: TOO_SOON }]);
        assert_eq!(pools.flush(FlushReason::OutOfMemory).released, 32 * MIB);
    }
}
