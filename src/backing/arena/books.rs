//! The books of an arena: who has which pages, and what stands behind them.
//!
//! Every change is made under the arena's lock, none calls the driver. What is about to change at
//! the driver is [`State::Busy`] meanwhile, so that nobody else plans with it.

use std::ops::Range;

use super::handles::{Handle, Handles, Turn};
use super::holds::Holds;
use super::mapping::Failure;
use super::plan::{self, Bounds, Plan};
use super::policy::Policy;
use super::small::Small;
use super::space::{Space, State};
use crate::backing::{Block, GRANULE, Pieces, Progress, Token, round_up};
use crate::driver::{Device, DevicePtr, Memory};
use crate::order::Stamp;
use crate::stats::Counters;

/// The largest block that shares its pages with others, in bytes.
const SMALL: u64 = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// In the program's hands.
    Live,
    /// Taken back, but nothing orders it yet.
    Aside,
    /// The token is nobody's.
    Vacant,
}

/// A block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Its first unit if it is small, its first page if not.
    at: u32,
    small: bool,
    pub(super) bytes: u64,
    pub(super) requested: u64,
    pub(super) life: Life,
    /// Others than the program may reach it: it is not to be handed out again.
    pinned: bool,
}

/// See the [module](self).
pub(super) struct Books {
    base: DevicePtr,
    page_bytes: u64,
    pages: u32,
    space: Space,
    pub(super) handles: Handles,
    small: Small,
    records: Vec<Record>,
    vacant: Vec<u32>,
    holds: Holds,
    /// Pages that blocks have, whole or shared; and the most there were since the last trim.
    used: u64,
    most_used: u64,
    /// Pages of all handles, those included that are being made, moved or given back.
    reserved: u64,
    /// Handles that the driver would not take back, and their pages.
    refused: Vec<(Memory, u32)>,
    /// Pages that it would not unmap, which stay busy till it does. What is behind them is released.
    stuck: Vec<Range<u32>>,
    /// Other devices that may use what is mapped.
    pub(super) peers: Vec<Device>,
    pub(super) aside: u64,
    /// Bytes that are on their way to the driver.
    pub(super) leaving: u64,
    pub(super) counters: Counters,
}

impl Books {
    /// `pages` pages of `page_bytes` bytes from `base`, with nothing behind them.
    pub(super) fn new(base: DevicePtr, pages: u32, page_bytes: u64) -> Self {
        Self {
            base,
            page_bytes,
            pages,
            space: Space::new(pages),
            handles: Handles::default(),
            small: Small::new(pages, page_bytes),
            records: Vec::new(),
            vacant: Vec::new(),
            holds: Holds::default(),
            used: 0,
            most_used: 0,
            reserved: 0,
            refused: Vec::new(),
            stuck: Vec::new(),
            peers: Vec::new(),
            aside: 0,
            leaving: 0,
            counters: Counters::default(),
        }
    }

    /// Bytes that belong to no block.
    pub(super) fn idle(&self) -> u64 {
        let reserved = self.counters.reserved_bytes.current;
        reserved - self.counters.allocated_bytes.current - self.aside
    }

    /// Bytes of the handles that are wholly free.
    pub(super) fn wholly_free(&self) -> u64 {
        self.handles.whole_pages() * self.page_bytes
    }

    pub(super) fn address(&self, page: u32) -> DevicePtr {
        DevicePtr(self.base.0 + u64::from(page) * self.page_bytes)
    }

    /// Whether an address lies in the arena, mapped or not.
    pub(super) fn holds(&self, ptr: DevicePtr) -> bool {
        ptr.0.wrapping_sub(self.base.0) < u64::from(self.pages) * self.page_bytes
    }

    fn units(bytes: u64) -> u32 {
        (bytes / GRANULE) as u32
    }

    fn pages_of(&self, bytes: u64) -> u32 {
        // The driver never gives out a range of more pages than a 32-bit number counts.
        u32::try_from(bytes.div_ceil(self.page_bytes)).unwrap_or(u32::MAX)
    }

    /// Pages that a miss of a block of `class` bytes needs.
    pub(super) fn pages_for(&self, class: u64) -> u32 {
        if class <= SMALL { 1 } else { self.pages_of(class) }
    }

