//! The pools of a process: one per context, and what they share.
//!
//! This is what the hooks call. Everything that is not a pool's goes to the driver untouched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::backing::{Token, round_up};
use crate::config::Options;
use crate::driver::{Context, DevicePtr, Driver, DriverError, Relaxed};
use crate::front::ShardId;
use crate::history::History;
use crate::order::{Captures, Debt, Mode, ModeSwitch, Sign};
use crate::pool::Pool;
use crate::ptrmap::{Entry, PtrMap};
use crate::stats::{PoolSnapshot, Snapshot};
use crate::trace::Recorder;
use table::{Found, Table};
use threads::nanoseconds;

mod decay;
mod driver_pools;
mod endings;
mod exports;
mod faults;
mod flush;
mod free_memory;
mod grow;
mod host_functions;
mod imports;
mod leaks;
mod lifetimes;
mod marks;
mod min_free;
mod neighbours;
mod peers;
mod pitch;
mod queries;
mod recording;
mod segments;
mod sharing;
mod table;
mod threads;
mod waiting;

pub use exports::Export;
pub use neighbours::{Answer, Neighbours};
pub use pitch::Rows;
pub use queries::{Held, Resident};
pub use recording::EVERY_DEVICE;
pub use segments::{Block, Segment, State};

/// What to do with a call while the pools do not work as usual.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// As usual.
    Open,
    /// The process is ending: everything goes to the driver.
    Closed,
    /// A panic was caught: frees of our blocks succeed and leak, the rest goes to the driver.
    Retired,
}

/// See the [module](self).
pub struct Pools<D: Driver> {
    driver: D,
    options: Options,
    /// Tells this instance from others in the same thread.
    id: u32,
    table: Table<D>,
    blocks: PtrMap,
    /// What is kept about the blocks that are marked there.
    marks: marks::Marks,
    mode: ModeSwitch,
    captures: Captures,
    endings: endings::Endings,
    faults: faults::Faults,
    host_functions: host_functions::HostFunctions,
    /// The wait for the fences placed since the last settling.
    debt: Debt,
    /// Which devices may use the memory of other contexts.
    peers: peers::Peers,
    /// How far apart the driver puts rows.
    pitches: pitch::Pitches,
    sharing: sharing::Sharing,
    imports: imports::Imports,
    /// Threads that used CUDA.
    threads: AtomicU32,
    /// The first context that was in use, 0 for none.
    first_context: AtomicUsize,
    closed: AtomicBool,
    retired: AtomicBool,
    retired_why: Mutex<String>,
    flushes: flush::History,
    /// Who is asked before that.
    neighbours: Option<Box<dyn Neighbours>>,
    /// Held by the thread that makes sure that there is no memory.
    short_of_memory: Mutex<()>,
    /// Where the program's calls are noted, if anywhere.
    recorder: Option<Recorder>,
    /// The last events, if they are remembered.
    history: Option<Arc<History>>,
    /// When memory was written down for lack of it.
    snapshots: segments::Snapshots,
    /// What the ended contexts counted, one entry per device.
    ended: Mutex<Vec<PoolSnapshot>>,
}

