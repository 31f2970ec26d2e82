//! The default backing: reserved addresses, and physical memory that is mapped where it is needed.
//!
//! ```text
//!  addresses  │ block │ free │ block │  hole  │ free │ shared page │      hole …
//!  handles    │──────── A ───────────│        │──── B ────────────│
//! ```
//!
//! Blocks over 1 MiB have pages of their own; smaller ones are packed into shared pages. Free memory
//! coalesces across handles, so a block may lie on several. What no block touches any more, a handle
//! as a whole, can be given back, or moved to where a larger stretch is needed; no block ever moves.
//!
//! A miss takes, in this order: an extent that fits; wholly free handles that the device is done
//! with, moved beside free memory; fresh handles. Growing comes before moving as long as what is
//! reserved stays near the most that the program itself has held ([`Policy`]).

mod blocks;
mod books;
mod handles;
mod holds;
mod idle;
mod loose;
mod map;
mod mapping;
mod peers;
mod plan;
mod policy;
mod small;
mod space;

use parking_lot::Mutex;

use self::blocks::Life;
use self::books::Books;
use self::loose::Loose;
use self::mapping::Mapper;
pub use self::policy::Policy;
use super::{Backing, Block, Moment, Pieces, Progress, Segment, Take, Token, Trimmed, round_up};
use crate::driver::{Device, DevicePtr, Driver, DriverError, Vmm};
use crate::history::{Action, Notes};
use crate::order::Stamp;
use crate::stats::Counters;

/// Addresses are reserved for so many times the device's memory: holes that are too small for what
/// is to be mapped must not be what limits a program.
const ADDRESSES: u64 = 16;
/// At most so many pages, whose granules a 32-bit number can count.
const MOST_PAGES: u64 = (1 << 20) - 1;

/// A backing in which physical memory is mapped where it is needed: blocks can lie on several
/// handles, and what no block touches can move or be given back.
pub struct Arena {
    mapper: Mapper,
    /// Addresses that are reserved, and memory of the device, in bytes.
    bytes: u64,
    total: u64,
    policy: Policy,
    books: Mutex<Books>,
}

impl Arena {
    /// Reserves addresses for `device`, which has `total` bytes of memory.
    ///
    /// # Errors
    /// Those of the driver, and `NOT_SUPPORTED` for pages that small blocks do not fill.
    pub fn reserve<D: Driver>(
        driver: &D,
        device: Device,
        vmm: Vmm,
        total: u64,
    ) -> Result<Self, DriverError> {
        let page_bytes = vmm.granularity;
        if !page_bytes.is_power_of_two() || page_bytes != 2 << 20 {
            return Err(DriverError::NOT_SUPPORTED);
        }
        let pages = (total.saturating_mul(ADDRESSES) / page_bytes).clamp(1, MOST_PAGES);
        let bytes = pages * page_bytes;
        let base = driver.reserve_addresses(bytes, page_bytes)?;
        let books = Books::new(base, pages as u32, page_bytes);
        let mapper = Mapper { device, vmm, base };
        Ok(Self { mapper, bytes, total, policy: Policy::DEFAULT, books: Mutex::new(books) })
    }

    /// The same, which notes there what it maps and unmaps.
    pub fn noting(self, notes: Notes) -> Self {
        self.books.lock().notes = notes;
        self
    }

    /// Carries out one plan for `bytes`. `None` if the addresses do not suffice.
    fn try_grow<D: Driver>(
        &self,
        driver: &D,
        bytes: u64,
        pages: u32,
        progress: Progress,
        tight: bool,
    ) -> Result<Option<Block>, DriverError> {
        let (plan, peers) = {
            let mut books = self.books.lock();
            let Some(plan) = books.plan(&self.policy, pages, progress, tight) else {
                return Ok(None);
            };
            (plan, books.peers.clone())
        };
        let carried_out = self.mapper.carry_out(driver, &plan, &peers);
        let mut books = self.books.lock();
        let late = books.peers_beside(&peers);
        let result = match carried_out {
            Ok(made) => {
                books.counters.misses += 1;
                Ok(books.settle(&plan, &made, bytes))
            }
            Err(failure) => {
                let error = failure.error;
                books.undo(&plan, failure);
                Err(error)
            }
        };
        drop(books);
        self.open_late(driver, &late, result)
    }
}

impl Arena {
    /// Asks the driver once more for what it has refused so far. Gives the bytes that it has taken
    /// back now.
    fn try_again<D: Driver>(&self, driver: &D) -> u64 {
        let refused = self.books.lock().take_refused();
        let mut released = 0;
        for refused in refused {
            let left = refused.give_back(&self.mapper, driver);
            if left.is_none() {
                released += self.mapper.bytes(refused.pages);
            }
            self.books.lock().asked_again(refused, left);
        }
        released
    }
}