    /// Idle memory for `bytes`, ordered behind `horizon` at the latest.
    pub(super) fn take(&mut self, bytes: u64, horizon: Stamp) -> Option<Block> {
        let class = round_up(bytes)?;
        if class > SMALL {
            let pages = self.pages_of(class);
            let (at, span) = self.space.best_fit(pages, horizon)?;
            return Some(self.give_out(at..at + pages, span.stamp, class, bytes));
        }
        let token = self.next_token();
        if let Some((at, stamp)) = self.small.take(Self::units(class), horizon, token) {
            return Some(self.enter_small(at, stamp, class, bytes));
        }
        let (page, span) = self.space.best_fit(1, horizon)?;
        Some(self.share_page(page, span.stamp, class, bytes))
    }

    /// The token of the block that is entered next.
    fn next_token(&self) -> u32 {
        self.vacant.last().copied().unwrap_or(self.records.len() as u32)
    }

    /// Hands pages out that are free, or busy for this purpose.
    fn give_out(&mut self, range: Range<u32>, stamp: Stamp, class: u64, bytes: u64) -> Block {
        let at = range.start;
        self.occupy(range, State::Used(self.next_token()));
        let record = Record {
            at,
            small: false,
            bytes: class,
            requested: bytes,
            life: Life::Live,
            pinned: false,
        };
        self.enter(self.address(at), record, stamp)
    }

    /// Gives a free page to small blocks, the first of which is handed out.
    fn share_page(&mut self, page: u32, stamp: Stamp, class: u64, bytes: u64) -> Block {
        self.occupy(page..page + 1, State::Busy);
        let at = self.small.take_in(page, stamp, Self::units(class), self.next_token());
        self.enter_small(at, stamp, class, bytes)
    }

    fn enter_small(&mut self, at: u32, stamp: Stamp, class: u64, bytes: u64) -> Block {
        let ptr = DevicePtr(self.base.0 + u64::from(at) * GRANULE);
        let record = Record {
            at,
            small: true,
            bytes: class,
            requested: bytes,
            life: Life::Live,
            pinned: false,
        };
        self.enter(ptr, record, stamp)
    }

    fn enter(&mut self, ptr: DevicePtr, record: Record, stamp: Stamp) -> Block {
        let token = match self.vacant.pop() {
            Some(token) => {
                self.records[token as usize] = record;
                token
            }
            None => {
                self.records.push(record);
                (self.records.len() - 1) as u32
            }
        };
        self.counters.hand_out(record.bytes, record.requested);
        Block { ptr, bytes: record.bytes, token: Token(token), stamp }
    }

    /// Somebody has these pages from now on, which were free.
    fn occupy(&mut self, range: Range<u32>, state: State) {
        self.handles.occupy(range.clone());
        self.used += u64::from(range.end - range.start);
        self.most_used = self.most_used.max(self.used);
        self.space.set(range, state, Stamp::QUIESCED);
    }

    /// Nobody has these pages any more.
    fn vacate(&mut self, range: Range<u32>, stamp: Stamp) {
        self.handles.vacate(range.clone(), stamp);
        self.used -= u64::from(range.end - range.start);
        self.space.set(range, State::Free, stamp);
    }

    /// Takes a block back: idle, behind fence `stamp`.
    pub(super) fn give(&mut self, token: Token, stamp: Stamp) {
        let record = self.records[token.0 as usize];
        if record.pinned && self.holds.put_off(token.0, stamp) {
            return;
        }
        match record.life {
            Life::Aside => self.aside -= record.bytes,
            Life::Live => self.counters.take_back(record.bytes, record.requested),
            Life::Vacant => return,
        }
        self.records[token.0 as usize].life = Life::Vacant;
        self.vacant.push(token.0);
        if record.small {
            for empty in self.small.give(record.at, stamp, record.pinned) {
                self.leave(empty.page..empty.page + 1, empty.stamp, empty.pinned);
            }
        } else {
            let range = record.at..record.at + self.pages_of(record.bytes);
            self.leave(range, stamp, record.pinned);
        }
    }

    /// Nobody has these pages any more. If others may reach them, they are handed out to nobody
    /// either: they stay busy until their handles are given back.
    fn leave(&mut self, range: Range<u32>, stamp: Stamp, pinned: bool) {
        self.vacate(range.clone(), stamp);
        if pinned {
            self.handles.pin(range.clone());
            self.space.set(range, State::Busy, Stamp::QUIESCED);
        }
    }

    /// Others than the program may reach the block, which it holds.
    pub(super) fn pin(&mut self, token: Token) {
        if let Some(record) = self.records.get_mut(token.0 as usize) {
            record.pinned |= record.life == Life::Live;
        }
    }

