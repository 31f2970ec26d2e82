//! In front of a backing: recently freed blocks, by thread, and the figures of what the program
//! holds.
//!
//! Most programs ask again for a size that they have just freed. Such a block comes back from the
//! bins of the thread's *shard*, before the backing is asked and without a lock that other threads
//! want. A block here is still carved out in its backing, but idle: it is drained into the backing
//! before anything is decided that depends on what is idle there (growing, giving back, the end of
//! the context).
//!
//! A block goes back to the shard it was allocated from, whichever thread frees it: where one thread
//! allocates what another frees, it is found again. Shards are many; threads beyond that share them,
//! and the shard of a thread that has ended is a later one's.

mod bins;
mod figures;
mod records;
mod tally;

use std::sync::OnceLock;

use self::bins::{Bins, Idle, Locked, is_large};
use self::records::{Known, Records};
use self::tally::{Level, Part, SLACK_BYTES};
use crate::backing::{Block, GRANULE, Token};
use crate::driver::DevicePtr;
use crate::order::Stamp;
use crate::sync::{self, AtomicU64, Ordering, Padded};

/// Threads beyond this many share.
const SHARDS: usize = 64;

/// So many shards are a crowd. Fewer threads allocate in a program with one for each part of its work,
/// such as a forward and a backward pass.
const CROWD: u64 = 4;

/// Names the shard of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ShardId(u32);

impl ShardId {
    /// The shard of the n-th thread.
    pub fn of_thread(number: u32) -> Self {
        Self(number % SHARDS as u32)
    }
}

/// What a thread, or a few, has here. All but the lock is only written under the lock.
#[derive(Default)]
struct Shard {
    bins: Bins,
    allocated: Part,
    requested: Part,
    allocations: Part,
    /// Bytes in the bins.
    idle: Part,
    /// Blocks that had ever been put in at the last [`Front::drain_unused`].
    looked: AtomicU64,
    hits: AtomicU64,
}

#[derive(Default)]
struct Levels {
    allocated: Level,
    requested: Level,
    allocations: Level,
    idle: Level,
}

/// See the [module](self).
pub struct Front {
    records: Records,
    shards: [OnceLock<Box<Padded<Shard>>>; SHARDS],
    /// Shards that are made.
    made: AtomicU64,
    levels: Padded<Levels>,
}

/// Blocks of a small size that take turns where a fence goes before the reuse: one fence serves for
/// all of them.
const ROTATED: usize = 4;
/// The largest size of those, in bytes.
const ROTATED_LARGEST: u64 = 1 << 20;
/// The backing is asked for another one once in so many frees at most: it may have none.
const ROTATED_ASK: u64 = 8;

/// What is here where a fence goes before the reuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lazily {
    /// This block.
    Found(Block),
    /// Blocks whose fence is still to come, and so few that one more would save fences.
    Few,
    /// Nothing of that size.
    Nothing,
}

/// What became of a block that was put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// It is here, and other threads have been told of no more idle bytes than before.
    Here,
    /// It is here, and there may be more idle bytes now than ever before.
    More,
    /// It is not for here.
    Refused,
}

/// The class of a size of `class` bytes as the bins know it; 0 for one that they do not take.
fn granules(class: u64) -> u32 {
    u32::try_from(class / GRANULE).unwrap_or(0)
}

impl Default for Front {
    fn default() -> Self {
        Self {
            records: Records::default(),
            shards: [const { OnceLock::new() }; SHARDS],
            made: AtomicU64::new(0),
            levels: Padded::default(),
        }
    }
}

impl Front {
    fn shard(&self, id: ShardId) -> &Shard {
        self.shards[id.0 as usize % SHARDS].get_or_init(|| {
            self.made.fetch_add(1, Ordering::Relaxed);
            Box::default()
        })
    }

    /// Whether so many threads allocate that they are to wait for each other as little as can be.
    pub fn is_crowded(&self) -> bool {
        self.made.load(Ordering::Relaxed) >= CROWD
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter_map(OnceLock::get).map(|shard| &shard.0)
    }

