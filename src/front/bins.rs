//! The blocks that one thread has freed lately, by size.
//!
//! A bin holds blocks of any sizes whose hash it is, the most recently freed last. There are so many
//! bins of so many places, and that is all: a look, an entry and an exit take a time that does not
//! depend on how many blocks there are, and no host memory. What does not fit pushes the oldest of
//! its bin out.
//!
//! All of it is plain words that are only touched under the lock beside them, so a thread that finds
//! its own bins open pays one exchange for them.

use super::sync::{AtomicBool, AtomicU64, Backoff, Ordering};
use crate::backing::GRANULE;

/// Bins; as many as the bits of a word.
const BINS: usize = 64;
/// Blocks that fit into one. Programs that free many of one size in a row and allocate as many
/// again are served by the backing, which is about as fast.
const PLACES: usize = 8;
/// Blocks of larger classes, in granules, are large: they have pages of their own, and whether they
/// coalesce decides how much memory is needed. So a large block stays here only if it is what this
/// thread allocated last: then what comes back is what the backing would choose too. All of them
/// share the last bin, which has one place, and leave it when anything large is freed or allocated.
/// (Without this rule the recorded traces need up to 18 % more.)
const LARGE: u32 = ((1 << 20) / GRANULE) as u32;
/// The same where many threads allocate: 64 MiB.
const CROWDED_LARGE: u32 = ((64 << 20) / GRANULE) as u32;

/// A block that is idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Idle {
    /// Its size class, in granules.
    pub(crate) class: u32,
    /// Its name in the backing.
    pub(crate) token: u32,
    /// The fence that must be in place before it is used.
    pub(crate) stamp: u64,
}

/// A place in a bin.
#[derive(Default)]
struct Place {
    /// Class and token, the class in the upper half.
    name: AtomicU64,
    stamp: AtomicU64,
    /// When it was freed, counted in frees.
    tick: AtomicU64,
}

#[derive(Default)]
struct Bin {
    filled: AtomicU64,
    places: [Place; PLACES],
}

/// See the [module](self).
pub(crate) struct Bins {
    locked: AtomicBool,
    /// Which bins hold anything, a bit for each.
    occupied: AtomicU64,
    tick: AtomicU64,
    /// The large block that was handed out last, one above its token; 0 for none.
    latest: AtomicU64,
    /// The largest class that is not alone.
    limit: AtomicU64,
    bins: Box<[Bin]>,
}

/// The bins are the calling thread's while this lives.
pub(crate) struct Locked<'a>(&'a Bins);

impl Default for Bins {
    fn default() -> Self {
        Self {
            locked: AtomicBool::new(false),
            occupied: AtomicU64::new(0),
            tick: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            limit: AtomicU64::new(u64::from(LARGE)),
            bins: (0..BINS).map(|_| Bin::default()).collect(),
        }
    }
}

fn get(word: &AtomicU64) -> u64 {
    word.load(Ordering::Relaxed)
}

fn set(word: &AtomicU64, value: u64) {
    word.store(value, Ordering::Relaxed);
}

/// Whether blocks of a size class have pages of their own.
pub(crate) fn is_large(class: u32) -> bool {
    class > LARGE
}

/// The bin of a size class that is not alone. Multiplied so that neighbouring sizes, and those that
/// are multiples of one another, lie apart.
fn hashed(class: u32) -> usize {
    let hash = u64::from(class.wrapping_mul(0x9E37_79B1));
    ((hash * (BINS as u64 - 1)) >> u32::BITS) as usize
}

impl Place {
    fn get(&self) -> Idle {
        let name = get(&self.name);
        Idle { class: (name >> 32) as u32, token: name as u32, stamp: get(&self.stamp) }
    }

    fn set(&self, idle: Idle, tick: u64) {
        set(&self.name, u64::from(idle.class) << 32 | u64::from(idle.token));
        set(&self.stamp, idle.stamp);
        set(&self.tick, tick);
    }

    fn move_from(&self, other: &Self) {
        self.set(other.get(), get(&other.tick));
    }
}

impl Bin {
    /// Takes the block at `place` out, and closes the gap.
    fn remove(&self, place: usize, filled: usize) -> Idle {
        let idle = self.places[place].get();
        for later in place + 1..filled {
            self.places[later - 1].move_from(&self.places[later]);
        }
        set(&self.filled, filled as u64 - 1);
        idle
    }
}

impl Bins {
    /// From now on only what is larger than [`CROWDED_LARGE`] is alone: waiting for each other costs
    /// many threads more than the memory that the rule saves.
    pub(crate) fn crowd(&self) {
        set(&self.limit, u64::from(CROWDED_LARGE));
    }

