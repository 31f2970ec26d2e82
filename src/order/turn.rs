//! One thread at a time places a fence, for all that wait for one.
//!
//! Who finds a fence being placed cannot use it, since its record may have come before their work,
//! and needs the next. All who come meanwhile share that one, so any number of threads waits for two
//! fences at most:
//!
//! ```text
//!  n is placed          n + 1 is placed
//! ├────────────────────┼─────────────────────┤
//!     ▲   ▲  ▲    ▲                          these four return
//! ```
//!
//! They wait without a lock, each looking at `placed`; one of them, the *heir*, also looks for the
//! end of the turn, so that the others do not all reach for it at once. Those who need the turn
//! itself, one after the other, queue at a lock and look one at a time: hundreds of threads that all
//! look would keep the processors from the one that they wait for.

use super::sync::{AtomicBool, AtomicU64, Backoff, Mutex, MutexGuard, Ordering, Padded};

/// Numbers the fences of a context and lets one thread at a time work on them.
///
/// `placed <= begun <= placed + 1` holds at every moment.
#[derive(Default)]
pub(crate) struct Turn {
    /// A thread has the turn.
    held: Padded<AtomicBool>,
    /// A thread is the heir.
    inherited: Padded<AtomicBool>,
    numbers: Padded<Numbers>,
    /// Locked by the one who needs the turn itself.
    alone: Mutex<()>,
}

#[derive(Default)]
struct Numbers {
    begun: AtomicU64,
    placed: AtomicU64,
}

/// The calling thread has the turn while this lives.
pub(crate) struct Held<'a> {
    turn: &'a Turn,
    /// Unlocked after the turn has ended.
    alone: Option<MutexGuard<'a, ()>>,
}

/// The calling thread is the heir while this lives.
struct Heir<'a>(&'a Turn);

/// A fence that is being placed. One that is dropped without [`placed`](Self::placed) has never
/// begun: its number is the next one's, for which all wait who would have shared it.
pub(crate) struct Begun<'a> {
    turn: &'a Turn,
    number: u64,
}

impl Turn {
    /// The last fence that began, in place or not.
    pub(crate) fn begun(&self) -> u64 {
        self.numbers.begun.load(Ordering::Acquire)
    }

    /// The last fence in place.
    pub(crate) fn placed(&self) -> u64 {
        self.numbers.placed.load(Ordering::Acquire)
    }

    /// Returns once fence `needed` is in place, or one that began after this call did, and gives its
    /// number. Whether the calling thread has to place it itself, by `place`, or another does, is all
    /// one; but what `place` fails of is the caller's own.
    ///
    /// # Errors
    /// Those of `place`.
    pub(crate) fn reach<E>(
        &self,
        needed: u64,
        place: impl FnOnce(&Held<'_>) -> Result<u64, E>,
    ) -> Result<u64, E> {
        let held = match self.try_hold() {
            Some(held) => Some(held),
            None => self.queue(needed),
        };
        match held {
            // It may have been placed between the two looks.
            Some(held) if self.placed() < needed => place(&held),
            _ => Ok(needed),
        }
    }

    /// The turn, once whoever has it is done.
    pub(crate) fn hold(&self) -> Held<'_> {
        let alone = self.alone.lock();
        let held = self.try_hold().or_else(|| self.queue(u64::MAX));
        let mut held = held.expect("no fence has the last number");
        held.alone = Some(alone);
        held
    }

    fn try_hold(&self) -> Option<Held<'_>> {
        let free = !self.held.load(Ordering::Relaxed);
        (free && !self.held.swap(true, Ordering::Acquire)).then(|| Held { turn: self, alone: None })
    }

    fn try_inherit(&self) -> Option<Heir<'_>> {
        let free = !self.inherited.load(Ordering::Relaxed);
        (free && !self.inherited.swap(true, Ordering::Acquire)).then(|| Heir(self))
    }

    /// The turn, or nothing once fence `needed` is in place.
    #[cold]
    fn queue(&self, needed: u64) -> Option<Held<'_>> {
        let mut backoff = Backoff::default();
        let mut heir = None;
        loop {
            if self.placed() >= needed {
                return None;
            }
            if self.begun() >= needed {
                // Under way. Who comes now needs the one after.
                heir = None;
            } else {
                heir = heir.or_else(|| self.try_inherit());
                if heir.is_some()
                    && let Some(held) = self.try_hold()
                {
                    return Some(held);
                }
            }
            if heir.is_some() {
                backoff.wait();
            } else {
                backoff.wait_among_many();
            }
        }
    }
}

impl Held<'_> {
    /// The next fence begins: it orders all work submitted before this call.
    ///
    /// Work that it misses was submitted after its record, by a thread that has therefore seen what
    /// was written before the record, this number among it, and needs the next.
    pub(crate) fn begin(&self) -> Begun<'_> {
        let number = self.turn.numbers.begun.load(Ordering::Relaxed) + 1;
        self.turn.numbers.begun.store(number, Ordering::Release);
        Begun { turn: self.turn, number }
    }
}

impl Begun<'_> {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// It is in place. Gives its number.
    pub(crate) fn placed(self) -> u64 {
        self.turn.numbers.placed.store(self.number, Ordering::Release);
        self.number
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let numbers = &self.turn.numbers;
        if numbers.placed.load(Ordering::Relaxed) < self.number {
            numbers.begun.store(self.number - 1, Ordering::Release);
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.turn.held.store(false, Ordering::Release);
    }
}

impl Drop for Heir<'_> {
    fn drop(&mut self) {
        self.0.inherited.store(false, Ordering::Release);
    }
}
