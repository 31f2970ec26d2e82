//! Who uses which memory, and whether two uses are in order.
//!
//! For every byte that an operation uses, [`Shadow`] remembers the uses that are not yet known to
//! the host as complete. A new operation must be ordered after each of them that it conflicts
//! with; memory that is released must have none. A use is forgotten when the host knows it
//! complete, or when a later use *covers* it: one ordered after it that conflicts with whatever
//! it would have conflicted with. So the memory needed depends on how many ranges and timelines
//! there are, not on how long the program runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::clock::{Clock, TimelineId};

/// How an operation uses memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Conflicts with writes.
    Read,
    /// Conflicts with reads and writes.
    Write,
    /// Atomic changes: in any order among themselves, they conflict with reads and writes.
    Atomic,
    /// A flag that is meant to be changed meanwhile: conflicts with the release of the memory only.
    Poll,
}

impl Access {
    fn conflicts(self, other: Self) -> bool {
        use Access::{Atomic, Poll, Read};
        !matches!((self, other), (Poll, _) | (_, Poll) | (Read, Read) | (Atomic, Atomic))
    }

    /// Whatever conflicts with `other` conflicts with `self` too.
    fn covers(self, other: Self) -> bool {
        self == Access::Write || self == other || other == Access::Poll
    }
}

/// Addresses from `start` up to but not including `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// First address behind.
    pub end: u64,
}

impl Range {
    /// `bytes` bytes from `start`.
    pub fn new(start: u64, bytes: u64) -> Self {
        Self { start, end: start.saturating_add(bytes) }
    }
}

/// One range that an operation uses.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// Where.
    pub range: Range,
    /// How.
    pub access: Access,
}

/// What a report says about an operation.
#[derive(Debug)]
pub struct Operation {
    /// For people: the kernel's or the call's name and arguments.
    pub what: String,
    /// The stream's handle.
    pub stream: usize,
    /// The thread that submitted it.
    pub thread: i32,
    /// Its timeline.
    pub timeline: TimelineId,
    /// Its place there.
    pub sequence: u64,
    /// All that it uses.
    pub touches: Vec<Touch>,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in stream {:#x} from thread {}", self.what, self.stream, self.thread)?;
        for touch in &self.touches {
            let Range { start, end } = touch.range;
            write!(f, ", {:?} {start:#x}..{end:#x}", touch.access)?;
        }
        Ok(())
    }
}

#[derive(Clone)]
struct Use {
    operation: Arc<Operation>,
    access: Access,
}

impl Use {
    fn in_clock(&self, clock: &Clock) -> bool {
        clock.contains(self.operation.timeline, self.operation.sequence)
    }
}

struct Segment {
    end: u64,
    uses: Vec<Use>,
}

/// The uses of memory that matter still, by address.
#[derive(Default)]
pub struct Shadow {
    /// Disjoint, by first address.
    segments: BTreeMap<u64, Segment>,
    sweep_at: usize,
}

impl Shadow {
    /// Checks an operation that runs after `after` against all uses that the host does not
    /// know complete (`host`), and remembers its own.
    pub fn submit(&mut self, operation: &Arc<Operation>, after: &Clock, host: &Clock) {
        self.sweep_now_and_then(host);
        for touch in &operation.touches {
            self.fill(touch.range);
            for (_, segment) in self.segments.range_mut(touch.range.start..touch.range.end) {
                segment.uses.retain(|earlier| !earlier.in_clock(host));
                for earlier in &segment.uses {
                    if touch.access.conflicts(earlier.access)
                        && !earlier.in_clock(after)
                        && !Arc::ptr_eq(&earlier.operation, operation)
                    {
                        report(&[
                            "memory used again by unordered work",
                            &format!("earlier: {}", earlier.operation),
                            &format!("  later: {operation}"),
                        ]);
                    }
                }
                segment.uses.retain(|earlier| {
                    !(earlier.in_clock(after) && touch.access.covers(earlier.access))
                });
                segment.uses.push(Use { operation: Arc::clone(operation), access: touch.access });
            }
        }
    }

    /// Checks that nothing uses memory that `call` is about to release, and forgets about it.
    pub fn release(&mut self, range: Range, call: &str, host: &Clock) {
        self.split(range.start);
        self.split(range.end);
        let keys: Vec<u64> =
            self.segments.range(range.start..range.end).map(|(&start, _)| start).collect();
        for key in keys {
            let segment = self.segments.remove(&key).expect("the key was just read");
            if let Some(earlier) = segment.uses.iter().find(|earlier| !earlier.in_clock(host)) {
                report(&[
                    "memory released while work that the host has not waited for uses it",
                    &format!("earlier: {}", earlier.operation),
                    &format!("  later: {call} of {:#x}..{:#x}", range.start, range.end),
                ]);
            }
        }
    }

    /// Forgets all uses of a range: what comes there next is other memory.
    pub fn forget(&mut self, range: Range) {
        self.split(range.start);
        self.split(range.end);
        while let Some((&start, _)) = self.segments.range(range.start..range.end).next() {
            self.segments.remove(&start);
        }
    }

    /// Makes the segments inside `range` end at its borders and leave no gap.
    fn fill(&mut self, range: Range) {
        self.split(range.start);
        self.split(range.end);
        let mut at = range.start;
        let mut gaps = Vec::new();
        for (&start, segment) in self.segments.range(range.start..range.end) {
            if at < start {
                gaps.push((at, start));
            }
            at = segment.end;
        }
        if at < range.end {
            gaps.push((at, range.end));
        }
        for (start, end) in gaps {
            self.segments.insert(start, Segment { end, uses: Vec::new() });
        }
    }

    /// Makes no segment reach across `address`.
    fn split(&mut self, address: u64) {
        let Some((_, segment)) = self.segments.range_mut(..address).next_back() else { return };
        if segment.end > address {
            let tail = Segment { end: segment.end, uses: segment.uses.clone() };
            segment.end = address;
            self.segments.insert(address, tail);
        }
    }

    /// Keeps the map from growing.
    fn sweep_now_and_then(&mut self, host: &Clock) {
        if self.segments.len() >= self.sweep_at {
            self.sweep(host);
            self.sweep_at = 2 * self.segments.len() + 256;
        }
    }

    /// Drops all that the host knows complete.
    pub fn sweep(&mut self, host: &Clock) {
        self.segments.retain(|_, segment| {
            segment.uses.retain(|earlier| !earlier.in_clock(host));
            !segment.uses.is_empty()
        });
    }
}

/// Tells what is wrong, and ends the process.
pub fn report(lines: &[&str]) -> ! {
    eprintln!("simcuda: HAZARD {}", lines.join("\nsimcuda:   "));
    std::process::abort();
}
