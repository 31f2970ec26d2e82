//! Sums over threads that each thread changes for itself.
//!
//! A thread keeps what it has added and taken in words of its own. What is shared is one word, the
//! *published* level: never below the true sum, and raised before a thread exceeds what it has
//! published, so the highest it ever was is the peak. A thread that takes away lowers it only once
//! the difference is worth it; so threads that allocate and free the same again and again touch
//! nothing that is shared.
//!
//! With one thread at work the peak is exact. What other threads have taken away and not published
//! by then, at most [`SLACK_BYTES`] (or [`SLACK_BLOCKS`]) each and the last block each has freed, is
//! the most by which it can be too high.

use super::sync::{AtomicU64, Ordering};
use crate::stats::Gauge;

/// Bytes by which what a thread has published may exceed what it held before its last free.
pub(crate) const SLACK_BYTES: u64 = 4 << 20;
/// Blocks by which it may.
pub(crate) const SLACK_BLOCKS: u64 = 64;

/// What threads have published of one quantity.
#[derive(Default)]
pub(crate) struct Level {
    published: AtomicU64,
    peak: AtomicU64,
}

/// One thread's part. Only touched under a lock of that thread's.
#[derive(Default)]
pub(crate) struct Part {
    added: AtomicU64,
    taken: AtomicU64,
    /// What of the difference is published. Like it, negative where the thread takes what others
    /// have added, in two's complement.
    published: AtomicU64,
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
}

impl Level {
    /// At least the sum of all parts.
    pub(crate) fn bound(&self) -> u64 {
        get(&self.published)
    }

    /// The peak starts again from what is published now.
    pub(crate) fn reset_peak(&self) {
        set(&self.peak, get(&self.published));
    }

    fn raise(&self, by: u64) {
        let now = self.published.fetch_add(by, Ordering::Relaxed).wrapping_add(by);
        if now > get(&self.peak) {
            self.peak.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// All parts together.
    pub(crate) fn gauge<'a>(&self, parts: impl Iterator<Item = &'a Part>) -> Gauge {
        let (mut allocated, mut freed) = (0, 0);
        for part in parts {
            // In this order: what is taken was added before.
            freed += get(&part.taken);
            allocated += get(&part.added);
        }
        let current = allocated.saturating_sub(freed);
        Gauge { current, peak: get(&self.peak).max(current), allocated, freed }
    }
}

impl Part {
    /// What this thread has added and not taken.
    pub(crate) fn net(&self) -> u64 {
        get(&self.added).wrapping_sub(get(&self.taken))
    }

    /// Adds `amount`. True if that was published.
    pub(crate) fn add(&self, level: &Level, amount: u64) -> bool {
        set(&self.added, get(&self.added) + amount);
        let ahead = self.net().wrapping_sub(get(&self.published)) as i64;
        if ahead > 0 {
            set(&self.published, self.net());
            level.raise(ahead as u64);
        }
        ahead > 0
    }

    /// Takes `amount` away. Keeps it published if that is not more than `slack` ahead, so that a thread
    /// which adds it again at once has nothing to tell, however much it is.
    pub(crate) fn take(&self, level: &Level, amount: u64, slack: u64) {
        set(&self.taken, get(&self.taken) + amount);
        if get(&self.published).wrapping_sub(self.net()) > slack + amount {
            self.publish(level);
        }
    }

    /// Publishes what this thread holds now.
    pub(crate) fn publish(&self, level: &Level) {
        let behind = get(&self.published).wrapping_sub(self.net());
        set(&self.published, self.net());
        level.published.fetch_sub(behind, Ordering::Relaxed);
    }
}
