//! The physical handles of an arena: which memory stands behind which pages.

use std::collections::BTreeSet;
use std::ops::{Bound, Range};

use crate::backing::Moment;
use crate::driver::Memory;
use crate::order::Stamp;

/// No handle stands there.
const NONE: u32 = u32::MAX;

/// Physical memory that is mapped as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    pub(super) memory: Memory,
    /// First page.
    pub(super) at: u32,
    pub(super) pages: u32,
    /// Pages that somebody has.
    used: u32,
    /// The latest fence behind which any of it was freed.
    pub(super) stamp: Stamp,
    /// When any of it was freed last; later is greater.
    pub(super) freed: u64,
    /// Others may reach some of it, of which nobody has anything any more: it can only be given back.
    pub(super) pinned: bool,
}

impl Handle {
    /// `memory` of so many pages, mapped at page `at`, of which nobody has any yet.
    pub(super) fn new(memory: Memory, at: u32, pages: u32) -> Self {
        Self { memory, at, pages, used: 0, stamp: Stamp::QUIESCED, freed: 0, pinned: false }
    }

    fn turn(&self, slot: u32) -> Turn {
        (!self.pinned, self.freed, slot)
    }

    /// Its pages.
    pub(super) fn range(&self) -> Range<u32> {
        self.at..self.at + self.pages
    }
}

/// When a handle's turn comes to be given back: whether it is of use (first those that are not), when
/// it was freed, its slot.
pub(super) type Turn = (bool, u64, u32);

/// All handles of an arena, by page.
#[derive(Debug, Default)]
pub(super) struct Handles {
    slots: Vec<Option<Handle>>,
    vacant: Vec<u32>,
    /// The slot of the handle behind each page.
    owners: Vec<u32>,
    /// Handles of which nobody has any page, in the order in which they are given back.
    whole: BTreeSet<Turn>,
    /// Pages of all handles, and of those that are wholly free.
    pages: u64,
    whole_pages: u64,
    clock: u64,
}

impl Handles {
    /// Enters a handle. The pages are nobody's yet.
    pub(super) fn insert(&mut self, handle: Handle) {
        let range = handle.range();
        let slot = match self.vacant.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(handle);
                slot
            }
            None => {
                self.slots.push(Some(handle));
                (self.slots.len() - 1) as u32
            }
        };
        if self.owners.len() < range.end as usize {
            self.owners.resize(range.end as usize, NONE);
        }
        self.owners[range.start as usize..range.end as usize].fill(slot);
        self.pages += u64::from(handle.pages);
        self.enter_whole(&handle, slot);
    }

    /// Takes out a handle that is wholly free.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Handle> {
        let handle = self.slots.get_mut(slot as usize)?.take_if(|handle| handle.used == 0)?;
        let range = handle.range();
        self.owners[range.start as usize..range.end as usize].fill(NONE);
        self.pages -= u64::from(handle.pages);
        self.leave_whole(&handle, slot);
        self.vacant.push(slot);
        Some(handle)
    }

    /// Somebody gets these pages.
    pub(super) fn occupy(&mut self, range: Range<u32>) {
        self.each(range, |handles, slot, pages| {
            let Some(handle) = &mut handles.slots[slot as usize] else { return };
            handle.used += pages;
            if handle.used == pages {
                let handle = *handle;
                handles.leave_whole(&handle, slot);
            }
        });
    }

    /// Somebody gives these pages back, behind fence `stamp`.
    pub(super) fn vacate(&mut self, range: Range<u32>, stamp: Stamp) {
        self.clock += 1;
        self.each(range, |handles, slot, pages| {
            let Some(handle) = &mut handles.slots[slot as usize] else { return };
            handle.used -= pages;
            handle.stamp = handle.stamp.max(stamp);
            handle.freed = handles.clock;
            if handle.used == 0 {
                let handle = *handle;
                handles.enter_whole(&handle, slot);
            }
        });
    }

    fn enter_whole(&mut self, handle: &Handle, slot: u32) {
        self.whole.insert(handle.turn(slot));
        self.whole_pages += u64::from(handle.pages);
    }

    fn leave_whole(&mut self, handle: &Handle, slot: u32) {
        self.whole.remove(&handle.turn(slot));
        self.whole_pages -= u64::from(handle.pages);
    }

    /// Others may reach these pages, of which nobody has any now.
    pub(super) fn pin(&mut self, range: Range<u32>) {
        self.each(range, |handles, slot, _| {
            let Some(handle) = &mut handles.slots[slot as usize] else { return };
            let before = handle.turn(slot);
            handle.pinned = true;
            if handles.whole.remove(&before) {
                handles.whole.insert(handle.turn(slot));
            }
        });
    }

    /// Calls `f` with each handle that stands in `range`, and how many of its pages do.
    fn each(&mut self, range: Range<u32>, mut f: impl FnMut(&mut Self, u32, u32)) {
        let mut page = range.start;
        while page < range.end {
            let slot = self.owners.get(page as usize).copied().unwrap_or(NONE);
            let Some(Some(handle)) = self.slots.get(slot as usize) else {
                page += 1;
                continue;
            };
            let end = handle.range().end.min(range.end);
            f(self, slot, end - page);
            page = end;
        }
    }

    /// The handles that stand in `range`, by address.
    pub(super) fn behind(&mut self, range: Range<u32>) -> Vec<Handle> {
        let mut found = Vec::new();
        self.each(range, |handles, slot, _| found.extend(handles.slots[slot as usize]));
        found
    }

    /// Handles that are wholly free, the least recently freed first, with their slots.
    pub(super) fn whole(&self) -> impl Iterator<Item = (u32, &Handle)> {
        self.whole.iter().filter_map(|&(_, _, slot)| Some((slot, self.get(slot)?)))
    }

    /// The next handle after `last` to be given back, of those that are wholly free and were freed
    /// before fence `quiesced` and not after `unused_since`: those that others may reach first, then
    /// the least recently freed.
    pub(super) fn next_to_leave(
        &self,
        last: Option<Turn>,
        quiesced: Stamp,
        unused_since: Moment,
    ) -> Option<Turn> {
        [false, true].into_iter().find_map(|of_use| {
            let start = match last {
                Some(last) if last.0 == of_use => Bound::Excluded(last),
                Some(last) if last.0 && !of_use => return None,
                _ => Bound::Included((of_use, 0, 0)),
            };
            let end = Bound::Included((of_use, unused_since.0, u32::MAX));
            let done =
                |turn: &&Turn| self.get(turn.2).is_some_and(|handle| handle.stamp <= quiesced);
            self.whole.range((start, end)).find(done).copied()
        })
    }

    /// This moment: whatever is freed from now on is freed after it.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.clock)
    }

    /// Whether a handle is wholly free that was not freed after `unused_since`.
    pub(super) fn has_unused(&self, unused_since: Moment) -> bool {
        self.whole.iter().any(|turn| turn.1 <= unused_since.0)
    }

    /// The handle in a slot.
    pub(super) fn get(&self, slot: u32) -> Option<&Handle> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// Pages of all handles.
    pub(super) fn pages(&self) -> u64 {
        self.pages
    }

    /// Pages of the handles that are wholly free.
    pub(super) fn whole_pages(&self) -> u64 {
        self.whole_pages
    }

    /// Every handle.
    pub(super) fn all(&self) -> impl Iterator<Item = &Handle> {
        self.slots.iter().flatten()
    }
}
