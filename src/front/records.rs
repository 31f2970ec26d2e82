//! What is known of each block that its backing has handed out, found by its token without a lock.
//!
//! Records lie in chunks, each twice as large as the one before, which are made as tokens appear and
//! neither move nor go away. Those of consecutive tokens, which threads that allocate at the same time
//! get, lie apart, so that such threads do not write to the same cache lines. A record is written by whoever has the block, and read by whoever gets
//! it from there (through the map of pointers or a bin), so plain words do.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::driver::DevicePtr;

/// Records in the first chunk, as a power of two.
const FIRST_LOG2: u32 = 6;
/// All tokens of 32 bits fit.
const CHUNKS: usize = (u32::BITS - FIRST_LOG2 + 1) as usize;

/// A block outside its backing.
#[derive(Default)]
pub(super) struct Record {
    ptr: AtomicU64,
    bytes: AtomicU64,
    requested: AtomicU64,
    class: AtomicU32,
    /// The shard of the thread that allocated it last.
    shard: AtomicU32,
}

/// The same, read.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// Where it begins.
    pub(super) ptr: DevicePtr,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// What the program asked for, in bytes.
    pub(super) requested: u64,
    /// The class of its size, in granules; 0 for one that no bin takes.
    pub(super) class: u32,
    /// The shard of the thread that allocated it last.
    pub(super) shard: u32,
}

/// See the [module](self).
pub(super) struct Records {
    chunks: [OnceLock<Box<[Record]>>; CHUNKS],
}

impl Default for Records {
    fn default() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS] }
    }
}

impl Records {
    /// The record of the block `token`, made if it is new.
    pub(super) fn of(&self, token: u32) -> &Record {
        let place = u64::from(token) + (1 << FIRST_LOG2);
        let log2 = place.ilog2();
        let chunk = self.chunks[(log2 - FIRST_LOG2) as usize]
            .get_or_init(|| (0..1_usize << log2).map(|_| Record::default()).collect());
        &chunk[spread((place - (1 << log2)) as usize, log2)]
    }

    /// The block that starts at `ptr`: its token. Looks at all of them.
    pub(super) fn find(&self, ptr: DevicePtr) -> Option<u32> {
        let made = self.chunks.iter().zip(FIRST_LOG2..).filter_map(|(chunk, log2)| {
            let chunk = chunk.get()?;
            let at = (0..chunk.len()).find(|&at| chunk[spread(at, log2)].get().ptr == ptr)?;
            Some(at as u64 + (1 << log2) - (1 << FIRST_LOG2))
        });
        made.last().and_then(|token| u32::try_from(token).ok())
    }
}

/// Records on two cache lines, which processors fetch together, as a power of two.
const LINES_LOG2: u32 = 2;

/// Where the record `at` lies in a chunk of `1 << log2`: its number rotated by some bits.
fn spread(at: usize, log2: u32) -> usize {
    let mask = (1 << log2) - 1;
    (at << LINES_LOG2 | at >> (log2 - LINES_LOG2)) & mask
}

impl Record {
    pub(super) fn get(&self) -> Known {
        Known {
            ptr: DevicePtr(self.ptr.load(Ordering::Relaxed)),
            bytes: self.bytes.load(Ordering::Relaxed),
            requested: self.requested.load(Ordering::Relaxed),
            class: self.class.load(Ordering::Relaxed),
            shard: self.shard.load(Ordering::Relaxed),
        }
    }

    pub(super) fn set(&self, known: Known) {
        self.ptr.store(known.ptr.0, Ordering::Relaxed);
        self.bytes.store(known.bytes, Ordering::Relaxed);
        self.class.store(known.class, Ordering::Relaxed);
        self.hand_out(known.requested, known.shard);
    }

    /// The block goes to the program again, which asked for `requested` bytes this time.
    pub(super) fn hand_out(&self, requested: u64, shard: u32) {
        self.requested.store(requested, Ordering::Relaxed);
        self.shard.store(shard, Ordering::Relaxed);
    }

    /// The block is its backing's.
    pub(super) fn clear(&self) {
        self.ptr.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_a_record_of_its_own() {
        let records = Records::default();
        let last = if cfg!(miri) { 200 } else { 10_000 };
        let ptr = |token| DevicePtr(u64::from(token) + 1);
        for token in 0..last {
            let known = Known { ptr: ptr(token), bytes: 1, requested: 1, class: 1, shard: token };
            records.of(token).set(known);
        }
        for token in (0..last).step_by(97) {
            assert_eq!(records.of(token).get().shard, token);
            assert_eq!(records.find(ptr(token)), Some(token));
        }
        records.of(97).clear();
        assert_eq!(records.find(ptr(97)), None);
    }
}
