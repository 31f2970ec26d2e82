//! Every block is one driver allocation, kept whole.
//!
//! For programs that need what virtual memory management cannot do, and for devices without it.

mod map;

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::sizes::largest_fit;
use super::{Backing, Block, MOVING, Moment, Progress, REFUSED, Segment, Take, Token, Trimmed};
use crate::driver::{DevicePtr, Driver, DriverError};
use crate::history::{Action, Notes};
use crate::order::Stamp;
use crate::stats::{Counters, Kept};

/// No block: the end of a list.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    /// In the program's hands.
    Live,
    /// Taken back, but nothing orders it yet.
    Aside,
    /// Idle: on the list and in the index.
    Idle,
    /// On its way back to the driver.
    Leaving,
    /// The slot is free.
    Vacant,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    ptr: DevicePtr,
    bytes: u64,
    requested: u64,
    stamp: Stamp,
    life: Life,
    /// When it became idle last.
    idle_since: Moment,
    /// Neighbours on the list of idle blocks.
    older: u32,
    newer: u32,
}

/// The books. Every driver allocation has one record from the moment it is made till the driver has
/// taken it back.
#[derive(Default)]
struct Books {
    records: Vec<Record>,
    vacant: Vec<u32>,
    /// Idle blocks by size, the most recently freed last.
    index: BTreeMap<u64, Vec<u32>>,
    /// Every record by address, of those that leave only while nothing new stands there.
    by_address: BTreeMap<DevicePtr, u32>,
    /// Least and most recently freed idle block.
    oldest: u32,
    newest: u32,
    /// How often a block has become idle.
    moment: u64,
    idle: u64,
    aside: u64,
    /// Bytes that the driver is about to take back.
    leaving: u64,
    /// Bytes that it has refused to take back. It is not asked again: it may have freed them all the
    /// same, and have handed the address out to somebody else since.
    refused: u64,
    counters: Counters,
    notes: Notes,
}

impl Books {
    fn empty() -> Self {
        Self { oldest: NONE, newest: NONE, ..Self::default() }
    }

    fn enlist(&mut self, at: u32) {
        let newest = self.newest;
        self.moment += 1;
        let record = &mut self.records[at as usize];
        record.life = Life::Idle;
        record.idle_since = Moment(self.moment);
        record.older = newest;
        record.newer = NONE;
        let bytes = record.bytes;
        match newest {
            NONE => self.oldest = at,
            newest => self.records[newest as usize].newer = at,
        }
        self.newest = at;
        self.idle += bytes;
        self.index.entry(bytes).or_default().push(at);
    }

    /// Takes the best fit for a size class out of the index.
    fn take(&mut self, class: u64, horizon: Stamp) -> Option<u32> {
        let usable = |record: &Record| record.stamp <= horizon;
        for (_, same_size) in self.index.range_mut(class..=largest_fit(class)) {
            let newest = same_size.iter().rposition(|&at| usable(&self.records[at as usize]));
            if let Some(place) = newest {
                return Some(same_size.remove(place));
            }
        }
        None
    }

    /// Takes an idle block off the list. The caller takes it out of the index.
    fn delist(&mut self, at: u32) -> Record {
        let record = self.records[at as usize];
        match record.older {
            NONE => self.oldest = record.newer,
            older => self.records[older as usize].newer = record.newer,
        }
        match record.newer {
            NONE => self.newest = record.older,
            newer => self.records[newer as usize].older = record.older,
        }
        self.idle -= record.bytes;
        record
    }

    /// Whether the block that is idle for the longest time has been since `moment`.
    fn has_unused(&self, moment: Moment) -> bool {
        self.records.get(self.oldest as usize).is_some_and(|record| record.idle_since <= moment)
    }

    fn unindex(&mut self, at: u32) {
        let bytes = self.records[at as usize].bytes;
        if let Some(same_size) = self.index.get_mut(&bytes) {
            // The oldest of a size stands first.
            if let Some(place) = same_size.iter().position(|&other| other == at) {
                same_size.remove(place);
            }
            if same_size.is_empty() {
                self.index.remove(&bytes);
            }
        }
    }

    fn vacate(&mut self, at: u32) {
        let record = &mut self.records[at as usize];
        record.life = Life::Vacant;
        // The driver may have handed the address out again before this was entered.
        if self.by_address.get(&record.ptr) == Some(&at) {
            self.by_address.remove(&record.ptr);
        }
        self.vacant.push(at);
    }

