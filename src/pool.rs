//! The pool of one context.
//!
//! It knows sizes, blocks, order and figures; it knows no symbol names and no process. No driver
//! call is made under any of its locks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::backing::{Backing, GRANULE, Trimmed};
use crate::driver::{
    Context, Current, Device, DeviceFacts, DevicePtr, Driver, DriverError, Relaxed, Stream,
};
use crate::front::Front;
use crate::order::{Captures, Fences, Mode, Ordered, Stamp};
use crate::policy::decay::Aging;
use crate::stats::{Cause, Counters, Events, Kept, PoolSnapshot};
use crate::sync::Padded;
use deferred::Deferred;

mod decay;
mod deferred;
mod fill;
mod lease;
mod memory;
mod spare;

pub use lease::{Held, Lease};

/// How far the device has to come before all that is idle at a moment can be given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Until {
    /// It has passed this fence,
    fence: Stamp,
    /// and is done with the groups up to this one of what was freed during captures.
    group: u64,
}

/// See the [module](self).
pub struct Pool<D: Driver> {
    /// Its number in the process, never 0.
    pub number: u32,
    /// The context.
    pub context: Context,
    /// The context's device.
    pub device: Device,
    facts: DeviceFacts,
    /// The context's fences.
    pub fences: Fences,
    /// Recently freed blocks, and what the program holds.
    front: Front,
    backing: Box<dyn Backing<D>>,
    backing_reason: String,
    /// What the backing told last of the idle bytes that it could give back.
    spare: Padded<AtomicU64>,
    /// What happens, counted.
    pub events: Padded<Events>,
    deferred: Deferred,
    /// A fault has broken the context.
    broken: AtomicBool,
    /// Who works in the context on the pool's own account.
    pub lease: Lease,
    /// Bytes that may stay idle.
    budget: u64,
    /// Since when what is idle has been. Only cupool's own thread looks.
    aging: Mutex<Aging>,
    /// Where memory is overwritten that changes hands.
    fill_stream: OnceLock<Stream>,
}

impl<D: Driver> Pool<D> {
    /// An empty pool for `context`, which lives on `device`.
    pub fn new(
        number: u32,
        context: Context,
        device: Device,
        facts: DeviceFacts,
        backing: (Box<dyn Backing<D>>, String),
        budget: u64,
    ) -> Self {
        Self {
            number,
            context,
            device,
            facts,
            fences: Fences::new(context),
            front: Front::default(),
            backing: backing.0,
            backing_reason: backing.1,
            spare: Padded::default(),
            events: Padded::default(),
            deferred: Deferred::default(),
            broken: AtomicBool::new(false),
            lease: Lease::default(),
            budget,
            aging: Mutex::default(),
            fill_stream: OnceLock::new(),
        }
    }

    /// What is known of the device.
    pub fn facts(&self) -> &DeviceFacts {
        &self.facts
    }

    /// The backing.
    pub fn backing(&self) -> &dyn Backing<D> {
        &*self.backing
    }

