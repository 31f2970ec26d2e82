//! Blocks that were freed during captures.
//!
//! During a capture nothing can be ordered behind other work. When the last one has ended, one event is
//! recorded behind everything, and what was freed meanwhile is a *group* that comes back when the host
//! has seen it complete. The context never waits for such an event: later work may be what earlier work
//! waits for.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::Pool;
use crate::backing::Token;
use crate::driver::{Driver, DriverError, Event, Relaxed};
use crate::front::ShardId;
use crate::order::{Captures, Stamp};

/// A block and its size in bytes.
type Freed = (Token, u64);

/// Those of ended captures that wait for one event.
struct Group {
    number: u64,
    event: Event,
    blocks: Vec<Freed>,
}

#[derive(Default)]
struct Books {
    /// Those of the captures under way: nothing orders them yet.
    captured: Vec<Freed>,
    /// The oldest first.
    behind: Vec<Group>,
    /// Groups that there ever were, numbered from 1.
    groups: u64,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Deferred {
    books: Mutex<Books>,
    /// Whether any group waits. Changed under the lock.
    waiting: AtomicBool,
}

impl Deferred {
    /// The number of the last group.
    pub(super) fn last(&self) -> u64 {
        self.books.lock().groups
    }

    /// Groups that have come back.
    pub(super) fn done(&self) -> u64 {
        let books = self.books.lock();
        books.groups - books.behind.len() as u64
    }

    /// Whether a group up to that number waits.
    pub(super) fn waits(&self, last: u64) -> bool {
        self.books.lock().behind.iter().any(|group| group.number <= last)
    }

    /// Bytes of the groups that wait.
    pub(super) fn waiting_bytes(&self) -> u64 {
        let books = self.books.lock();
        books.behind.iter().flat_map(|group| &group.blocks).map(|&(_, bytes)| bytes).sum()
    }

    /// The context has ended.
    pub(super) fn forget(&self) {
        *self.books.lock() = Books::default();
        self.waiting.store(false, Ordering::Release);
    }

    fn marks(&self) -> Vec<(u64, Event)> {
        self.books.lock().behind.iter().map(|group| (group.number, group.event)).collect()
    }

    fn enter(&self, event: Event, blocks: Vec<Freed>) {
        let mut books = self.books.lock();
        books.groups += 1;
        let number = books.groups;
        books.behind.push(Group { number, event, blocks });
        self.waiting.store(true, Ordering::Release);
    }

    fn take(&self, number: u64) -> Option<Group> {
        let mut books = self.books.lock();
        let at = books.behind.iter().position(|group| group.number == number)?;
        let group = books.behind.remove(at);
        self.waiting.store(!books.behind.is_empty(), Ordering::Release);
        Some(group)
    }
}

impl<D: Driver> Pool<D> {
    /// Takes back a block that was freed during a capture. True if more is held up now than may be
    /// idle, and can be given back by waiting as the driver's free does.
    pub fn defer(&self, shard: ShardId, token: Token) -> bool {
        self.front.forget(shard, token);
        let bytes = self.backing.set_aside(token);
        self.deferred.books.lock().captured.push((token, bytes));
        self.backing.is_native() && self.backing.aside() > self.budget
    }

    /// The last capture of the process has ended.
    pub fn captures_ended(&self, driver: &D, captures: &Captures) {
        let blocks = std::mem::take(&mut self.deferred.books.lock().captured);
        if blocks.is_empty() {
            return;
        }
        match self.fences.mark(driver, captures) {
            Ok(Some(event)) => self.deferred.enter(event, blocks),
            // Another capture began, whose end will do, or the context is broken.
            Ok(None) | Err(_) => self.deferred.books.lock().captured.extend(blocks),
        }
    }

    /// Makes idle what was freed during captures and is done. Calls no driver where nothing waits.
    ///
    /// # Errors
    /// Those of asking, asynchronous faults among them.
    pub(super) fn collect(&self, driver: &D) -> Result<(), DriverError> {
        if !self.deferred.waiting.load(Ordering::Acquire) {
            return Ok(());
        }
        let _relaxed = Relaxed::enter(driver);
        for (number, event) in self.deferred.marks() {
            // Another thread may have taken the group meanwhile, and recorded the event again: then the
            // answer is that of a later one, and there is nothing to take.
            if !driver.event_done(event)? {
                // Nor are the later ones.
                break;
            }
            self.come_back(number);
        }
        Ok(())
    }

    fn come_back(&self, number: u64) {
        let Some(group) = self.deferred.take(number) else { return };
        self.fences.recycle(group.event);
        for (token, _) in group.blocks {
            self.give_to_backing(token, Stamp::QUIESCED);
        }
    }

    /// Waits for every group.
    pub(super) fn wait_collect(&self, driver: &D) {
        {
            let _relaxed = Relaxed::enter(driver);
            for (_, event) in self.deferred.marks() {
                // A fault shows in the program's own next call.
                let _ = driver.wait_event(event);
            }
        }
        let _ = self.collect(driver);
    }

    /// Waits as the driver's free does, which needs no fence and disturbs no capture of others where the
    /// thread is relaxed, and makes idle what was freed during captures, also those under way: a program
    /// that always captures somewhere would else never get it again. What is native is given back at
    /// once. Gives the bytes of that.
    pub(super) fn release_deferred(&self, driver: &D) -> u64 {
        if self.backing.is_native() {
            return self.dispose_deferred(driver);
        }
        let (captured, last) = {
            let mut books = self.deferred.books.lock();
            (std::mem::take(&mut books.captured), books.groups)
        };
        if self.wait_natively(driver).is_err() {
            self.deferred.books.lock().captured.extend(captured);
            return 0;
        }
        let waited_for = self.deferred.marks().into_iter().filter(|&(number, _)| number <= last);
        waited_for.for_each(|(number, _)| self.come_back(number));
        for (token, _) in captured {
            self.give_to_backing(token, Stamp::QUIESCED);
        }
        0
    }

    /// Gives the blocks straight back to the driver, and keeps those that it refuses.
    fn dispose_deferred(&self, driver: &D) -> u64 {
        let mut blocks = std::mem::take(&mut self.deferred.books.lock().captured);
        for (number, _) in self.deferred.marks() {
            let Some(group) = self.deferred.take(number) else { continue };
            self.fences.recycle(group.event);
            blocks.extend(group.blocks);
        }
        let mut released = 0;
        for (token, bytes) in blocks {
            match self.backing.dispose(token, &mut |ptr| driver.free(ptr)) {
                Ok(bytes) => released += bytes,
                Err(_) => self.deferred.books.lock().captured.push((token, bytes)),
            }
        }
        released
    }
}