    /// An idle block of `class`, whose stamp is not after `horizon`, for a request of `bytes`.
    #[inline]
    pub fn take(&self, id: ShardId, class: u64, bytes: u64, horizon: Stamp) -> Option<Block> {
        let shard = self.shard(id);
        // Who finds the bins taken is as well served by the backing.
        let mut bins = shard.bins.try_lock()?;
        let idle = bins.pop(granules(class), horizon.0)?;
        Some(self.come(id, shard, &bins, idle, bytes))
    }

    /// An idle block of `class` for a request of `bytes`; one whose fence is in place, if there is
    /// any, so that one fence serves for as many blocks as can be.
    pub fn take_lazily(&self, id: ShardId, class: u64, bytes: u64, placed: Stamp) -> Lazily {
        let shard = self.shard(id);
        let Some(mut bins) = shard.bins.try_lock() else { return Lazily::Nothing };
        let of_class = granules(class);
        let idle = match bins.pop(of_class, placed.0) {
            Some(idle) => idle,
            None => {
                // In a crowd the fences of others order most of what is here.
                let alone = !self.is_crowded();
                if class <= ROTATED_LARGEST && alone && bins.pushed() % ROTATED_ASK == 0 {
                    let count = bins.count(of_class);
                    if 0 < count && count < ROTATED {
                        return Lazily::Few;
                    }
                }
                match bins.pop(of_class, u64::MAX) {
                    Some(idle) => idle,
                    None => return Lazily::Nothing,
                }
            }
        };
        Lazily::Found(self.come(id, shard, &bins, idle, bytes))
    }