    /// The memory behind a block that the program holds and others may reach, which stays there until
    /// the block is [let go](Self::let_go).
    pub(super) fn hold(&mut self, token: Token) -> Option<Pieces> {
        let record = self.records.get(token.0 as usize)?;
        if record.life != Life::Live || !record.pinned {
            return None;
        }
        let (start, pages) = if record.small {
            let start = u64::from(record.at) * GRANULE;
            (start, start / self.page_bytes..(start + record.bytes).div_ceil(self.page_bytes))
        } else {
            let at = u64::from(record.at);
            (at * self.page_bytes, at..at + u64::from(self.pages_of(record.bytes)))
        };
        let behind = self.handles.behind(pages.start as u32..pages.end as u32);
        let first = behind.first().map(|handle| u64::from(handle.at) * self.page_bytes)?;
        let bytes = |handle: &Handle| u64::from(handle.pages) * self.page_bytes;
        let memory = behind.iter().map(|handle| (handle.memory, bytes(handle))).collect();
        self.holds.hold(token.0);
        Some(Pieces { memory, offset: start - first })
    }

    /// The memory behind a block that was [held](Self::hold) need not stay any more.
    pub(super) fn let_go(&mut self, token: Token) {
        if let Some(stamp) = self.holds.let_go(token.0) {
            self.give(token, stamp);
        }
    }

    /// Takes a block back that is not idle before it is [given](Self::give).
    pub(super) fn set_aside(&mut self, token: Token) {
        let record = &mut self.records[token.0 as usize];
        record.life = Life::Aside;
        self.aside += record.bytes;
        self.counters.take_back(record.bytes, record.requested);
    }

    /// The block whose addresses hold `ptr`: where it starts, and what is known of it.
    pub(super) fn block_around(&self, ptr: DevicePtr) -> Option<(DevicePtr, Record)> {
        if !self.holds(ptr) {
            return None;
        }
        let offset = ptr.0 - self.base.0;
        let (_, span) = self.space.around((offset / self.page_bytes) as u32)?;
        let token = match span.state {
            State::Used(token) => token,
            State::Busy => self.small.block_around(Self::units(offset))?.0,
            State::Free | State::Hole => return None,
        };
        let record = *self.records.get(token as usize)?;
        let unit = if record.small { GRANULE } else { self.page_bytes };
        Some((DevicePtr(self.base.0 + u64::from(record.at) * unit), record))
    }

    /// Where the memory for `pages` more pages comes from. All of it is busy from now on. With
    /// `tight`, whatever can move does before anything is made. `None` if the addresses do not
    /// suffice.
    pub(super) fn plan(
        &mut self,
        policy: &Policy,
        pages: u32,
        progress: Progress,
        tight: bool,
    ) -> Option<Plan> {
        let most = self.most_used.max(self.used + u64::from(pages));
        let bounds = Bounds {
            horizon: progress.ordered,
            quiesced: progress.quiesced,
            reserved: self.reserved,
            limit: if tight { 0 } else { most + most / policy.slack },
        };
        let (plan, slots) =
            plan::plan(&self.space, &self.handles, policy, bounds, pages, self.page_bytes)?;
        for slot in slots {
            if let Some(handle) = self.handles.remove(slot) {
                self.space.set(handle.range(), State::Busy, Stamp::QUIESCED);
            }
        }
        for range in plan.kept() {
            self.occupy(range, State::Busy);
        }
        self.space.set(plan.gap.clone(), State::Busy, Stamp::QUIESCED);
        self.reserved += plan.fresh.iter().copied().map(u64::from).sum::<u64>();
        Some(plan)
    }

    /// The plan was carried out: `made` are the handles of its gap. The block goes to the program,
    /// `bytes` of it.
    pub(super) fn settle(&mut self, plan: &Plan, made: &[Handle], bytes: u64) -> Option<Block> {
        for handle in &plan.moved {
            self.space.set(handle.range(), State::Hole, Stamp::QUIESCED);
        }
        for handle in made {
            self.handles.insert(*handle);
        }
        self.space.set(plan.gap.clone(), State::Free, Stamp::QUIESCED);
        for range in plan.kept() {
            self.vacate(range, plan.stamp);
        }
        let class = round_up(bytes)?;
        Some(if class > SMALL {
            self.give_out(plan.block.clone(), plan.stamp, class, bytes)
        } else {
            self.share_page(plan.block.start, plan.stamp, class, bytes)
        })
    }

