//! The pools by context and by number.
//!
//! Every allocation and free looks here, so a look takes neither a lock nor a write to memory that
//! other threads read: the first [`FAST`] pools of a process stand in slots that are filled once and
//! never emptied. A process that makes more contexts than that in its life pays a lock for the later
//! ones.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};

use crate::driver::{Context, Driver};
use crate::pool::Pool;

pub(super) const FAST: usize = if cfg!(miri) { 4 } else { 64 };

struct Slot<D: Driver> {
    pool: Arc<Pool<D>>,
    /// The context has ended. Another one may have got its handle.
    ended: AtomicBool,
}

/// See the [module](self).
pub(super) struct Table<D: Driver> {
    fast: [OnceLock<Slot<D>>; FAST],
    /// Slots that are filled.
    filled: AtomicUsize,
    more: RwLock<Vec<Arc<Pool<D>>>>,
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
    /// The pool of a context that has not ended.
    pub(super) fn of_context(&self, context: Context) -> Option<Found<'_, D>> {
        self.find(|pool| pool.context == context)
    }

    /// The pool with a number, if its context has not ended.
    pub(super) fn of_number(&self, number: u32) -> Option<Found<'_, D>> {
        self.find(|pool| pool.number == number)
    }

    #[inline]
    fn find(&self, wanted: impl Fn(&Pool<D>) -> bool) -> Option<Found<'_, D>> {
        let filled = self.filled.load(Ordering::Acquire);
        let here = self.slots(filled).find(|slot| slot.lives() && wanted(&slot.pool));
        match here {
            Some(slot) => Some(Found::Here(&slot.pool)),
            None if filled < FAST => None,
            None => self.more.read().iter().find(|pool| wanted(pool)).cloned().map(Found::Shared),
        }
    }

    fn slots(&self, filled: usize) -> impl Iterator<Item = &Slot<D>> {
        self.fast[..filled].iter().filter_map(OnceLock::get)
    }

    /// All pools whose contexts have not ended.
    pub(super) fn all(&self) -> Vec<Arc<Pool<D>>> {
        let living = self.slots(self.filled.load(Ordering::Acquire)).filter(|slot| slot.lives());
        let mut pools: Vec<_> = living.map(|slot| slot.pool.clone()).collect();
        pools.extend(self.more.read().iter().cloned());
        pools
    }

    /// The pool of `context`, made by `make` with a number of its own if there is none.
    pub(super) fn add(&self, context: Context, make: impl FnOnce(u32) -> Pool<D>) -> Found<'_, D> {
        let mut last = self.changing.lock();
        if let Some(found) = self.of_context(context) {
            return found;
        }
        *last = last.wrapping_add(1).max(1);
        let pool = Arc::new(make(*last));
        let filled = self.filled.load(Ordering::Acquire);
        if let Some(slot) = self.fast.get(filled) {
            let slot = slot.get_or_init(|| Slot { pool, ended: AtomicBool::new(false) });
            self.filled.store(filled + 1, Ordering::SeqCst);
            // Whoever announces a capture and then misses this pool is seen by its first fence.
            fence(Ordering::SeqCst);
            return Found::Here(&slot.pool);
        }
        self.more.write().push(pool.clone());
        fence(Ordering::SeqCst);
        Found::Shared(pool)
    }

    /// Takes the pool of `context` away.
    pub(super) fn remove(&self, context: Context) -> Option<Arc<Pool<D>>> {
        let _changing = self.changing.lock();
        let filled = self.filled.load(Ordering::Acquire);
        let here = self.slots(filled).find(|slot| slot.lives() && slot.pool.context == context);
        if let Some(slot) = here {
            slot.ended.store(true, Ordering::Release);
            return Some(slot.pool.clone());
        }
        let mut more = self.more.write();
        let at = more.iter().position(|pool| pool.context == context)?;
        Some(more.swap_remove(at))
    }
}

impl<D: Driver> Slot<D> {
    fn lives(&self) -> bool {
        !self.ended.load(Ordering::Acquire)
    }
}
