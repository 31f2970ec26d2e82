//! The books of an arena: who has which pages, and what stands behind them.
//!
//! Every change is made under the arena's lock, none calls the driver. What is about to change at
//! the driver is [`State::Busy`] meanwhile, so that nobody else plans with it.

use std::ops::Range;

use super::blocks::Record;
use super::handles::{Handle, Handles, Turn};
use super::holds::Holds;
use super::loose::Loose;
use super::mapping::Failure;
use super::plan::{self, Bounds, Plan};
use super::policy::Policy;
use super::small::Small;
use super::space::{Space, State};
use crate::backing::{Block, Moment, Progress, round_up};
use crate::driver::{Device, DevicePtr};
use crate::history::{Action, Notes};
use crate::order::Stamp;
use crate::stats::Counters;

/// The largest block that shares its pages with others, in bytes.
pub(super) const SMALL: u64 = 1 << 20;

/// See the [module](self).
pub(super) struct Books {
    pub(super) base: DevicePtr,
    pub(super) page_bytes: u64,
    pages: u32,
    pub(super) space: Space,
    pub(super) handles: Handles,
    pub(super) small: Small,
    pub(super) records: Vec<Record>,
    pub(super) vacant: Vec<u32>,
    pub(super) holds: Holds,
    /// Pages that blocks have, whole or shared; and the most there were since the last trim.
    pub(super) used: u64,
    most_used: u64,
    /// Pages of all handles, those included that are being made, moved or given back, without those
    /// that the driver has refused to take back.
    pub(super) reserved: u64,
    /// What the driver would not take back. Where it is still mapped the pages stay busy.
    pub(super) refused: Vec<Loose>,
    pub(super) refused_pages: u64,
    /// Other devices that may use what is mapped.
    pub(super) peers: Vec<Device>,
    pub(super) aside: u64,
    /// Bytes that are on their way to the driver.
    pub(super) leaving: u64,
    pub(super) counters: Counters,
    pub(super) notes: Notes,
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
            refused_pages: 0,
            peers: Vec::new(),
            aside: 0,
            leaving: 0,
            counters: Counters::default(),
            notes: Notes::default(),
        }
    }

    /// Notes what has happened with these pages.
    pub(super) fn note(&self, action: Action, at: u32, pages: u32) {
        self.notes.note(action, self.address(at), u64::from(pages) * self.page_bytes);
    }

    pub(super) fn address(&self, page: u32) -> DevicePtr {
        DevicePtr(self.base.0 + u64::from(page) * self.page_bytes)
    }

    /// Whether an address lies in the arena, mapped or not.
    pub(super) fn holds(&self, ptr: DevicePtr) -> bool {
        ptr.0.wrapping_sub(self.base.0) < u64::from(self.pages) * self.page_bytes
    }

    pub(super) fn pages_of(&self, bytes: u64) -> u32 {
        // The driver never gives out a range of more pages than a 32-bit number counts.
        u32::try_from(bytes.div_ceil(self.page_bytes)).unwrap_or(u32::MAX)
    }

    /// Pages that a miss of a block of `class` bytes needs.
    pub(super) fn pages_for(&self, class: u64) -> u32 {
        if class <= SMALL { 1 } else { self.pages_of(class) }
    }

    /// Somebody has these pages from now on, which were free.
    pub(super) fn occupy(&mut self, range: Range<u32>, state: State) {
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

    /// Nobody has these pages any more. If others may reach them, they are handed out to nobody
    /// either: they stay busy until their handles are given back.
    pub(super) fn leave(&mut self, range: Range<u32>, stamp: Stamp, pinned: bool) {
        self.vacate(range.clone(), stamp);
        if pinned {
            self.handles.pin(range.clone());
            self.space.set(range, State::Busy, Stamp::QUIESCED);
        }
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
            self.note(Action::SegmentUnmap, handle.at, handle.pages);
            self.space.set(handle.range(), State::Hole, Stamp::QUIESCED);
        }
        for handle in made {
            self.note(Action::SegmentMap, handle.at, handle.pages);
            self.handles.insert(*handle);
        }
        for &pages in &plan.fresh {
            self.counters.reserve(u64::from(pages) * self.page_bytes);
        }
        self.counters.num_device_move += plan.moved.len() as u64;
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
            self.note(Action::SegmentUnmap, handle.at, handle.pages);
            self.space.set(handle.range(), State::Hole, Stamp::QUIESCED);
            self.reserved -= u64::from(handle.pages);
            if !failure.left.iter().any(|left| left.memory == handle.memory) {
                self.taken_back(handle.pages);
            }
        }
        for handle in there {
            self.space.set(handle.range(), State::Free, handle.stamp);
            self.handles.insert(*handle);
        }
        for range in plan.kept() {
            self.vacate(range, plan.stamp);
        }
        self.space.set(plan.gap.clone(), State::Hole, Stamp::QUIESCED);
        for left in failure.left {
            if !gone.iter().any(|handle| handle.memory == left.memory) {
                self.counters.reserve(u64::from(left.pages) * self.page_bytes);
            }
            self.refuse(left);
        }
        self.reserved -= plan.fresh.iter().copied().map(u64::from).sum::<u64>();
    }

    /// Takes the next handle after `last` out that can be given back, on its way to the driver: first
    /// those that are good for nothing else, then the least recently used ones.
    pub(super) fn send_away(
        &mut self,
        last: Option<Turn>,
        quiesced: Stamp,
        unused_since: Moment,
    ) -> Option<(Turn, Handle)> {
        let turn = self.handles.next_to_leave(last, quiesced, unused_since)?;
        let handle = self.handles.remove(turn.2)?;
        self.space.set(handle.range(), State::Busy, Stamp::QUIESCED);
        self.leaving += u64::from(handle.pages) * self.page_bytes;
        Some((turn, handle))
    }

    /// The driver has unmapped such a handle, and has taken it back but for what is `left`.
    pub(super) fn sent_away(&mut self, handle: &Handle, left: Option<Loose>) {
        self.leaving -= u64::from(handle.pages) * self.page_bytes;
        self.note(Action::SegmentUnmap, handle.at, handle.pages);
        self.space.set(handle.range(), State::Hole, Stamp::QUIESCED);
        self.reserved -= u64::from(handle.pages);
        match left {
            Some(left) => self.refuse(left),
            None => self.taken_back(handle.pages),
        }
    }

    /// The driver has taken a handle of so many pages back.
    fn taken_back(&mut self, pages: u32) {
        self.counters.release(u64::from(pages) * self.page_bytes);
        self.counters.num_device_free += 1;
    }

    /// The driver has not unmapped it: it is what it was before.
    pub(super) fn stays(&mut self, handle: &Handle) {
        self.leaving -= u64::from(handle.pages) * self.page_bytes;
        self.handles.insert(*handle);
        if !handle.pinned {
            self.space.set(handle.range(), State::Free, handle.stamp);
        }
    }

    /// The driver has refused to take it back.
    fn refuse(&mut self, left: Loose) {
        if let Some(at) = left.at {
            self.note(Action::SegmentMap, at, left.pages);
            self.space.set(at..at + left.pages, State::Busy, Stamp::QUIESCED);
        }
        self.refused_pages += u64::from(left.pages);
        self.refused.push(left);
    }

    /// Takes out what the driver has refused so far. It stays where it is till it has been
    /// [asked again](Self::asked_again).
    pub(super) fn take_refused(&mut self) -> Vec<Loose> {
        std::mem::take(&mut self.refused)
    }

    /// The driver was asked for `refused` again, and all but what is `left` is done.
    pub(super) fn asked_again(&mut self, refused: Loose, left: Option<Loose>) {
        self.refused_pages -= u64::from(refused.pages);
        if let Some(at) = refused.at {
            self.note(Action::SegmentUnmap, at, refused.pages);
            self.space.set(at..at + refused.pages, State::Hole, Stamp::QUIESCED);
        }
        match left {
            Some(left) => self.refuse(left),
            None => self.taken_back(refused.pages),
        }
    }

    /// What the program held at most starts again from now.
    pub(super) fn forget_most_used(&mut self) {
        self.most_used = self.used;
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
