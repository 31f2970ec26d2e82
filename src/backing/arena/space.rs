//! A range of addresses, cut into spans.
//!
//! Pure bookkeeping in units of one size: who calls knows what a unit is. Every unit belongs to
//! exactly one span; two free spans never touch, nor do two holes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::order::Stamp;

/// What a span is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Nothing is behind these addresses.
    Hole,
    /// Memory that nobody has.
    Free,
    /// Memory that somebody has: a block with this token.
    Used(u32),
    /// Somebody makes driver calls for it.
    Busy,
}

/// Units with one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    /// How many, never 0.
    pub(super) units: u32,
    /// What they are.
    pub(super) state: State,
    /// The latest fence behind which any of them was freed; of free spans only.
    pub(super) stamp: Stamp,
}

impl Span {
    /// The span's units, where it starts at `at`.
    pub(super) fn range(self, at: u32) -> Range<u32> {
        at..at + self.units
    }
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Space {
    spans: BTreeMap<u32, Span>,
    /// Free spans and holes, as (units, start): the first that is large enough is the best fit, and
    /// of several the one with the lowest address.
    free: BTreeSet<(u32, u32)>,
    holes: BTreeSet<(u32, u32)>,
}

impl Space {
    /// `units` units with nothing behind them.
    pub(super) fn new(units: u32) -> Self {
        let hole = Span { units, state: State::Hole, stamp: Stamp::QUIESCED };
        let spans = (units > 0).then_some((0, hole));
        let holes = (units > 0).then_some((units, 0));
        Self {
            spans: spans.into_iter().collect(),
            free: BTreeSet::new(),
            holes: holes.into_iter().collect(),
        }
    }

    /// The best fitting free span for `units` that is ordered behind `horizon` at the latest.
    pub(super) fn best_fit(&self, units: u32, horizon: Stamp) -> Option<(u32, Span)> {
        let fitting = self.free.range((units, 0)..);
        fitting.map(|&(_, at)| (at, self.spans[&at])).find(|(_, span)| span.stamp <= horizon)
    }

    /// The free spans of less than `units` units, largest first.
    pub(super) fn free_below(&self, units: u32) -> impl Iterator<Item = (u32, Span)> {
        self.free.range(..(units, 0)).rev().map(|&(_, at)| (at, self.spans[&at]))
    }

    /// The lowest hole of at least `units` units.
    pub(super) fn lowest_hole(&self, units: u32) -> Option<u32> {
        self.holes.range((units, 0)..).map(|&(_, at)| at).min()
    }

    /// The largest hole.
    pub(super) fn largest_hole(&self) -> Option<(u32, Span)> {
        self.holes.last().map(|&(_, at)| (at, self.spans[&at]))
    }

    /// The span that a unit belongs to, and its start.
    pub(super) fn around(&self, unit: u32) -> Option<(u32, Span)> {
        let (&at, &span) = self.spans.range(..=unit).next_back()?;
        (unit - at < span.units).then_some((at, span))
    }

    /// The span that ends where another starts.
    pub(super) fn before(&self, at: u32) -> Option<(u32, Span)> {
        self.spans.range(..at).next_back().map(|(&at, &span)| (at, span))
    }

    /// The spans that lie in `range`, cut to it, by address.
    pub(super) fn within(&self, range: Range<u32>) -> impl Iterator<Item = (Range<u32>, State)> {
        let first = self.around(range.start).map_or(range.start, |(at, _)| at);
        self.spans.range(first..range.end).map(move |(&at, span)| {
            let span_range = span.range(at);
            (span_range.start.max(range.start)..span_range.end.min(range.end), span.state)
        })
    }

    /// Makes `range` one span of `state`. The range lies in one span, or in several; whatever of
    /// them is outside stays what it was.
    pub(super) fn set(&mut self, range: Range<u32>, state: State, stamp: Stamp) {
        let mut at = range.start;
        while at < range.end {
            let Some((start, span)) = self.around(at) else { break };
            self.remove(start, span);
            let end = start + span.units;
            if start < range.start {
                self.insert(start, Span { units: range.start - start, ..span });
            }
            if end > range.end {
                self.insert(range.end, Span { units: end - range.end, ..span });
            }
            at = end;
        }
        let units = range.end - range.start;
        self.insert_merged(range.start, Span { units, state, stamp });
    }

    /// Inserts a free span or a hole together with its equal neighbours, anything else as it is.
    fn insert_merged(&mut self, mut at: u32, mut span: Span) {
        if matches!(span.state, State::Free | State::Hole) {
            if let Some((start, before)) = self.before(at)
                && before.state == span.state
            {
                self.remove(start, before);
                at = start;
                span.units += before.units;
                span.stamp = span.stamp.max(before.stamp);
            }
            let end = at + span.units;
            if let Some(&after) = self.spans.get(&end)
                && after.state == span.state
            {
                self.remove(end, after);
                span.units += after.units;
                span.stamp = span.stamp.max(after.stamp);
            }
        }
        self.insert(at, span);
    }

    fn insert(&mut self, at: u32, span: Span) {
        self.spans.insert(at, span);
        match span.state {
            State::Free => drop(self.free.insert((span.units, at))),
            State::Hole => drop(self.holes.insert((span.units, at))),
            State::Used(_) | State::Busy => {}
        }
    }

    fn remove(&mut self, at: u32, span: Span) {
        self.spans.remove(&at);
        match span.state {
            State::Free => drop(self.free.remove(&(span.units, at))),
            State::Hole => drop(self.holes.remove(&(span.units, at))),
            State::Used(_) | State::Busy => {}
        }
    }

    /// Every span with its start, by address.
    #[cfg(test)]
    pub(super) fn spans(&self) -> impl Iterator<Item = (u32, Span)> {
        self.spans.iter().map(|(&at, &span)| (at, span))
    }
}
