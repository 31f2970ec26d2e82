//! What of an arena's memory is idle, and what keeps it from being given back.

use super::books::Books;
use crate::backing::{MOVING, REFUSED};
use crate::stats::Kept;

/// Why idle memory stays where it is.
pub(super) const IN_PART: &str = "what it was reserved with is still in use in part";
pub(super) const SHARED: &str = "small blocks in use share its page";

impl Books {
    /// Bytes that belong to no block.
    pub(super) fn idle(&self) -> u64 {
        let reserved = self.counters.reserved_bytes.current;
        reserved - self.counters.allocated_bytes.current - self.aside
    }

    /// Bytes of the handles that are wholly free.
    pub(super) fn wholly_free(&self) -> u64 {
        self.handles.whole_pages() * self.page_bytes
    }

    /// All idle bytes but those of the handles that are wholly free, each with what keeps it;
    /// `stayed` of the latter the driver has not unmapped just now.
    pub(super) fn kept(&self, stayed: u64) -> Vec<Kept> {
        let mut unexplained = self.idle().saturating_sub(self.wholly_free());
        let mut part = |bytes: u64| {
            let bytes = bytes.min(unexplained);
            unexplained -= bytes;
            bytes
        };
        let free_pages = self.handles.pages() - self.used - self.handles.whole_pages();
        let refused = part(self.refused_pages * self.page_bytes);
        let in_part = part(free_pages * self.page_bytes);
        let shared = part(self.small.free_bytes());
        [(refused + stayed, REFUSED), (in_part, IN_PART), (shared, SHARED), (unexplained, MOVING)]
            .into_iter()
            .filter_map(|(bytes, why)| Kept::unless_nothing(bytes, why))
            .collect()
    }
}