impl<D: Driver> Backing<D> for Arena {
    fn name(&self) -> &'static str {
        "arena"
    }

    fn is_native(&self) -> bool {
        false
    }

    fn reuse(&self, bytes: u64, horizon: Stamp) -> Option<Block> {
        let mut books = self.books.lock();
        let block = books.take(bytes, horizon)?;
        books.counters.hits += 1;
        Some(block)
    }

    fn grow(
        &self,
        driver: &D,
        bytes: u64,
        progress: Progress,
    ) -> Result<(Block, Vec<DevicePtr>), DriverError> {
        let class = round_up(bytes).filter(|&class| class <= self.total);
        let class = class.ok_or(DriverError::OUT_OF_MEMORY)?;
        let pages = self.books.lock().pages_for(class);
        let mut result = Ok(None);
        for tight in [false, true] {
            result = self.try_grow(driver, bytes, pages, progress, tight);
            match result {
                Err(DriverError::OUT_OF_MEMORY) => {}
                _ => break,
            }
        }
        match result? {
            Some(block) => Ok((block, Vec::new())),
            None => Err(DriverError::OUT_OF_MEMORY),
        }
    }

    fn give(&self, token: Token, stamp: Stamp) -> u64 {
        let mut books = self.books.lock();
        books.give(token, stamp);
        books.wholly_free()
    }

    fn pin(&self, token: Token) {
        self.books.lock().pin(token);
    }

    fn hold(&self, token: Token) -> Option<Pieces> {
        // Memory that was not made to be shared has no descriptor.
        self.mapper.vmm.shareable.then(|| self.books.lock().hold(token)).flatten()
    }

    fn let_go(&self, token: Token) {
        self.books.lock().let_go(token);
    }

    fn open_to(&self, driver: &D, device: Device) -> Result<(), DriverError> {
        self.open(driver, device)
    }

    fn set_aside(&self, token: Token) -> u64 {
        self.books.lock().set_aside(token)
    }

    fn release(&self, driver: &D, take: Take) -> Trimmed {
        let Take { keep, at_most, unused_since, quiesced } = take;
        let mut trimmed = Trimmed { released: self.try_again(driver), ..Trimmed::default() };
        let mut stayed = 0;
        // What is freed meanwhile is not waited for, or a busy program would never let this end.
        let mut to_go = {
            let mut books = self.books.lock();
            books.forget_most_used();
            books.wholly_free().saturating_sub(keep).min(at_most)
        };
        let mut last = None;
        while to_go > 0 {
            let handle = {
                let mut books = self.books.lock();
                if books.wholly_free() <= keep {
                    break;
                }
                let Some((turn, handle)) = books.send_away(last, quiesced, unused_since) else {
                    break;
                };
                last = Some(turn);
                handle
            };
            let bytes = self.mapper.bytes(handle.pages);
            to_go = to_go.saturating_sub(bytes);
            if self.mapper.unmap(driver, &handle.range()).is_err() {
                self.books.lock().stays(&handle);
                stayed += bytes;
                continue;
            }
            let unmapped = Loose::unmapped(handle.memory, handle.pages);
            let left = unmapped.give_back(&self.mapper, driver);
            if left.is_none() {
                trimmed.released += bytes;
            }
            self.books.lock().sent_away(&handle, left);
        }
        let books = self.books.lock();
        // Nothing is left that the device is done with.
        trimmed.pending = to_go.min(books.wholly_free().saturating_sub(keep));
        trimmed.kept = books.kept(stayed);
        trimmed
    }

    fn moment(&self) -> Moment {
        self.books.lock().handles.moment()
    }

    fn has_unused(&self, unused_since: Moment) -> bool {
        self.books.lock().handles.has_unused(unused_since)
    }

    fn dispose(
        &self,
        _token: Token,
        _free: &mut dyn FnMut(DevicePtr) -> Result<(), DriverError>,
    ) -> Result<u64, DriverError> {
        // No block is an allocation of the driver's own.
        Err(DriverError::NOT_SUPPORTED)
    }

    fn find(&self, ptr: DevicePtr) -> Option<(DevicePtr, u64)> {
        let (start, record) = self.books.lock().block_around(ptr)?;
        (record.life == Life::Live && ptr.0 - start.0 < record.requested)
            .then_some((start, record.requested))
    }

    fn owns(&self, ptr: DevicePtr) -> bool {
        // Without the lock: programs also ask about pointers that are none of ours.
        ptr.0.wrapping_sub(self.mapper.base.0) < self.bytes
    }

    fn evict(&self, _ptr: DevicePtr, _bytes: u64) -> Vec<DevicePtr> {
        // The driver puts nothing of anybody else's into reserved addresses.
        Vec::new()
    }

    fn idle(&self) -> u64 {
        self.books.lock().idle()
    }

    fn returnable(&self) -> u64 {
        self.books.lock().wholly_free()
    }

    fn leaving(&self) -> u64 {
        self.books.lock().leaving
    }

    fn aside(&self) -> u64 {
        self.books.lock().aside
    }

    fn count(&self, change: &mut dyn FnMut(&mut Counters)) {
        change(&mut self.books.lock().counters);
    }

    fn segments(&self) -> Vec<Segment> {
        self.books.lock().segments()
    }

    fn end(&self, driver: &D) -> (Vec<DevicePtr>, Counters) {
        let empty = Books::new(self.mapper.base, 0, self.mapper.vmm.granularity);
        let mut books = std::mem::replace(&mut *self.books.lock(), empty);
        // Mappings outlive their context. Nothing can be done about what the driver refuses now.
        let refused = books.take_refused();
        for loose in refused.into_iter().chain(books.handles.all().map(Loose::from)) {
            let _ = loose.give_back(&self.mapper, driver);
        }
        let _ = driver.free_addresses(self.mapper.base, self.bytes);
        for handle in books.handles.all() {
            books.note(Action::SegmentUnmap, handle.at, handle.pages);
        }
        let live = books.live();
        books.counters.end();
        (live, books.counters)
    }
}

#[cfg(test)]
mod tests;
