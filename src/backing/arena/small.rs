//! Blocks of at most 1 MiB, packed into shared pages.

use std::collections::BTreeMap;
use std::ops::Range;

use super::space::{Space, State};
use crate::backing::GRANULE;
use crate::order::Stamp;

/// A page that is given to small blocks.
#[derive(Clone, Copy, Debug)]
struct Shared {
    /// Units in use.
    used: u32,
    /// The latest fence behind which any of it was freed.
    stamp: Stamp,
    /// Others may reach some of it, which is free.
    pinned: bool,
}

/// A page that nobody uses any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Emptied {
    pub(super) page: u32,
    /// The latest fence behind which any of it was freed.
    pub(super) stamp: Stamp,
    /// Others may reach some of it.
    pub(super) pinned: bool,
}

/// The shared pages, in units of [`GRANULE`] bytes.
#[derive(Debug)]
pub(super) struct Small {
    space: Space,
    pages: BTreeMap<u32, Shared>,
    units_per_page: u32,
    /// Units in use, on all pages.
    used: u64,
}

impl Small {
    /// No shared page yet, of `pages` pages of `page_bytes` bytes.
    pub(super) fn new(pages: u32, page_bytes: u64) -> Self {
        let units_per_page = (page_bytes / GRANULE) as u32;
        let space = Space::new(pages * units_per_page);
        Self { space, pages: BTreeMap::new(), units_per_page, used: 0 }
    }

    /// Room for `units` units, for the block `token`: where it starts, and the fence that must be
    /// in place before it is used.
    pub(super) fn take(&mut self, units: u32, horizon: Stamp, token: u32) -> Option<(u32, Stamp)> {
        let (at, span) = self.space.best_fit(units, horizon)?;
        self.occupy(at..at + units, token);
        Some((at, span.stamp))
    }

    /// Page `page` is for small blocks from now on, the first of them `token` with `units` units. Gives
    /// where it starts.
    ///
    /// It is placed by its page, not by its fit: beside memory that nothing orders yet the rest of the
    /// page would not fit either.
    pub(super) fn take_in(&mut self, page: u32, stamp: Stamp, units: u32, token: u32) -> u32 {
        self.pages.insert(page, Shared { used: 0, stamp, pinned: false });
        let at = page * self.units_per_page;
        self.space.set(at..at + self.units_per_page, State::Free, stamp);
        self.occupy(at..at + units, token);
        at
    }

    fn occupy(&mut self, range: Range<u32>, token: u32) {
        self.space.set(range.clone(), State::Used(token), Stamp::QUIESCED);
        self.used += u64::from(range.end - range.start);
        for (page, units) in self.by_page(range) {
            self.shared(page).used += units;
        }
    }

    /// Takes a block back, behind fence `stamp`; one that is `pinned` is not handed out again. Gives
    /// the pages that nobody uses any more, which are shared pages no longer.
    pub(super) fn give(&mut self, at: u32, stamp: Stamp, pinned: bool) -> Vec<Emptied> {
        let Some((at, span)) = self.space.around(at) else { return Vec::new() };
        let state = if pinned { State::Busy } else { State::Free };
        self.space.set(span.range(at), state, stamp);
        let mut empty = Vec::new();
        self.used -= u64::from(span.units);
        for (page, units) in self.by_page(span.range(at)) {
            let shared = self.shared(page);
            shared.used -= units;
            shared.stamp = shared.stamp.max(stamp);
            shared.pinned |= pinned;
            if shared.used == 0 {
                empty.push(Emptied { page, stamp: shared.stamp, pinned: shared.pinned });
                self.pages.remove(&page);
                let start = page * self.units_per_page;
                let range = start..start + self.units_per_page;
                self.space.set(range, State::Hole, Stamp::QUIESCED);
            }
        }
        empty
    }

    /// Bytes of the shared pages that no block has.
    pub(super) fn free_bytes(&self) -> u64 {
        (self.pages.len() as u64 * u64::from(self.units_per_page) - self.used) * GRANULE
    }

    /// The block that a unit belongs to: its token and its start.
    pub(super) fn block_around(&self, unit: u32) -> Option<(u32, u32)> {
        let (at, span) = self.space.around(unit)?;
        match span.state {
            State::Used(token) => Some((token, at)),
            _ => None,
        }
    }

    fn shared(&mut self, page: u32) -> &mut Shared {
        // What is in use lies on shared pages only.
        self.pages.entry(page).or_insert(Shared { used: 0, stamp: Stamp::QUIESCED, pinned: false })
    }

    /// The pages that a range lies on, at most two, and how many of its units lie on each.
    fn by_page(&self, range: Range<u32>) -> impl Iterator<Item = (u32, u32)> + use<> {
        let per_page = self.units_per_page;
        (range.start / per_page..=(range.end - 1) / per_page).map(move |page| {
            let start = range.start.max(page * per_page);
            let end = range.end.min((page + 1) * per_page);
            (page, end - start)
        })
    }

    /// Which units are whose.
    pub(super) fn space(&self) -> &Space {
        &self.space
    }
}