    /// `idle`, which is no longer in the bins of `shard`, is the program's from now on.
    #[inline(always)]
    fn come(&self, id: ShardId, shard: &Shard, bins: &Locked<'_>, idle: Idle, bytes: u64) -> Block {
        let record = self.records.of(idle.token);
        let known = record.get();
        record.hand_out(bytes, id.0);
        shard.idle.take(&self.levels.idle, known.bytes, SLACK_BYTES);
        shard.hits.store(shard.hits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.hand_out(shard, bins, known.bytes, bytes);
        Block {
            ptr: known.ptr,
            bytes: known.bytes,
            token: Token(idle.token),
            stamp: Stamp(idle.stamp),
        }
    }

    /// The backing has handed `block` out for a request of `bytes` in `class`.
    pub fn enter(&self, id: ShardId, block: &Block, class: u64, bytes: u64) {
        let class = granules(class);
        let known =
            Known { ptr: block.ptr, bytes: block.bytes, requested: bytes, class, shard: id.0 };
        self.records.of(block.token.0).set(known);
        let shard = self.shard(id);
        let bins = shard.bins.lock();
        bins.handed_out(class, block.token.0);
        self.hand_out(shard, &bins, block.bytes, bytes);
    }

    /// The program has given the block `token` back, to be used again behind fence `stamp`. What
    /// must leave for it goes to `give`.
    #[inline]
    pub fn put(
        &self,
        id: ShardId,
        token: Token,
        stamp: Stamp,
        give: impl FnOnce(Token, Stamp),
    ) -> Put {
        let record = self.records.of(token.0);
        let known = record.get();
        let home = self.shard(ShardId(known.shard));
        let (shard, mut bins) = match home.bins.try_lock() {
            Some(bins) => (home, bins),
            None => {
                let own = self.shard(id);
                (own, own.bins.lock())
            }
        };
        self.take_back(shard, &bins, &known);
        if is_large(known.class) && self.is_crowded() {
            shard.bins.crowd();
        }
        if known.class == 0 || !bins.takes(known.class, token.0) {
            record.clear();
            // With this one back, the backing might choose another than the one that is here.
            if let Some(idle) = bins.take_large() {
                give(self.leave(shard, &bins, idle), Stamp(idle.stamp));
            }
            return Put::Refused;
        }
        let more = shard.idle.add(&self.levels.idle, known.bytes);
        let pushed_out = bins.push(Idle { class: known.class, token: token.0, stamp: stamp.0 });
        if let Some(pushed_out) = pushed_out {
            // Under the lock, as in `empty`.
            give(self.leave(shard, &bins, pushed_out), Stamp(pushed_out.stamp));
        }
        if more { Put::More } else { Put::Here }
    }

    /// The program has given the block `token` back, which goes elsewhere.
    pub fn forget(&self, id: ShardId, token: Token) {
        let record = self.records.of(token.0);
        let known = record.get();
        record.clear();
        let shard = self.shard(id);
        let bins = shard.bins.lock();
        self.take_back(shard, &bins, &known);
    }

    /// Gives every block here to `give`: those of a shard in the order in which they were freed.
    pub fn drain(&self, mut give: impl FnMut(Token, Stamp)) {
        for shard in self.shards() {
            self.empty(shard, &mut give);
        }
    }

    /// Gives every block to `give` that has been here since the last call of this, in the order in
    /// which those of a shard were freed.
    pub fn drain_unused(&self, mut give: impl FnMut(Token, Stamp)) {
        for shard in self.shards() {
            let looked = shard.looked.swap(shard.bins.pushed(), Ordering::Relaxed);
            if shard.bins.is_empty() {
                continue;
            }
            let mut bins = shard.bins.lock();
            while let Some(idle) = bins.pop_oldest(looked) {
                give(self.leave(shard, &bins, idle), Stamp(idle.stamp));
            }
        }
    }

    /// Gives the blocks of one shard after the other to `give`, that of a thread first, until `ask` has
    /// an answer.
    pub fn drain_until<T>(
        &self,
        id: ShardId,
        mut give: impl FnMut(Token, Stamp),
        ask: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let first = id.0 as usize % SHARDS;
        let (before, from) = self.shards.split_at(first);
        from.iter()
            .chain(before)
            .filter_map(OnceLock::get)
            .find_map(|shard| self.empty(shard, &mut give).then(&ask).flatten())
    }

    /// Gives the large block of one shard to `give`, if there is one.
    pub fn drain_large(&self, id: ShardId, give: impl FnOnce(Token, Stamp)) {
        let shard = self.shard(id);
        if shard.bins.is_empty() {
            return;
        }
        let mut bins = shard.bins.lock();
        if let Some(idle) = bins.take_large() {
            give(self.leave(shard, &bins, idle), Stamp(idle.stamp));
        }
    }

    /// Tells whether anything was there.
    fn empty(&self, shard: &Shard, give: &mut impl FnMut(Token, Stamp)) -> bool {
        if shard.bins.is_empty() {
            return false;
        }
        // Given under the lock, so that whoever needs a block finds it either here or there.
        let mut bins = shard.bins.lock();
        let mut any = false;
        while let Some(idle) = bins.pop_oldest(u64::MAX) {
            give(self.leave(shard, &bins, idle), Stamp(idle.stamp));
            any = true;
        }
        any
    }

    /// These blocks are no more, whoever had them: others have their memory now. What has no place here
    /// any more goes to `give`.
    pub fn strike(&self, stale: &[DevicePtr], mut give: impl FnMut(Token, Stamp)) {
        for &ptr in stale {
            let Some(token) = self.records.find(ptr) else { continue };
            let mut here = false;
            for shard in self.shards() {
                let mut bins = shard.bins.lock();
                let all: Vec<_> = std::iter::from_fn(|| bins.pop_oldest(u64::MAX)).collect();
                for idle in all {
                    if idle.token == token {
                        self.leave(shard, &bins, idle);
                        here = true;
                    } else if let Some(out) = bins.push(idle) {
                        // A crowd since it came: it is in another bin now, which was full.
                        give(self.leave(shard, &bins, out), Stamp(out.stamp));
                    }
                }
            }
            if !here {
                self.forget(ShardId::default(), Token(token));
            }
        }
    }

    /// What the program asked for when it got the block `token`, in bytes.
    pub fn requested(&self, token: Token) -> u64 {
        self.records.of(token.0).get().requested
    }
}

#[cfg(test)]
mod tests;
