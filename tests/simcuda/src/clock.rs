//! Vector clocks: what has been ordered before what.
//!
//! A *timeline* is a sequence of operations, each of which runs after the one before: a stream,
//! or a branch of a graph. A clock says, for each timeline, up to which operation everything is
//! ordered before the clock's owner. One structure serves three ends: an operation may run when
//! everything in its clock has completed; an event has completed when its clock has; and two
//! operations are in order if, and only if, one is in the other's clock.

use std::collections::BTreeMap;

/// Names a timeline. Never used again for another.
pub type TimelineId = u64;

/// For each timeline, the number of its last operation that is ordered before.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Clock(BTreeMap<TimelineId, u64>);

impl Clock {
    /// Adds one operation, and with it all earlier ones of its timeline.
    pub fn add(&mut self, timeline: TimelineId, sequence: u64) {
        let known = self.0.entry(timeline).or_default();
        *known = sequence.max(*known);
    }

    /// Adds all that another clock contains.
    pub fn join(&mut self, other: &Clock) {
        for (&timeline, &sequence) in &other.0 {
            self.add(timeline, sequence);
        }
    }

    /// The operation is ordered before this clock's owner.
    pub fn contains(&self, timeline: TimelineId, sequence: u64) -> bool {
        self.0.get(&timeline).is_some_and(|&known| sequence <= known)
    }

    /// The last operation of each timeline.
    pub fn entries(&self) -> impl Iterator<Item = (TimelineId, u64)> {
        self.0.iter().map(|(&timeline, &sequence)| (timeline, sequence))
    }

    /// Forgets the entries that `needed` declines.
    pub fn retain(&mut self, mut needed: impl FnMut(TimelineId, u64) -> bool) {
        self.0.retain(|&timeline, &mut sequence| needed(timeline, sequence));
    }

    /// Forgets a whole timeline.
    pub fn forget(&mut self, timeline: TimelineId) {
        self.0.remove(&timeline);
    }
}
