//! What the program holds, and what is idle in front of the backing.

use super::bins::{Idle, Locked};
use super::records::{Known, Record};
use super::tally::{SLACK_BLOCKS, SLACK_BYTES};
use super::{Front, Shard};
use crate::backing::Token;
use crate::stats::Counters;
use crate::sync::Ordering;

impl Front {
    /// Bytes that are idle here.
    pub fn idle(&self) -> u64 {
        let all = self.shards().fold(0_u64, |sum, shard| sum.wrapping_add(shard.idle.net()));
        // Negative where a block left meanwhile.
        if all > i64::MAX as u64 { 0 } else { all }
    }

    /// At least as many bytes, in constant time.
    pub fn idle_bound(&self) -> u64 {
        self.levels.idle.bound()
    }

    /// Enters what the program holds and has held, and what was found here. Bytes that are allocated
    /// are reserved, so their peak is not above that of the reserved ones.
    pub fn count(&self, counters: &mut Counters) {
        let levels = &self.levels;
        counters.allocated_bytes = levels.allocated.gauge(self.shards().map(|p| &p.allocated));
        counters.requested_bytes = levels.requested.gauge(self.shards().map(|p| &p.requested));
        counters.allocation = levels.allocations.gauge(self.shards().map(|p| &p.allocations));
        for gauge in [&mut counters.allocated_bytes, &mut counters.requested_bytes] {
            gauge.peak = gauge.peak.min(counters.reserved_bytes.peak).max(gauge.current);
        }
        counters.hits += self.shards().map(|p| p.hits.load(Ordering::Relaxed)).sum::<u64>();
    }

    /// Peaks start again from now.
    pub fn reset_peaks(&self) {
        let levels = &self.levels;
        for shard in self.shards() {
            let _bins = shard.bins.lock();
            shard.allocated.publish(&levels.allocated);
            shard.requested.publish(&levels.requested);
            shard.allocations.publish(&levels.allocations);
        }
        for level in [&levels.allocated, &levels.requested, &levels.allocations] {
            level.reset_peak();
        }
    }

    pub(super) fn hand_out(&self, shard: &Shard, _locked: &Locked<'_>, bytes: u64, requested: u64) {
        shard.allocated.add(&self.levels.allocated, bytes);
        shard.requested.add(&self.levels.requested, requested);
        shard.allocations.add(&self.levels.allocations, 1);
    }

    pub(super) fn take_back(&self, shard: &Shard, _locked: &Locked<'_>, known: &Known) {
        shard.allocated.take(&self.levels.allocated, known.bytes, SLACK_BYTES);
        shard.requested.take(&self.levels.requested, known.requested, SLACK_BYTES);
        shard.allocations.take(&self.levels.allocations, 1, SLACK_BLOCKS);
    }

    /// `idle`, which is no longer in the bins of `shard`, is the backing's from now on.
    pub(super) fn leave(&self, shard: &Shard, _locked: &Locked<'_>, idle: Idle) -> Token {
        let record: &Record = self.records.of(idle.token);
        shard.idle.take(&self.levels.idle, record.get().bytes, SLACK_BYTES);
        record.clear();
        Token(idle.token)
    }
}
