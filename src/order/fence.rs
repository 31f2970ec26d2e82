//! The fences of one context.
//!
//! A fence is `cuCtxRecordEvent` followed by `cuCtxWaitEvent` on the same event: all work submitted
//! to the context from then on runs behind all work submitted before, and the host does not wait.
//! Fences are numbered from 1, which makes each question about a block one comparison:
//!
//! | question | answer |
//! |---|---|
//! | which fence orders a block freed now? | the next one that begins: `begun + 1` |
//! | may it be handed out again? | `stamp <= placed` |
//! | may its pages be given back? | `stamp <= completed` |
//!
//! `completed <= placed <= begun <= placed + 1` holds at every moment. Since fence *n* is recorded
//! behind fence *n* − 1, one completed event speaks for all fences before it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::capture::Captures;
use super::turn::Turn;
use crate::driver::{Context, Current, Driver, DriverError, Event, Relaxed};

/// The number of the fence that orders a freed block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The host has seen all work before the free done.
    pub const QUIESCED: Self = Self(0);
}

/// What came of an attempt to order a free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ordered {
    /// Everything submitted from now on runs behind everything submitted before the attempt.
    Yes(Stamp),
    /// A capture is under way: nothing may be done.
    Captured,
}

/// Why a thread placed no fence.
enum NotPlaced {
    Captured,
    Failed(DriverError),
}

impl From<DriverError> for NotPlaced {
    fn from(error: DriverError) -> Self {
        Self::Failed(error)
    }
}

/// Events in the ring. More only refine which of several outstanding fences has completed.
const RING: u64 = 64;

/// The fences of one context, numbered from 1.
pub struct Fences {
    context: Context,
    /// Held while a fence is placed, that is during driver calls that do not wait for the device.
    turn: Turn,
    completed: AtomicU64,
    /// Fence *n* uses event *n* mod `RING`; made with the first fence.
    ring: OnceLock<Vec<Event>>,
    /// Events that are nobody's, for marks.
    spare: Mutex<Vec<Event>>,
}