    /// The plan was not carried out.
    pub(super) fn undo(&mut self, plan: &Plan, failure: Failure) {
        let (gone, there) = plan.moved.split_at(failure.lost);
        for handle in gone {
            self.space.set(handle.range(), State::Hole, Stamp::QUIESCED);
            self.counters.release(u64::from(handle.pages) * self.page_bytes);
            self.reserved -= u64::from(handle.pages);
        }
        for handle in there {
            self.space.set(handle.range(), State::Free, handle.stamp);
            self.handles.insert(*handle);
        }
        for range in plan.kept() {
            self.vacate(range, plan.stamp);
        }
        self.space.set(plan.gap.clone(), State::Hole, Stamp::QUIESCED);
        for range in failure.stuck {
            self.stick(range);
        }
        self.refused.extend(failure.refused);
        self.reserved -= plan.fresh.iter().copied().map(u64::from).sum::<u64>();
    }

    /// Takes the next handle after `last` out that can be given back, on its way to the driver: first
    /// those that are good for nothing else, then the least recently used ones.
    pub(super) fn send_away(
        &mut self,
        last: Option<Turn>,
        quiesced: Stamp,
    ) -> Option<(Turn, Handle)> {
        let turn = self.handles.next_to_leave(last, quiesced)?;
        let handle = self.handles.remove(turn.3)?;
        self.space.set(handle.range(), State::Busy, Stamp::QUIESCED);
        self.leaving += u64::from(handle.pages) * self.page_bytes;
        Some((turn, handle))
    }

    /// The driver has unmapped such a handle, and has taken it back or not.
    pub(super) fn sent_away(&mut self, handle: &Handle, released: bool) {
        let bytes = u64::from(handle.pages) * self.page_bytes;
        self.leaving -= bytes;
        self.space.set(handle.range(), State::Hole, Stamp::QUIESCED);
        self.counters.release(bytes);
        self.counters.num_device_free += 1;
        self.reserved -= u64::from(handle.pages);
        if !released {
            self.refused.push((handle.memory, handle.pages));
        }
    }

    /// The driver has not unmapped it: it is what it was before.
    pub(super) fn stays(&mut self, handle: &Handle) {
        self.leaving -= u64::from(handle.pages) * self.page_bytes;
        self.handles.insert(*handle);
        if !handle.pinned {
            self.space.set(handle.range(), State::Free, handle.stamp);
        }
    }

    /// The driver does not unmap these pages, of which nobody has any.
    pub(super) fn stick(&mut self, range: Range<u32>) {
        self.space.set(range.clone(), State::Busy, Stamp::QUIESCED);
        self.stuck.push(range);
    }

    /// Takes out what the driver has not unmapped so far. It stays busy.
    pub(super) fn take_stuck(&mut self) -> Vec<Range<u32>> {
        std::mem::take(&mut self.stuck)
    }

    /// The driver has unmapped it after all.
    pub(super) fn unstick(&mut self, range: Range<u32>) {
        self.space.set(range, State::Hole, Stamp::QUIESCED);
    }

    /// Takes out what the driver has refused to take back so far.
    pub(super) fn take_refused(&mut self) -> Vec<(Memory, u32)> {
        std::mem::take(&mut self.refused)
    }

    /// The driver has refused it again.
    pub(super) fn refuse(&mut self, memory: Memory, pages: u32) {
        self.refused.push((memory, pages));
    }

    /// What the program held at most starts again from now.
    pub(super) fn forget_most_used(&mut self) {
        self.most_used = self.used;
    }

    /// Fresh handles of so many pages in all were made and will be settled.
    pub(super) fn count_fresh(&mut self, fresh: &[u32]) {
        for &pages in fresh {
            self.counters.reserve(u64::from(pages) * self.page_bytes);
        }
    }

    /// Starts of the blocks in the program's hands.
    pub(super) fn live(&self) -> Vec<DevicePtr> {
        let live = self.records.iter().filter(|record| record.life == Life::Live);
        live.map(|record| {
            let unit = if record.small { GRANULE } else { self.page_bytes };
            DevicePtr(self.base.0 + u64::from(record.at) * unit)
        })
        .collect()
    }

    #[cfg(test)]
    pub(super) fn space(&self) -> &Space {
        &self.space
    }

    #[cfg(test)]
    pub(super) fn small(&self) -> &Small {
        &self.small
    }
}
