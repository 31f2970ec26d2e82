//! The blocks of an arena: each with its token, from when it is handed out till it is taken back.

use std::ops::Range;

use super::books::{Books, SMALL};
use super::handles::Handle;
use super::space::State;
use crate::backing::{Block, GRANULE, Pieces, Token, round_up};
use crate::driver::DevicePtr;
use crate::order::Stamp;

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

impl Books {
    fn units(bytes: u64) -> u32 {
        (bytes / GRANULE) as u32
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
    pub(super) fn give_out(
        &mut self,
        range: Range<u32>,
        stamp: Stamp,
        class: u64,
        bytes: u64,
    ) -> Block {
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
    pub(super) fn share_page(&mut self, page: u32, stamp: Stamp, class: u64, bytes: u64) -> Block {
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

    /// Takes a block back that is not idle before it is [given](Self::give). Gives its size.
    pub(super) fn set_aside(&mut self, token: Token) -> u64 {
        let record = &mut self.records[token.0 as usize];
        record.life = Life::Aside;
        self.aside += record.bytes;
        self.counters.take_back(record.bytes, record.requested);
        record.bytes
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

    /// Starts of the blocks in the program's hands.
    pub(super) fn live(&self) -> Vec<DevicePtr> {
        let live = self.records.iter().filter(|record| record.life == Life::Live);
        live.map(|record| {
            let unit = if record.small { GRANULE } else { self.page_bytes };
            DevicePtr(self.base.0 + u64::from(record.at) * unit)
        })
        .collect()
    }
}
