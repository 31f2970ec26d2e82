//! The pages and blocks as they lie in the arena.

use std::ops::Range;

use super::blocks::Life;
use super::books::Books;
use super::space::State;
use crate::backing::map::{Holder, Segment};
use crate::backing::{GRANULE, Token};

impl Books {
    /// Every stretch of addresses that has memory behind it.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        let mut end_of_last = None;
        for (range, state) in self.runs() {
            let end = range.end;
            if end_of_last != Some(range.start) {
                segments.push(Segment::new(self.address(range.start), true));
            }
            if let Some(segment) = segments.last_mut() {
                self.add(segment, range, state);
            }
            end_of_last = Some(end);
        }
        segments
    }

    /// What is not a hole. Busy spans that touch are one: small blocks lie across pages.
    fn runs(&self) -> Vec<(Range<u32>, State)> {
        let mut runs: Vec<(Range<u32>, State)> = Vec::new();
        for (range, state) in self.space.within(0..u32::MAX) {
            match runs.last_mut() {
                _ if state == State::Hole => {}
                Some((last, State::Busy)) if state == State::Busy && last.end == range.start => {
                    last.end = range.end;
                }
                _ => runs.push((range, state)),
            }
        }
        runs
    }

    fn add(&self, segment: &mut Segment, range: Range<u32>, state: State) {
        let bytes = u64::from(range.end - range.start) * self.page_bytes;
        match state {
            State::Hole | State::Free => segment.push(bytes, Holder::Idle),
            State::Used(token) => self.add_block(segment, bytes, token),
            State::Busy => {
                let per_page = (self.page_bytes / GRANULE) as u32;
                let units = range.start * per_page..range.end * per_page;
                for (units, state) in self.small.space().within(units) {
                    let bytes = u64::from(units.end - units.start) * GRANULE;
                    match state {
                        State::Free => segment.push(bytes, Holder::Idle),
                        State::Used(token) => self.add_block(segment, bytes, token),
                        // A hole there is a page that is not shared: something is being done to it.
                        State::Hole | State::Busy => segment.push(bytes, Holder::Waiting),
                    }
                }
            }
        }
    }

    /// A block, of which `bytes` lie here, and what its last page has left over.
    fn add_block(&self, segment: &mut Segment, bytes: u64, token: u32) {
        let Some(record) = self.records.get(token as usize) else {
            return segment.push(bytes, Holder::Waiting);
        };
        let holder = match record.life {
            Life::Live => Holder::Block(Token(token)),
            Life::Aside | Life::Vacant => Holder::Waiting,
        };
        let used = record.bytes.min(bytes);
        segment.push(used, holder);
        segment.push(bytes - used, Holder::Idle);
    }
}
