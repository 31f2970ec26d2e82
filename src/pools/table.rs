//! The pools by context and by number. A context has one, and those that it had before what the
//! program does asked for another kind.
//!
//! Every allocation and free looks here, so a look takes neither a lock nor a write to memory that
//! other threads read: the first [`FAST`] pools of a process stand in slots that are filled once and
//! never emptied. A process that makes more contexts than that in its life pays a lock for the later
//! ones.

use std::ops::Deref;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use crate::driver::{Context, Driver};
use crate::pool::Pool;

pub(super) const FAST: usize = if cfg!(miri) { 4 } else { 64 };

struct Slot<D: Driver> {
    pool: Arc<Pool<D>>,
    /// One of the three below.
    standing: AtomicU8,
}

/// The pool has what its context allocates.
const SERVES: u8 = 0;
/// Another pool has it from now on; this one has what it handed out before.
const REPLACED: u8 = 1;
/// The context has ended. Another one may have got its handle.
const ENDED: u8 = 2;

/// See the [module](self).
pub(super) struct Table<D: Driver> {
    fast: [OnceLock<Slot<D>>; FAST],
    /// Slots that are filled.
    filled: AtomicUsize,
    more: RwLock<Vec<Slot<D>>>,
    /// Held while the table changes; the number of the last pool.
    changing: Mutex<u32>,
}

/// A pool that was found.
pub(super) enum Found<'a, D: Driver> {
    /// In a slot, which is never emptied.
    Here(&'a Pool<D>),
    /// Anywhere else.
    Shared(Arc<Pool<D>>),
}

impl<D: Driver> Deref for Found<'_, D> {
    type Target = Pool<D>;

    fn deref(&self) -> &Pool<D> {
        match self {
            Self::Here(pool) => pool,
            Self::Shared(pool) => pool,
        }
    }
}

impl<D: Driver> Default for Table<D> {
    fn default() -> Self {
        Self {
            fast: [const { OnceLock::new() }; FAST],
            filled: AtomicUsize::new(0),
            more: RwLock::default(),
            changing: Mutex::new(0),
        }
    }
}

impl<D: Driver> Table<D> {
    /// The pool that has what a context allocates.
    #[inline]
    pub(super) fn serving(&self, context: Context) -> Option<Found<'_, D>> {
        self.find(|slot| slot.serves() && slot.pool.context == context)
    }

    /// A pool of a context that has not ended.
    pub(super) fn of_context(&self, context: Context) -> Option<Found<'_, D>> {
        self.find(|slot| slot.lives() && slot.pool.context == context)
    }

    /// The pool with a number, if its context has not ended.
    #[inline]
    pub(super) fn of_number(&self, number: u32) -> Option<Found<'_, D>> {
        self.find(|slot| slot.lives() && slot.pool.number == number)
    }

    #[inline]
    fn find(&self, wanted: impl Fn(&Slot<D>) -> bool) -> Option<Found<'_, D>> {
        let filled = self.filled.load(Ordering::Acquire);
        let here = self.slots(filled).find(|slot| wanted(slot));
        match here {
            Some(slot) => Some(Found::Here(&slot.pool)),
            None if filled < FAST => None,
            None => {
                let more = self.more.read();
                more.iter().find(|slot| wanted(slot)).map(|slot| Found::Shared(slot.pool.clone()))
            }
        }
    }

    fn slots(&self, filled: usize) -> impl Iterator<Item = &Slot<D>> {
        self.fast[..filled].iter().filter_map(OnceLock::get)
    }

    /// All pools whose contexts have not ended.
    pub(super) fn all(&self) -> Vec<Arc<Pool<D>>> {
        let mut pools = Vec::new();
        self.each(|slot| {
            if slot.lives() {
                pools.push(slot.pool.clone());
            }
        });
        pools
    }

    fn each(&self, mut act: impl FnMut(&Slot<D>)) {
        self.slots(self.filled.load(Ordering::Acquire)).for_each(&mut act);
        self.more.read().iter().for_each(&mut act);
    }

    /// The pool that serves `context`, made by `make` with a number of its own if there is none.
    pub(super) fn add(&self, context: Context, make: impl FnOnce(u32) -> Pool<D>) -> Found<'_, D> {
        let mut last = self.changing.lock();
        if let Some(found) = self.serving(context) {
            return found;
        }
        *last = last.wrapping_add(1).max(1);
        let pool = Arc::new(make(*last));
        let filled = self.filled.load(Ordering::Acquire);
        if let Some(slot) = self.fast.get(filled) {
            let slot = slot.get_or_init(|| Slot::new(pool));
            self.filled.store(filled + 1, Ordering::SeqCst);
            // Whoever announces a capture and then misses this pool is seen by its first fence.
            fence(Ordering::SeqCst);
            return Found::Here(&slot.pool);
        }
        self.more.write().push(Slot::new(pool.clone()));
        fence(Ordering::SeqCst);
        Found::Shared(pool)
    }

    /// The pools that are `wanted` serve nobody any more: the next allocation makes another one.
    /// Tells whether there were any.
    pub(super) fn replace(&self, wanted: impl Fn(&Pool<D>) -> bool) -> bool {
        let _changing = self.changing.lock();
        let mut any = false;
        self.each(|slot| {
            if slot.serves() && wanted(&slot.pool) {
                slot.standing.store(REPLACED, Ordering::Release);
                any = true;
            }
        });
        any
    }

    /// Takes the pools of `context` away.
    pub(super) fn remove(&self, context: Context) -> Vec<Arc<Pool<D>>> {
        let _changing = self.changing.lock();
        let mut removed = Vec::new();
        self.each(|slot| {
            if slot.lives() && slot.pool.context == context {
                slot.standing.store(ENDED, Ordering::Release);
                removed.push(slot.pool.clone());
            }
        });
        self.more.write().retain(Slot::lives);
        removed
    }
}

impl<D: Driver> Slot<D> {
    fn new(pool: Arc<Pool<D>>) -> Self {
        Self { pool, standing: AtomicU8::new(SERVES) }
    }

    fn serves(&self) -> bool {
        self.standing.load(Ordering::Acquire) == SERVES
    }

    fn lives(&self) -> bool {
        self.standing.load(Ordering::Acquire) != ENDED
    }
}
