//! Spans by size, and by address where they are of one size: the first that is large enough is the best
//! fit.

use std::collections::BTreeMap;

/// See the [module](self). With each span goes a `T`.
#[derive(Debug)]
pub(super) struct Fits<T>(BTreeMap<u64, T>);

impl<T> Default for Fits<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// Size and address in one word, which compares as the two do.
fn key(units: u32, at: u32) -> u64 {
    u64::from(units) << 32 | u64::from(at)
}

fn entry<T: Copy>((&key, &more): (&u64, &T)) -> (u32, u32, T) {
    ((key >> 32) as u32, key as u32, more)
}

impl<T: Copy> Fits<T> {
    pub(super) fn get(&self, units: u32, at: u32) -> Option<T> {
        self.0.get(&key(units, at)).copied()
    }

    pub(super) fn insert(&mut self, units: u32, at: u32, more: T) {
        self.0.insert(key(units, at), more);
    }

    pub(super) fn remove(&mut self, units: u32, at: u32) {
        self.0.remove(&key(units, at));
    }

    /// Spans of at least `units` units, the best fit first, as (units, start, what goes with it).
    pub(super) fn from(&self, units: u32) -> impl Iterator<Item = (u32, u32, T)> {
        self.0.range(key(units, 0)..).map(entry)
    }

    /// Spans of less than `units` units, the largest first.
    pub(super) fn below(&self, units: u32) -> impl Iterator<Item = (u32, u32, T)> {
        self.0.range(..key(units, 0)).rev().map(entry)
    }

    /// The largest.
    pub(super) fn last(&self) -> Option<(u32, u32, T)> {
        self.0.last_key_value().map(entry)
    }
}