    /// Strikes every record that overlaps what the driver handed out.
    fn make_room(&mut self, ptr: DevicePtr, bytes: u64) -> Vec<DevicePtr> {
        let mut held = Vec::new();
        let end = DevicePtr(ptr.0.saturating_add(bytes));
        while let Some((&start, &at)) = self.by_address.range(..end).next_back() {
            let record = self.records[at as usize];
            if start.0 + record.bytes <= ptr.0 {
                break;
            }
            match record.life {
                Life::Leaving => {
                    // Just taken back by the driver; who sent it away strikes the rest.
                    self.by_address.remove(&start);
                    continue;
                }
                Life::Live => {
                    self.counters.take_back(record.bytes, record.requested);
                    held.push(start);
                }
                Life::Aside => self.aside -= record.bytes,
                Life::Idle | Life::Vacant => {
                    self.unindex(at);
                    self.delist(at);
                }
            }
            self.notes.note(Action::SegmentFree, start, record.bytes);
            self.counters.release(record.bytes);
            self.vacate(at);
        }
        held
    }

    fn enter(&mut self, record: Record) -> u32 {
        let at = match self.vacant.pop() {
            Some(at) => {
                self.records[at as usize] = record;
                at
            }
            None => {
                self.records.push(record);
                (self.records.len() - 1) as u32
            }
        };
        self.by_address.insert(record.ptr, at);
        at
    }
}

/// A backing in which every block is one driver allocation, kept whole.
pub struct Exact {
    books: Mutex<Books>,
}

impl Exact {
    /// Nothing reserved yet.
    pub fn new() -> Self {
        Self { books: Mutex::new(Books::empty()) }
    }

    /// The same, which notes there what it takes from the driver and gives back.
    pub fn noting(self, notes: Notes) -> Self {
        self.books.lock().notes = notes;
        self
    }
}

impl Default for Exact {
    fn default() -> Self {
        Self::new()
    }
}