    /// Whether a fault has broken the context: it does nothing any more.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// A fault has broken the context.
    pub fn break_down(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Puts whatever is submitted to the context from now on behind what was submitted before. The
    /// stamp is what the freed block waits for; `None` during a capture.
    ///
    /// # Errors
    /// Those of the driver, asynchronous faults among them.
    pub fn order(
        &self,
        driver: &D,
        captures: &Captures,
        mode: Mode,
    ) -> Result<Option<Stamp>, DriverError> {
        let ordered = match mode {
            Mode::Unordered => Ordered::Yes(Stamp::QUIESCED),
            Mode::Lazy => Ordered::Yes(self.fences.next()),
            Mode::Strict => self.synchronize(driver, captures)?,
            Mode::Fence => match self.fences.place(driver, captures) {
                Ok(ordered) => ordered,
                // Without a fence the host's wait is left.
                Err(_) => self.synchronize(driver, captures)?,
            },
        };
        Ok(match ordered {
            Ordered::Yes(stamp) => Some(stamp),
            Ordered::Captured => None,
        })
    }

    fn synchronize(&self, driver: &D, captures: &Captures) -> Result<Ordered, DriverError> {
        let ordered = self.fences.synchronize(driver, captures)?;
        if ordered != Ordered::Captured {
            Events::count(&self.events.host_syncs);
        }
        Ok(ordered)
    }

    /// Waits for all work of the context as the driver's free does, which disturbs no capture of
    /// others where the thread is relaxed.
    fn wait_natively(&self, driver: &D) -> Result<(), DriverError> {
        let _relaxed = Relaxed::enter(driver);
        let _current = Current::enter(driver, self.context)?;
        let ptr = driver.allocate(GRANULE)?;
        driver.free(ptr)
    }

    /// Waits for everything that is freed and not yet done.
    pub fn wait_pending(&self, driver: &D) {
        // A fault shows in the program's own next call.
        let _ = self.settle(driver);
        self.wait_collect(driver);
    }

    /// Pays the wait that is owed for the fences placed so far.
    ///
    /// # Errors
    /// Those of the driver, asynchronous faults among them.
    pub fn settle(&self, driver: &D) -> Result<(), DriverError> {
        if self.fences.completed() < self.fences.placed() {
            self.fences.wait(driver)?;
            Events::count(&self.events.host_syncs);
        }
        Ok(())
    }

    /// Gives idle memory back until at most `keep` bytes are idle. Makes the context current. Where giving
    /// back does not wait for the device by itself, nothing here does.
    pub fn trim(&self, driver: &D, keep: u64) -> Trimmed {
        self.trim_by(driver, keep, self.backing.is_native())
    }

    /// The same, and waits for what was freed during captures, as the driver's free would.
    pub fn trim_waiting(&self, driver: &D, keep: u64) -> Trimmed {
        self.trim_by(driver, keep, true)
    }

    fn trim_by(&self, driver: &D, keep: u64, wait: bool) -> Trimmed {
        let _relaxed = Relaxed::enter(driver);
        // A fault shows in the program's own next call.
        let _ = self.collect(driver);
        self.drain();
        let Ok(_current) = Current::enter(driver, self.context) else {
            let kept = Kept::unless_nothing(self.idle(), "its context cannot be entered");
            return Trimmed { kept: kept.into_iter().collect(), ..Trimmed::default() };
        };
        let mut trimmed = self.trim_deferred_too(driver, keep, wait);
        if wait && self.backing.aside() > keep && trimmed.released > 0 {
            // To wait takes memory, of which there may have been none until now.
            let more = self.trim_deferred_too(driver, keep, wait);
            trimmed = Trimmed { released: trimmed.released + more.released, ..more };
        }
        let aside = self.backing.aside();
        if aside > keep {
            let waiting = self.deferred.waiting_bytes().min(aside);
            trimmed.pending += waiting;
            let why = "freed during a stream capture";
            trimmed.kept.extend(Kept::unless_nothing(aside - waiting, why));
        }
        trimmed
    }

    fn trim_deferred_too(&self, driver: &D, keep: u64, wait: bool) -> Trimmed {
        let wait = wait && self.backing.aside() > keep;
        let released = if wait { self.release_deferred(driver) } else { 0 };
        let mut trimmed = self.backing.trim(driver, keep, self.quiesced(driver));
        trimmed.released += released;
        trimmed
    }

    /// The last fence that the device is known to have passed, for a backing that must not give back
    /// or move what is still in use.
    pub fn quiesced(&self, driver: &D) -> Stamp {
        if self.backing.is_native() {
            return Stamp::QUIESCED;
        }
        // A fault shows in the program's own next call.
        self.fences.poll(driver).unwrap_or(self.fences.completed())
    }

    /// Returns once the device has come so far, or at `deadline`.
    pub fn linger(&self, driver: &D, until: &Until, deadline: Instant) {
        while self.awaits(driver, until) && Instant::now() < deadline {
            thread::sleep(Duration::from_micros(20));
        }
    }

    /// Gives back what a flush could not, as far as it was freed before that and is done by now. Gives
    /// the bytes given back, and whether more may follow.
    pub fn trim_pending(&self, driver: &D, until: &Until) -> (u64, bool) {
        let _relaxed = Relaxed::enter(driver);
        let Ok(_current) = Current::enter(driver, self.context) else { return (0, false) };
        let more = self.awaits(driver, until);
        let trimmed = self.backing.trim(driver, 0, self.fences.completed().min(until.fence));
        (trimmed.released, more)
    }

    /// Whether the device is on its way there. Not if the context is broken: then it never gets there.
    pub fn awaits(&self, driver: &D, until: &Until) -> bool {
        let Ok(completed) = self.fences.poll(driver) else { return false };
        let collected = self.collect(driver).is_ok();
        completed < until.fence || (collected && self.deferred.waits(until.group))
    }

    /// How far the device is known to have come. It grows whenever it comes further.
    pub fn reached(&self) -> u64 {
        self.fences.completed().0 + self.deferred.done()
    }

    /// How far the device has to come before whatever is idle now can be given back, but for what is
    /// freed during captures under way. The fence is placed if it is not yet: only what was freed without
    /// one needs it, and other threads' work would wait for it.
    pub fn order_idle(&self, driver: &D, captures: &Captures, mode: Mode) -> Until {
        if !captures.any() {
            // No event marked its end where the driver refused one.
            self.captures_ended(driver, captures);
        }
        if self.backing.is_native() {
            return Until { fence: Stamp::QUIESCED, group: 0 };
        }
        let group = self.deferred.last();
        if mode != Mode::Lazy {
            return Until { fence: self.fences.placed(), group };
        }
        let fence = match self.fences.place(driver, captures) {
            Ok(Ordered::Yes(stamp)) => stamp,
            Ok(Ordered::Captured) | Err(_) => self.fences.placed(),
        };
        Until { fence, group }
    }

    /// Gives back what is idle beyond the budget, as far as the device is done with it. Of the rest
    /// it can be known by then, when the next block is freed.
    pub fn trim_to_budget(&self, driver: &D, captures: &Captures, mode: Mode) {
        let released = self.trim(driver, self.budget).released;
        self.events.released.add(Cause::MaxIdle, released);
        self.order_idle(driver, captures, mode);
    }

    /// Bytes reserved and not in the program's hands.
    pub fn idle(&self) -> u64 {
        self.front.idle() + self.backing.idle() + self.backing.aside()
    }

    /// Peaks start again from now.
    pub fn reset_peaks(&self) {
        self.front.reset_peaks();
        self.backing.count(&mut Counters::reset_peaks);
    }

    /// The pool as it is.
    pub fn snapshot(&self) -> PoolSnapshot {
        let mut counters = Counters::default();
        self.backing.count(&mut |current| counters = current.clone());
        self.describe(counters, true)
    }

    /// The context has ended: forgets everything. Gives the starts of the blocks that the program
    /// held, and the pool as it was.
    pub fn end(&self, driver: &D) -> (Vec<DevicePtr>, PoolSnapshot) {
        self.drain();
        let (held, counters) = self.backing.end(driver);
        self.deferred.forget();
        let mut snapshot = self.describe(counters, false);
        snapshot.counters.end();
        (held, snapshot)
    }

    fn describe(&self, mut counters: Counters, alive: bool) -> PoolSnapshot {
        self.front.count(&mut counters);
        counters.returnable = self.returnable_at_most();
        self.events.enter(&mut counters);
        counters.fences = self.fences.count();
        PoolSnapshot {
            device: self.device.0,
            name: self.facts.name.clone(),
            uuid: self.facts.uuid.clone(),
            total_bytes: self.facts.total_bytes,
            context: self.context.0,
            alive,
            backing: self.backing.name(),
            backing_reason: self.backing_reason.clone(),
            counters,
        }
    }
}