    /// Whether a block of `class` stays only if it was handed out last.
    fn is_alone(&self, class: u32) -> bool {
        u64::from(class) > get(&self.limit)
    }

    fn bin_of(&self, class: u32) -> usize {
        if self.is_alone(class) { BINS - 1 } else { hashed(class) }
    }

    /// The bins, unless another thread is at them.
    pub(crate) fn try_lock(&self) -> Option<Locked<'_>> {
        let free = !self.locked.load(Ordering::Relaxed);
        (free && !self.locked.swap(true, Ordering::Acquire)).then(|| Locked(self))
    }

    /// The bins, once no other thread is at them.
    pub(crate) fn lock(&self) -> Locked<'_> {
        let mut backoff = Backoff::default();
        loop {
            match self.try_lock() {
                Some(locked) => return locked,
                None => backoff.wait(),
            }
        }
    }

    /// Blocks that were ever put in. What another thread does meanwhile may not show.
    pub(crate) fn pushed(&self) -> u64 {
        get(&self.tick)
    }

    /// Whether nothing is in them. What another thread does meanwhile may not show.
    pub(crate) fn is_empty(&self) -> bool {
        get(&self.occupied) == 0
    }
}

impl Locked<'_> {
    /// Takes the block of `class` out that was freed last, of those whose stamp is not after
    /// `horizon`.
    pub(crate) fn pop(&mut self, class: u32, horizon: u64) -> Option<Idle> {
        let at = self.0.bin_of(class);
        let bin = &self.0.bins[at];
        let filled = get(&bin.filled) as usize;
        let place = bin.places[..filled].iter().rposition(|place| {
            let idle = place.get();
            idle.class == class && idle.stamp <= horizon
        })?;
        let idle = bin.remove(place, filled);
        if filled == 1 {
            set(&self.0.occupied, get(&self.0.occupied) & !(1 << at));
        }
        self.handed_out(class, idle.token);
        Some(idle)
    }

    /// A block of `class` has gone to the program.
    pub(crate) fn handed_out(&self, class: u32, token: u32) {
        if self.0.is_alone(class) {
            set(&self.0.latest, u64::from(token) + 1);
        }
    }

    /// Whether a block of `class` that comes back may stay here.
    pub(crate) fn takes(&self, class: u32, token: u32) -> bool {
        !self.0.is_alone(class) || get(&self.0.latest) == u64::from(token) + 1
    }

    /// Takes the large block out, if there is one. The one handed out last is nothing special from
    /// now on.
    pub(crate) fn take_large(&mut self) -> Option<Idle> {
        set(&self.0.latest, 0);
        let bin = &self.0.bins[BINS - 1];
        let filled = get(&bin.filled) as usize;
        (filled > 0).then(|| {
            set(&self.0.occupied, get(&self.0.occupied) & !(1 << (BINS - 1)));
            bin.remove(0, filled)
        })
    }

    /// How many blocks of `class` there are.
    pub(crate) fn count(&self, class: u32) -> usize {
        let bin = &self.0.bins[self.0.bin_of(class)];
        let filled = get(&bin.filled) as usize;
        bin.places[..filled].iter().filter(|place| place.get().class == class).count()
    }

    /// Blocks that were ever put in.
    pub(crate) fn pushed(&self) -> u64 {
        self.0.pushed()
    }

    /// Puts a block in. Gives the one that this pushes out, if any.
    pub(crate) fn push(&mut self, idle: Idle) -> Option<Idle> {
        let at = self.0.bin_of(idle.class);
        let bin = &self.0.bins[at];
        let tick = get(&self.0.tick) + 1;
        set(&self.0.tick, tick);
        let filled = get(&bin.filled) as usize;
        let places = if self.0.is_alone(idle.class) { 1 } else { PLACES };
        let pushed_out = (filled == places).then(|| bin.remove(0, filled));
        let filled = get(&bin.filled);
        bin.places[filled as usize].set(idle, tick);
        set(&bin.filled, filled + 1);
        set(&self.0.occupied, get(&self.0.occupied) | 1 << at);
        pushed_out
    }

    /// Takes the block out that was freed first, of those that were put in by the time that so many had
    /// been.
    pub(crate) fn pop_oldest(&mut self, pushed: u64) -> Option<Idle> {
        let occupied = get(&self.0.occupied);
        // The oldest of a bin stands first.
        let tick = |&at: &usize| get(&self.0.bins[at].places[0].tick);
        let at = (0..BINS).filter(|at| occupied >> at & 1 == 1).min_by_key(tick)?;
        if tick(&at) > pushed {
            return None;
        }
        let bin = &self.0.bins[at];
        let filled = get(&bin.filled) as usize;
        if filled == 1 {
            set(&self.0.occupied, occupied & !(1 << at));
        }
        Some(bin.remove(0, filled))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}
