//! The blocks as they lie on the device.

use super::{Exact, Life};
use crate::backing::Token;
use crate::backing::map::{Holder, Segment};

impl Exact {
    /// Every driver allocation, by address.
    pub(super) fn all(&self) -> Vec<Segment> {
        let books = self.books.lock();
        let segments = books.by_address.values().map(|&at| {
            let record = &books.records[at as usize];
            let mut segment = Segment::new(record.ptr, false);
            let holder = match record.life {
                Life::Live => Holder::Block(Token(at)),
                Life::Idle => Holder::Idle,
                Life::Aside | Life::Leaving | Life::Vacant => Holder::Waiting,
            };
            segment.push(record.bytes, holder);
            segment
        });
        segments.collect()
    }
}