impl Fences {
    /// No fence yet.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            turn: Turn::default(),
            completed: AtomicU64::new(0),
            ring: OnceLock::new(),
            spare: Mutex::new(Vec::new()),
        }
    }

    /// The stamp of a block freed now without a fence.
    pub fn next(&self) -> Stamp {
        Stamp(self.turn.begun() + 1)
    }

    /// The last fence in place.
    pub fn placed(&self) -> Stamp {
        Stamp(self.turn.placed())
    }

    /// The last fence that the host knows to have completed.
    pub fn completed(&self) -> Stamp {
        Stamp(self.completed.load(Ordering::Acquire))
    }

    /// Fences placed since the start.
    pub fn count(&self) -> u64 {
        self.turn.placed()
    }

    /// Returns once a fence that began after this call did is in place. Threads that call at the
    /// same time share one.
    ///
    /// # Errors
    /// Those of making events, recording and waiting.
    pub fn place<D: Driver>(
        &self,
        driver: &D,
        captures: &Captures,
    ) -> Result<Ordered, DriverError> {
        self.reach(driver, captures, self.next())
    }

    /// Returns once a fence is in place that orders what was freed with this stamp: that fence, which
    /// another thread may be placing already, or a later one.
    ///
    /// # Errors
    /// Those of making events, recording and waiting.
    pub fn reach<D: Driver>(
        &self,
        driver: &D,
        captures: &Captures,
        stamp: Stamp,
    ) -> Result<Ordered, DriverError> {
        let placed = self.turn.reach(stamp.0, |held| {
            if captures.any() {
                return Err(NotPlaced::Captured);
            }
            let ring = self.ring(driver)?;
            let fence = held.begin();
            let event = ring[(fence.number() % RING) as usize];
            driver.record_context(self.context, event)?;
            driver.context_waits(self.context, event)?;
            Ok(fence.placed())
        });
        match placed {
            Ok(number) => Ok(Ordered::Yes(Stamp(number))),
            Err(NotPlaced::Captured) => Ok(Ordered::Captured),
            Err(NotPlaced::Failed(error)) => Err(error),
        }
    }

    /// Waits until all work submitted so far is done, without disturbing a capture that another
    /// thread begins meanwhile. `Captured` if one is under way already.
    ///
    /// # Errors
    /// Those of the driver, asynchronous faults among them.
    pub fn synchronize<D: Driver>(
        &self,
        driver: &D,
        captures: &Captures,
    ) -> Result<Ordered, DriverError> {
        if !driver.has_context_events() {
            // Without context events there is nothing but the synchronisation itself, which a capture
            // that begins meanwhile has to wait for.
            let _turn = self.turn.hold();
            if captures.any() {
                return Ok(Ordered::Captured);
            }
            let _current = Current::enter(driver, self.context)?;
            driver.synchronize()?;
            return Ok(Ordered::Yes(Stamp::QUIESCED));
        }
        let Some(event) = self.mark(driver, captures)? else { return Ok(Ordered::Captured) };
        let waited = {
            let _relaxed = Relaxed::enter(driver);
            driver.wait_event(event)
        };
        self.recycle(event);
        waited?;
        Ok(Ordered::Yes(Stamp::QUIESCED))
    }

    /// Records everything submitted so far in an event of its own, which nobody else records
    /// while the caller looks at it; [`recycle`](Self::recycle) gives it back. The context does not
    /// wait for it. `None` while a capture is under way.
    ///
    /// Recorded in turn, waited for out of turn: else other threads could not begin a capture for as
    /// long as the device works, and never if it waits for them.
    ///
    /// # Errors
    /// Those of making and recording an event.
    pub fn mark<D: Driver>(
        &self,
        driver: &D,
        captures: &Captures,
    ) -> Result<Option<Event>, DriverError> {
        let event = self.event(driver)?;
        let recorded = {
            let _turn = self.turn.hold();
            (!captures.any()).then(|| driver.record_context(self.context, event))
        };
        if let Some(Ok(())) = recorded {
            return Ok(Some(event));
        }
        self.recycle(event);
        recorded.transpose().map(|_| None)
    }

    /// Returns once every fence that began before this call is in place. After a capture was
    /// [announced](Captures::announce), whatever comes later sees it.
    pub fn pass(&self) {
        drop(self.turn.hold());
    }

    /// Asks whether the context still works: once the host knows of an asynchronous fault, nearly
    /// every call reports it. Does not wait.
    ///
    /// # Errors
    /// Those of making and querying an event, asynchronous faults among them.
    pub fn check<D: Driver>(&self, driver: &D) -> Result<(), DriverError> {
        let event = self.event(driver)?;
        let asked = {
            let _relaxed = Relaxed::enter(driver);
            driver.event_done(event)
        };
        self.recycle(event);
        asked.map(drop)
    }

    /// An event that is nobody's.
    fn event<D: Driver>(&self, driver: &D) -> Result<Event, DriverError> {
        let spare = self.spare.lock().pop();
        if let Some(event) = spare {
            return Ok(event);
        }
        let _relaxed = Relaxed::enter(driver);
        let _current = Current::enter(driver, self.context)?;
        driver.create_event()
    }

    /// Takes back an event of [`mark`](Self::mark).
    pub fn recycle(&self, event: Event) {
        self.spare.lock().push(event);
    }

    /// Waits for the last fence in place.
    ///
    /// # Errors
    /// Those of the driver, asynchronous faults among them.
    pub fn wait<D: Driver>(&self, driver: &D) -> Result<(), DriverError> {
        let placed = self.placed();
        if self.completed() >= placed {
            return Ok(());
        }
        let Some(ring) = self.ring.get() else { return Ok(()) };
        let _relaxed = Relaxed::enter(driver);
        driver.wait_event(ring[(placed.0 % RING) as usize])?;
        self.completed.fetch_max(placed.0, Ordering::AcqRel);
        Ok(())
    }

    /// Asks the driver how far the device has come. Does not wait.
    ///
    /// # Errors
    /// Those of the driver, asynchronous faults among them.
    pub fn poll<D: Driver>(&self, driver: &D) -> Result<Stamp, DriverError> {
        let Some(ring) = self.ring.get() else { return Ok(self.completed()) };
        let _relaxed = Relaxed::enter(driver);
        let placed = self.placed().0;
        // Fences complete in order: look for the last completed one by bisection. An event that was
        // recorded again meanwhile answers for a later fence, which is never wrong, only late.
        let mut done = self.completed().0.max(placed.saturating_sub(RING));
        let mut open = placed + 1;
        while open - done > 1 {
            let probe = if open > placed { placed } else { done + (open - done) / 2 };
            if driver.event_done(ring[(probe % RING) as usize])? {
                done = probe;
            } else {
                open = probe;
            }
        }
        // The oldest event of a full ring was not asked; what is below `done` by position only
        // counts if some event said so.
        if done > placed.saturating_sub(RING) {
            self.completed.fetch_max(done, Ordering::AcqRel);
        }
        Ok(self.completed())
    }

    fn ring<D: Driver>(&self, driver: &D) -> Result<&[Event], DriverError> {
        if let Some(ring) = self.ring.get() {
            return Ok(ring);
        }
        let _current = Current::enter(driver, self.context)?;
        let mut events = Vec::with_capacity(RING as usize);
        for _ in 0..RING {
            events.push(driver.create_event()?);
        }
        Ok(self.ring.get_or_init(|| events))
    }
}

#[cfg(test)]
mod tests;
