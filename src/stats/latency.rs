//! A histogram of durations in nanoseconds, of fixed size.
//!
//! Log-linear: every power of two is cut into [`SUBDIVISIONS`] buckets of equal width, so a bucket
//! is never wider than 1/16 of its lower bound. A quantile is told as the middle of its bucket and
//! is therefore within [`Latency::RELATIVE_ERROR`] of the true one; durations below
//! [`SUBDIVISIONS`] nanoseconds and the maximum are exact. The whole range of `u64` is covered.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

const SUBDIVISION_BITS: u32 = 4;
/// Buckets per power of two.
const SUBDIVISIONS: usize = 1 << SUBDIVISION_BITS;
/// The values below `SUBDIVISIONS` have a bucket each; every higher power of two has a row.
const BUCKETS: usize = SUBDIVISIONS * (1 + (u64::BITS - SUBDIVISION_BITS) as usize);

/// How long something took, over many times. Its one array is allocated when it is made.
#[derive(Clone)]
pub struct Latency {
    counts: Box<[u64; BUCKETS]>,
    max: u64,
}

/// A [`Latency`] that threads record into at the same time, without a lock.
pub struct LiveLatency {
    counts: Box<[AtomicU64]>,
    max: AtomicU64,
}

/// What a [`Latency`] tells. Durations in nanoseconds; all zero if nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Quantiles {
    /// How many durations were recorded.
    pub count: u64,
    /// The median.
    pub p50: u64,
    /// Nine in ten took no longer.
    pub p90: u64,
    /// 99 in a hundred took no longer.
    pub p99: u64,
    /// The longest, exactly.
    pub max: u64,
}

impl Default for LiveLatency {
    fn default() -> Self {
        let counts = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { counts, max: AtomicU64::new(0) }
    }
}

impl LiveLatency {
    /// Counts one duration of `ns` nanoseconds.
    pub fn record(&self, ns: u64) {
        self.counts[bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.max.fetch_max(ns, Ordering::Relaxed);
    }

    /// What was recorded so far.
    pub fn now(&self) -> Latency {
        let mut latency = Latency::default();
        for (count, live) in latency.counts.iter_mut().zip(&self.counts) {
            *count = live.load(Ordering::Relaxed);
        }
        latency.max = self.max.load(Ordering::Relaxed);
        latency
    }
}

impl Latency {
    /// A quantile differs from the true one by at most this part of it.
    pub const RELATIVE_ERROR: f64 = 1.0 / (2 * SUBDIVISIONS) as f64;

    /// Counts one duration of `ns` nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.max = self.max.max(ns);
    }

    /// Counts everything that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count += more;
        }
        self.max = self.max.max(other.max);
    }

    /// Median, tail and maximum of what was recorded so far.
    pub fn quantiles(&self) -> Quantiles {
        let count = self.counts.iter().sum();
        let quantile = |percent| self.of_rank(rank(count, percent));
        Quantiles { count, p50: quantile(50), p90: quantile(90), p99: quantile(99), max: self.max }
    }

    /// The `rank`-th smallest duration, counted from 1; 0 if there is none.
    fn of_rank(&self, rank: u64) -> u64 {
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return middle(index).min(self.max);
            }
        }
        0
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), max: 0 }
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Latency").field(&self.quantiles()).finish()
    }
}

/// The nearest rank: how many of `count` values the quantile is the largest of.
fn rank(count: u64, percent: u64) -> u64 {
    // Widened, since a product of counts need not fit.
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
    u64::try_from(rank).unwrap_or(u64::MAX)
}

/// The bucket that counts `ns`.
fn bucket(ns: u64) -> usize {
    if ns < SUBDIVISIONS as u64 {
        return ns as usize;
    }
    let shift = ns.ilog2() - SUBDIVISION_BITS;
    // `ns >> shift` lies in SUBDIVISIONS..2*SUBDIVISIONS, which makes the rows follow each other.
    shift as usize * SUBDIVISIONS + (ns >> shift) as usize
}

/// The middle of a bucket, in nanoseconds.
fn middle(bucket: usize) -> u64 {
    if bucket < 2 * SUBDIVISIONS {
        return bucket as u64;
    }
    let shift = (bucket / SUBDIVISIONS - 1) as u32;
    let low = ((bucket % SUBDIVISIONS + SUBDIVISIONS) as u64) << shift;
    low + (1 << (shift - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds of every row and some values within.
    fn probes() -> impl Iterator<Item = u64> {
        (0..u64::BITS).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + power / 3, power + (power - 1)]
        })
    }

    #[test]
    fn every_duration_has_a_bucket_whose_middle_is_near() {
        for ns in probes() {
            let index = bucket(ns);
            assert!(index < BUCKETS, "{ns}");
            let error = middle(index).abs_diff(ns) as f64;
            assert!(error <= ns as f64 * Latency::RELATIVE_ERROR, "{ns}: {}", middle(index));
        }
    }

    #[test]
    fn buckets_follow_each_other_without_gap() {
        let mut probes: Vec<u64> = (0..4096).chain(probes().filter(|ns| *ns >= 4096)).collect();
        probes.sort_unstable();
        for pair in probes.windows(2) {
            let (low, high) = (bucket(pair[0]), bucket(pair[1]));
            assert!(low <= high, "{pair:?}");
            assert!(pair[1] >= 4096 || high - low <= 1, "{pair:?}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(Latency::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn quantiles_are_within_the_stated_error() {
        let mut latency = Latency::default();
        let mut all: Vec<u64> = (0..1000_u64).map(|i| 1 + (i * 7919 % 1000).pow(2)).collect();
        for ns in &all {
            latency.record(*ns);
        }
        all.sort_unstable();
        let told = latency.quantiles();
        for (told, truth) in [(told.p50, all[499]), (told.p90, all[899]), (told.p99, all[989])] {
            let error = told.abs_diff(truth) as f64 / truth as f64;
            assert!(error <= Latency::RELATIVE_ERROR, "{told} for {truth}");
        }
        assert_eq!((told.count, told.max), (1000, all[999]));
    }

    #[test]
    fn one_duration_is_every_quantile() {
        let mut latency = Latency::default();
        latency.record(5);
        assert_eq!(latency.quantiles(), Quantiles { count: 1, p50: 5, p90: 5, p99: 5, max: 5 });
    }

    #[test]
    fn no_quantile_exceeds_the_maximum() {
        let mut latency = Latency::default();
        latency.record(1 << 20);
        assert_eq!(latency.quantiles().p99, 1 << 20);
    }

    #[test]
    fn merging_counts_both() {
        let (mut one, mut other) = (Latency::default(), Latency::default());
        for ns in 0..10 {
            one.record(ns);
        }
        for ns in 10..20 {
            other.record(ns);
        }
        one.merge(&other);
        let told = one.quantiles();
        assert_eq!((told.count, told.p50, told.max), (20, 9, 19));
    }
}
