//! Bytes that went back to the driver, by what gave them back.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What has had idle memory given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody asked: `empty_cache()`, the signal, `cupool flush`.
    Asked,
    /// An allocation found no memory.
    OutOfMemory,
    /// Another process found none (its option `ask_neighbours`).
    Neighbour,
    /// The option `min_free`.
    MinFree,
    /// The option `max_idle`.
    MaxIdle,
    /// The option `decay`.
    Decay,
}

impl Cause {
    const COUNT: usize = 6;
}

/// Bytes given back to the driver so far, by [`Cause`]. What went with its context, or since others
/// could reach it, has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Released {
    /// [`Cause::Asked`]
    pub asked: u64,
    /// [`Cause::OutOfMemory`]
    pub out_of_memory: u64,
    /// [`Cause::Neighbour`]
    pub neighbour: u64,
    /// [`Cause::MinFree`]
    pub min_free: u64,
    /// [`Cause::MaxIdle`]
    pub max_idle: u64,
    /// [`Cause::Decay`]
    pub decay: u64,
}

impl Released {
    /// Each cause by the word that all formats have for it, with its bytes.
    pub const fn named(&self) -> [(&'static str, u64); Cause::COUNT] {
        [
            ("asked", self.asked),
            ("out_of_memory", self.out_of_memory),
            ("neighbour", self.neighbour),
            ("min_free", self.min_free),
            ("max_idle", self.max_idle),
            ("decay", self.decay),
        ]
    }

    /// The bytes of each cause, to be changed; in the order of [`named`](Self::named).
    pub(crate) const fn each(&mut self) -> [&mut u64; Cause::COUNT] {
        [
            &mut self.asked,
            &mut self.out_of_memory,
            &mut self.neighbour,
            &mut self.min_free,
            &mut self.max_idle,
            &mut self.decay,
        ]
    }

    /// Adds what another pool gave back.
    pub(crate) fn absorb(&mut self, other: &Self) {
        for (bytes, (_, more)) in self.each().into_iter().zip(other.named()) {
            *bytes += more;
        }
    }
}

/// The same, counted by all threads without a lock.
#[derive(Default)]
pub struct LiveReleased([AtomicU64; Cause::COUNT]);

impl LiveReleased {
    /// `bytes` went back.
    pub fn add(&self, cause: Cause, bytes: u64) {
        self.0[cause as usize].fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn now(&self) -> Released {
        let mut released = Released::default();
        for (bytes, counted) in released.each().into_iter().zip(&self.0) {
            *bytes = counted.load(Ordering::Relaxed);
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_place() {
        let causes = [
            Cause::Asked,
            Cause::OutOfMemory,
            Cause::Neighbour,
            Cause::MinFree,
            Cause::MaxIdle,
            Cause::Decay,
        ];
        let live = LiveReleased::default();
        for (cause, bytes) in causes.into_iter().zip(1..) {
            live.add(cause, bytes);
            live.add(cause, 10);
        }
        let mut released = live.now();
        let told = Released {
            asked: 11,
            out_of_memory: 12,
            neighbour: 13,
            min_free: 14,
            max_idle: 15,
            decay: 16,
        };
        assert_eq!(released, told);
        released.absorb(&told);
        assert_eq!(released.named()[5], ("decay", 32));
        assert_eq!(released.named()[0], ("asked", 22));
    }
}
