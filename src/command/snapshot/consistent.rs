//! Which events lead to the segments that there are.
//!
//! PyTorch's viewer goes back from the segments of a snapshot, event by event, and fails at one that
//! cannot have been: memory mapped where none is later, or a block outside all memory. There are some:
//! the process goes on while its snapshot is taken, and of many events at once a few are left out.

use std::collections::{BTreeMap, HashMap};

use cupool::pools::Segment;
use cupool::snapshot::EventLine;

/// The `events`, oldest first, without those that do not lead to `segments`.
pub fn consistent<'a>(segments: &[Segment], events: &'a [EventLine]) -> Vec<&'a EventLine> {
    let mut devices: HashMap<i32, Memory> = HashMap::new();
    for segment in segments {
        let memory = devices.entry(segment.device).or_default();
        memory.ranges.insert(segment.address, segment.address.saturating_add(segment.bytes));
    }
    let backwards = events.iter().rev().filter(|(action, device, address, bytes, _)| {
        let memory = devices.entry(*device).or_default();
        let (start, end) = (*address, address.saturating_add(*bytes));
        match action.as_ref() {
            "segment_alloc" => memory.ranges.get(&start) == Some(&end) && memory.cut(start, end),
            "segment_map" => memory.cut(start, end),
            "segment_free" => memory.is_clear(start, end) && memory.put(start, end),
            "segment_unmap" => memory.is_clear(start, end) && memory.join(start, end),
            "free" => memory.around(start).is_some(),
            _ => true,
        }
    });
    let mut kept: Vec<_> = backwards.collect();
    kept.reverse();
    kept
}

/// Stretches of addresses with memory behind them, each by its start with its end.
#[derive(Default)]
struct Memory {
    ranges: BTreeMap<u64, u64>,
}

impl Memory {
    /// The stretch that holds an address.
    fn around(&self, address: u64) -> Option<(u64, u64)> {
        let (&start, &end) = self.ranges.range(..=address).next_back()?;
        (address < end).then_some((start, end))
    }

    fn is_clear(&self, start: u64, end: u64) -> bool {
        let below = self.ranges.range(..end).next_back();
        start < end && below.is_none_or(|(_, &end_below)| end_below <= start)
    }

    /// There is no memory any more from `start` to `end`. False if there was not.
    fn cut(&mut self, start: u64, end: u64) -> bool {
        let Some((first, last)) =
            self.around(start).filter(|&(_, last)| start < end && end <= last)
        else {
            return false;
        };
        self.ranges.remove(&first);
        for (from, to) in [(first, start), (end, last)] {
            if from < to {
                self.ranges.insert(from, to);
            }
        }
        true
    }

    fn put(&mut self, start: u64, end: u64) -> bool {
        self.ranges.insert(start, end).is_none()
    }

    /// There is memory from `start` to `end`, as one with what it touches.
    fn join(&mut self, mut start: u64, mut end: u64) -> bool {
        if let Some((&below, _)) = self.ranges.range(..start).next_back().filter(|r| *r.1 == start)
        {
            self.ranges.remove(&below);
            start = below;
        }
        if let Some(above) = self.ranges.remove(&end) {
            end = above;
        }
        self.put(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(action: &'static str, address: u64, bytes: u64) -> EventLine {
        (action.into(), 0, address, bytes, 0)
    }

    fn segment(address: u64, bytes: u64) -> Segment {
        Segment { device: 0, address, bytes, expandable: true, blocks: Vec::new() }
    }

    #[test]
    fn what_leads_to_the_segments_stays() {
        let events = [
            line("segment_map", 0, 8),
            line("segment_map", 8, 8),
            line("alloc", 2, 10),
            line("free", 2, 10),
            line("segment_unmap", 0, 8),
            line("segment_map", 16, 8),
            line("segment_alloc", 100, 10),
            line("alloc", 100, 10),
            line("segment_alloc", 110, 10),
            line("free", 100, 10),
            line("segment_free", 100, 10),
            line("oom", 0, 1 << 40),
        ];
        let segments = [segment(8, 16), segment(110, 10)];
        assert_eq!(consistent(&segments, &events), events.iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_have_been_goes() {
        let events = [
            line("segment_map", 64, 8),  // is not there, nor was it unmapped
            line("free", 64, 8),         // in no memory
            line("segment_unmap", 4, 8), // is there
            line("segment_map", 4, 8),   // only in part
            line("segment_alloc", 0, 4), // a part of a larger one
            line("segment_free", 7, 1),  // is there
            line("segment_map", 0, 0),   // nothing
            line("segment_map", u64::MAX, 2),
        ];
        assert!(consistent(&[segment(0, 8)], &events).is_empty());
    }
}