impl<D: Driver> Pools<D> {
    /// No pool yet. They appear with the first allocation in each context.
    pub fn new(driver: D, options: &Options) -> Self {
        static INSTANCES: AtomicU32 = AtomicU32::new(0);
        Self {
            mode: ModeSwitch::new(options.order, driver.has_context_events()),
            driver,
            options: options.clone(),
            id: INSTANCES.fetch_add(1, Ordering::Relaxed) + 1,
            table: Table::default(),
            blocks: PtrMap::default(),
            marks: marks::Marks::default(),
            captures: Captures::default(),
            endings: endings::Endings::default(),
            faults: faults::Faults::default(),
            host_functions: host_functions::HostFunctions::default(),
            debt: Debt::default(),
            peers: peers::Peers::default(),
            pitches: pitch::Pitches::default(),
            sharing: sharing::Sharing::default(),
            imports: imports::Imports::default(),
            threads: AtomicU32::new(0),
            first_context: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            retired_why: Mutex::default(),
            flushes: flush::History::default(),
            neighbours: None,
            short_of_memory: Mutex::default(),
            recorder: recording::recorder(&options.trace),
            history: History::new(options.history.0).map(Arc::new),
            snapshots: segments::Snapshots::new(&options.oom_snapshot),
            ended: Mutex::default(),
        }
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    fn phase(&self) -> Phase {
        if self.closed.load(Ordering::Acquire) {
            Phase::Closed
        } else if self.retired.load(Ordering::Acquire) {
            Phase::Retired
        } else {
            Phase::Open
        }
    }

    /// `cuMemAlloc`: `bytes` of memory in the current context.
    ///
    /// # Errors
    /// As the driver's: `INVALID_VALUE` for no bytes, `INVALID_CONTEXT` without a context,
    /// `OUT_OF_MEMORY` once nothing idle is left on the device and the driver has none.
    pub fn allocate(&self, bytes: u64) -> Result<DevicePtr, DriverError> {
        if self.phase() != Phase::Open || round_up(bytes).is_none() {
            return self.driver.allocate(bytes);
        }
        let Some(context) = self.driver.current_context()? else {
            return self.driver.allocate(bytes);
        };
        let (shard, started) = self.count_call();
        let pool = match self.table.serving(context) {
            Some(pool) => pool,
            None => match self.add_pool(context) {
                Ok(pool) => pool,
                // What the pool has to know of the context cannot be had.
                Err(_) => return self.driver.allocate(bytes),
            },
        };
        if self.is_broken(&pool) {
            return self.driver.allocate(bytes);
        }
        let block = match pool.reuse(&self.driver, &self.captures, self.mode.mode(), shard, bytes) {
            Some(block) => block,
            None => self.grow(&pool, shard, bytes)?,
        };
        if !PtrMap::covers(block.ptr) {
            // Not aligned as CUDA promises: not for us.
            pool.dispose(&self.driver, shard, block.token)?;
            return self.driver.allocate(bytes);
        }
        if let Some(byte) = self.options.fill.allocated() {
            pool.fill(&self.driver, &self.captures, block.ptr, bytes, byte);
        }
        self.blocks.insert(block.ptr, Entry::new(pool.number, block.token.0));
        self.note_allocated(&pool, block.ptr, bytes);
        if let Some(started) = started {
            pool.events.malloc_latency.record(nanoseconds(started));
        }
        Ok(block.ptr)
    }

    /// `cuMemFree`. Pointers that are not ours go to the driver, as do all while the process ends.
    ///
    /// # Errors
    /// As the driver's: `INVALID_VALUE` for what is not the start of a block, asynchronous faults
    /// where the order in force waits.
    pub fn free(&self, ptr: DevicePtr) -> Result<(), DriverError> {
        let Some(entry) = self.blocks.take(ptr) else { return self.free_unknown(ptr) };
        self.note_freed(ptr, entry);
        let token = Token(entry.token());
        let Some(pool) = self.table.of_number(entry.pool()) else {
            return self.driver.free(ptr);
        };
        match self.phase() {
            Phase::Open => {}
            // Nothing outlives the process that is not the driver's own allocation.
            Phase::Closed if !pool.backing().is_native() => return Ok(()),
            Phase::Closed => {
                return pool.dispose(&self.driver, ShardId::default(), token).map(drop);
            }
            Phase::Retired => return Ok(()),
        }
        if entry.is_marked()
            && let Some(done) = self.free_marked(&pool, ptr, entry)
        {
            return done;
        }
        let (shard, started) = self.count_call();
        let mode = self.mode.mode();
        // What is marked others may still read.
        if let Some(byte) = self.options.fill.freed().filter(|_| !entry.is_marked()) {
            pool.fill(&self.driver, &self.captures, ptr, pool.requested(token), byte);
        }
        let ordered = if self.is_broken(&pool) || self.may_be_host_function() {
            Err(None)
        } else {
            pool.order(&self.driver, &self.captures, mode).map_err(Some)
        };
        match ordered {
            Ok(Some(stamp)) => {
                if mode == Mode::Fence {
                    self.debt.incur();
                    if self.mode.mode() != mode {
                        // Who switched may not have seen this debt.
                        self.settle();
                    }
                }
                if pool.give(shard, token, stamp, !entry.is_marked()) {
                    pool.trim_to_budget(&self.driver, &self.captures, mode);
                }
            }
            Ok(None) => {
                if pool.defer(shard, token) {
                    pool.trim_to_budget(&self.driver, &self.captures, mode);
                }
            }
            // Where the pool cannot order the free, the driver frees, or says why it does not.
            Err(error) => {
                if let Some(error) = error {
                    self.answered(error.code());
                }
                let disposed = pool.dispose(&self.driver, shard, token);
                if disposed.is_err() {
                    // Not freed: the block stays the program's.
                    self.blocks.insert(ptr, entry);
                }
                return disposed.map(drop);
            }
        }
        if let Some(started) = started {
            pool.events.free_latency.record(nanoseconds(started));
        }
        Ok(())
    }

    /// Runs `call`, which frees `ptr` in its own way (`cuMemFreeAsync` takes any block), and gives
    /// its `CUresult`. If it succeeds, a block of ours is nobody's any more.
    pub fn free_by(&self, ptr: DevicePtr, call: impl Fn() -> i32) -> i32 {
        let Some(entry) = self.blocks.take(ptr) else {
            // A block that was freed before, as in `free_unknown`.
            let freed_before = self.table.all().iter().any(|pool| pool.backing().owns(ptr));
            return if freed_before { DriverError::INVALID_VALUE.code() } else { call() };
        };
        let Some(pool) = self.table.of_number(entry.pool()) else { return call() };
        if !pool.backing().is_native() {
            // The driver knows nothing of the block; a free that orders everything orders enough.
            self.blocks.insert(ptr, entry);
            return self.free(ptr).map_or_else(DriverError::code, |()| 0);
        }
        self.note_freed(ptr, entry);
        let free = &mut |_| DriverError::check(call());
        match pool.dispose_by(ShardId::default(), Token(entry.token()), free) {
            Ok(_) => 0,
            Err(error) => {
                self.blocks.insert(ptr, entry);
                error.code()
            }
        }
    }

    /// Frees what is no block in the program's hands.
    fn free_unknown(&self, ptr: DevicePtr) -> Result<(), DriverError> {
        // A block that was freed before is still an allocation for the driver, which must not take
        // it from under the pool.
        if ptr.0 != 0 && self.table.all().iter().any(|pool| pool.backing().owns(ptr)) {
            // Once retired it may be the very free that panicked.
            return match self.phase() {
                Phase::Retired => Ok(()),
                Phase::Open | Phase::Closed => Err(DriverError::INVALID_VALUE),
            };
        }
        self.driver.free(ptr).inspect_err(|error| self.answered(error.code()))
    }

    /// Idle bytes of all pools.
    pub fn idle_bytes(&self) -> u64 {
        self.table.all().iter().map(|pool| pool.idle()).sum()
    }

    fn add_pool(&self, context: Context) -> Result<Found<'_, D>, DriverError> {
        // Asked before the lock: no driver call is made under it.
        let _relaxed = Relaxed::enter(&self.driver);
        let device = self.driver.context_device()?;
        let facts = self.driver.device_facts(device)?;
        self.context_in_use(context);
        if facts.pageable_access {
            self.sign(Sign::PageableAccess);
        }
        let budget = self.options.max_idle.of(facts.total_bytes);
        let mut backing = Some(self.choose_backing(device, &facts));
        let found = self.table.add(context, |number| {
            let backing = backing.take().expect("a pool is made once");
            Pool::new(number, context, device, facts, backing, budget)
        });
        if let Some((unused, _)) = backing {
            // Another thread has just made the pool: what this one has reserved goes back.
            unused.end(&self.driver);
        }
        self.open_to_peers(&found)?;
        self.recheck_backings();
        Ok(found)
    }