impl<D: Driver> Backing<D> for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn is_native(&self) -> bool {
        true
    }

    fn reuse(&self, bytes: u64, horizon: Stamp) -> Option<Block> {
        let class = super::round_up(bytes)?;
        let mut guard = self.books.lock();
        let books = &mut *guard;
        let at = books.take(class, horizon)?;
        books.delist(at);
        let record = &mut books.records[at as usize];
        record.life = Life::Live;
        record.requested = bytes;
        books.counters.hits += 1;
        books.counters.hand_out(record.bytes, bytes);
        Some(Block { ptr: record.ptr, bytes: record.bytes, token: Token(at), stamp: record.stamp })
    }

    fn grow(
        &self,
        driver: &D,
        bytes: u64,
        _progress: Progress,
    ) -> Result<(Block, Vec<DevicePtr>), DriverError> {
        let class = super::round_up(bytes).ok_or(DriverError::OUT_OF_MEMORY)?;
        let ptr = driver.allocate(class)?;
        let stamp = Stamp::QUIESCED;
        let record = Record {
            ptr,
            bytes: class,
            requested: bytes,
            stamp,
            life: Life::Live,
            idle_since: Moment::LAST,
            older: NONE,
            newer: NONE,
        };
        let mut books = self.books.lock();
        let held = books.make_room(ptr, class);
        let at = books.enter(record);
        books.counters.misses += 1;
        books.counters.reserve(class);
        books.notes.note(Action::SegmentAllocate, ptr, class);
        books.counters.hand_out(class, bytes);
        Ok((Block { ptr, bytes: class, token: Token(at), stamp }, held))
    }

    fn give(&self, token: Token, stamp: Stamp) -> u64 {
        let mut guard = self.books.lock();
        let books = &mut *guard;
        let record = &mut books.records[token.0 as usize];
        record.stamp = stamp;
        match record.life {
            Life::Aside => books.aside -= record.bytes,
            _ => books.counters.take_back(record.bytes, record.requested),
        }
        books.enlist(token.0);
        books.idle
    }

    fn set_aside(&self, token: Token) -> u64 {
        let mut guard = self.books.lock();
        let books = &mut *guard;
        let record = &mut books.records[token.0 as usize];
        record.life = Life::Aside;
        books.aside += record.bytes;
        books.counters.take_back(record.bytes, record.requested);
        record.bytes
    }

    fn release(&self, driver: &D, take: Take) -> Trimmed {
        let Take { keep, at_most, unused_since, quiesced: _ } = take;
        let mut trimmed = Trimmed::default();
        // What is freed meanwhile is not waited for, or a busy program would never let this end.
        let mut to_go = self.books.lock().idle.saturating_sub(keep).min(at_most);
        while to_go > 0 {
            let (at, record) = {
                let mut books = self.books.lock();
                if books.idle <= keep || !books.has_unused(unused_since) {
                    break;
                }
                let at = books.oldest;
                books.unindex(at);
                let record = books.delist(at);
                books.records[at as usize].life = Life::Leaving;
                books.leaving += record.bytes;
                // Before the driver can hand the address out again.
                books.notes.note(Action::SegmentFree, record.ptr, record.bytes);
                (at, record)
            };
            to_go = to_go.saturating_sub(record.bytes);
            // cuMemFree waits for the work that may still touch the block, so no fence is looked at.
            let result = driver.free(record.ptr);
            let mut books = self.books.lock();
            books.leaving -= record.bytes;
            books.counters.num_device_free += 1;
            match result {
                Ok(()) => {
                    books.vacate(at);
                    books.counters.release(record.bytes);
                    trimmed.released += record.bytes;
                }
                // The context is broken or gone; the record stays in `Leaving`, where nobody finds it.
                Err(_) => books.refused += record.bytes,
            }
        }
        let Books { refused, leaving, .. } = *self.books.lock();
        trimmed.kept.extend(Kept::unless_nothing(refused, REFUSED));
        trimmed.kept.extend(Kept::unless_nothing(leaving, MOVING));
        trimmed
    }

    fn moment(&self) -> Moment {
        Moment(self.books.lock().moment)
    }

    fn has_unused(&self, unused_since: Moment) -> bool {
        self.books.lock().has_unused(unused_since)
    }

    fn dispose(
        &self,
        token: Token,
        free: &mut dyn FnMut(DevicePtr) -> Result<(), DriverError>,
    ) -> Result<u64, DriverError> {
        let record = {
            let mut books = self.books.lock();
            let record = books.records[token.0 as usize];
            books.records[token.0 as usize].life = Life::Leaving;
            if record.life == Life::Aside {
                books.aside -= record.bytes;
            }
            books.notes.note(Action::SegmentFree, record.ptr, record.bytes);
            record
        };
        let result = free(record.ptr);
        let mut books = self.books.lock();
        books.counters.num_device_free += 1;
        match result {
            Ok(()) => {
                if record.life == Life::Live {
                    books.counters.take_back(record.bytes, record.requested);
                }
                books.counters.release(record.bytes);
                books.vacate(token.0);
            }
            Err(_) => {
                books.notes.note(Action::SegmentAllocate, record.ptr, record.bytes);
                books.records[token.0 as usize].life = record.life;
                if record.life == Life::Aside {
                    books.aside += record.bytes;
                }
            }
        }
        result.map(|()| record.bytes)
    }

    fn find(&self, ptr: DevicePtr) -> Option<(DevicePtr, u64)> {
        let books = self.books.lock();
        let (&start, &at) = books.by_address.range(..=ptr).next_back()?;
        let record = &books.records[at as usize];
        (record.life == Life::Live && ptr.0 - start.0 < record.requested)
            .then_some((start, record.requested))
    }

    fn owns(&self, ptr: DevicePtr) -> bool {
        let books = self.books.lock();
        let below = books.by_address.range(..=ptr).next_back();
        below.is_some_and(|(start, &at)| {
            let record = &books.records[at as usize];
            // What leaves is the driver's, which may have handed it out again by now.
            record.life != Life::Leaving && ptr.0 - start.0 < record.bytes
        })
    }

    fn evict(&self, ptr: DevicePtr, bytes: u64) -> Vec<DevicePtr> {
        self.books.lock().make_room(ptr, bytes)
    }

    fn idle(&self) -> u64 {
        let books = self.books.lock();
        books.idle + books.leaving + books.refused
    }

    fn returnable(&self) -> u64 {
        self.books.lock().idle
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
        self.all()
    }

    fn end(&self, _driver: &D) -> (Vec<DevicePtr>, Counters) {
        let mut books = std::mem::replace(&mut *self.books.lock(), Books::empty());
        books.counters.end();
        for (&ptr, &at) in &books.by_address {
            books.notes.note(Action::SegmentFree, ptr, books.records[at as usize].bytes);
        }
        let live = books.records.iter().filter(|record| record.life == Life::Live);
        (live.map(|record| record.ptr).collect(), books.counters)
    }
}

#[cfg(test)]
mod tests;