    /// `sign` was seen: `auto` goes over to `strict`, and what is owed is paid.
    pub fn sign(&self, sign: Sign) {
        self.see_sharing(sign);
        self.host_functions.see(sign);
        if self.mode.see(sign) {
            tracing::info!("order is strict from now on: {}", sign.name());
        }
        // Not only by the call that switches: another may come while that still pays.
        if self.mode.mode() == Mode::Strict {
            self.settle();
        }
    }

    /// Pays the waits that are owed, before a call that looks at the device without waiting.
    pub fn settle(&self) {
        if self.phase() != Phase::Open {
            return;
        }
        let mut faults = Vec::new();
        self.debt.pay(|| {
            for pool in self.table.all() {
                // Another thread may be destroying the context of this one, which waits too.
                if let Some(_held) = pool.lease.hold() {
                    // A fault shows in the call that is about to be made.
                    faults.extend(pool.settle(&self.driver).err());
                }
            }
        });
        for error in faults {
            self.answered(error.code());
        }
    }

    /// Everything at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let mut pools: Vec<_> = self.table.all().iter().map(|pool| pool.snapshot()).collect();
        pools.extend(self.ended.lock().iter().cloned());
        let (flushes_before, flushes) = self.flushes.all();
        Snapshot {
            order: self.mode.mode().name(),
            order_configured: self.mode.configured().name(),
            order_reason: self.mode.reason().to_owned(),
            pools,
            flushes,
            flushes_before,
            retired: self.retired_why.lock().clone(),
            leaks: None,
        }
    }

    /// Peaks start again from now.
    pub fn reset_peaks(&self) {
        for pool in self.table.all() {
            pool.reset_peaks();
        }
        for ended in self.ended.lock().iter_mut() {
            ended.counters.reset_peaks();
        }
    }

    /// The process is ending: what is owed is paid, and from now on everything goes to the driver.
    pub fn close(&self) {
        if self.mode.mode() == Mode::Lazy {
            // Natively the last free has waited for what the kernels before it print.
            for pool in self.table.all() {
                if let Some(_held) = pool.lease.hold() {
                    // Without it there is nothing to wait for.
                    let _ = pool.fences.place(&self.driver, &self.captures);
                }
            }
            self.debt.incur();
        }
        self.settle();
        self.closed.store(true, Ordering::Release);
    }

    /// Something went wrong inside: nothing is reused or given back any more, frees of our blocks
    /// succeed and leak, allocations go to the driver.
    pub fn retire(&self, why: &str) {
        if !self.retired.swap(true, Ordering::AcqRel) {
            *self.retired_why.lock() = why.to_owned();
            tracing::error!("the pool is retired: {why}; freed blocks are no longer reused");
        }
    }
}

#[cfg(test)]
mod tests;
