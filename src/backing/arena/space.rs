//! A range of addresses, cut into spans.
//!
//! Pure bookkeeping in units of one size: who calls knows what a unit is. Every unit belongs to
//! exactly one span; two free spans never touch, nor do two holes.

mod fits;
mod spans;

use std::ops::Range;

use self::fits::Fits;
use self::spans::{Extent, Spans};
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
    units: u32,
    spans: Spans,
    /// Free spans, each with its stamp, and holes.
    free: Fits<Stamp>,
    holes: Fits<()>,
}

impl Space {
    /// `units` units with nothing behind them.
    pub(super) fn new(units: u32) -> Self {
        let mut space =
            Self { units, spans: Spans::new(units), free: Fits::default(), holes: Fits::default() };
        if units > 0 {
            space.insert(0, Span { units, state: State::Hole, stamp: Stamp::QUIESCED });
        }
        space
    }

    /// The best fitting free span for `units` that is ordered behind `horizon` at the latest: the
    /// smallest, and of several the one with the lowest address.
    pub(super) fn best_fit(&self, units: u32, horizon: Stamp) -> Option<(u32, Span)> {
        let (units, at, stamp) = self.free.from(units).find(|&(_, _, stamp)| stamp <= horizon)?;
        Some((at, Span { units, state: State::Free, stamp }))
    }

    /// The free spans of less than `units` units, largest first.
    pub(super) fn free_below(&self, units: u32) -> impl Iterator<Item = (u32, Span)> {
        let spans = self.free.below(units);
        spans.map(|(units, at, stamp)| (at, Span { units, state: State::Free, stamp }))
    }

    /// The lowest hole of at least `units` units, of `looks` that fit best.
    pub(super) fn lowest_hole(&self, units: u32, looks: usize) -> Option<u32> {
        self.holes.from(units).take(looks).map(|(_, at, ())| at).min()
    }

    /// The largest hole.
    pub(super) fn largest_hole(&self) -> Option<(u32, Span)> {
        let (units, at, ()) = self.holes.last()?;
        Some((at, Span { units, state: State::Hole, stamp: Stamp::QUIESCED }))
    }

    /// The span that a unit belongs to, and its start.
    #[inline]
    pub(super) fn around(&self, unit: u32) -> Option<(u32, Span)> {
        let (at, extent) = self.spans.last_until(unit).filter(|_| unit < self.units)?;
        Some((at, self.span(at, extent)))
    }

    /// The span that ends where another starts.
    pub(super) fn before(&self, at: u32) -> Option<(u32, Span)> {
        self.around(at.checked_sub(1)?)
    }

    fn span(&self, at: u32, Extent { units, state }: Extent) -> Span {
        let stamp = match state {
            State::Free => self.free.get(units, at).unwrap_or(Stamp::QUIESCED),
            State::Hole | State::Used(_) | State::Busy => Stamp::QUIESCED,
        };
        Span { units, state, stamp }
    }

    /// The spans that lie in `range`, cut to it, by address.
    pub(super) fn within(&self, range: Range<u32>) -> impl Iterator<Item = (Range<u32>, State)> {
        let end = range.end.min(self.units);
        let mut at = range.start;
        std::iter::from_fn(move || {
            let (start, extent) = self.spans.last_until(at).filter(|_| at < end)?;
            let span = at..(start + extent.units).min(end);
            at = span.end;
            Some((span, extent.state))
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
            if let Some(after) = self.spans.get(end).map(|extent| self.span(end, extent))
                && after.state == span.state
            {
                self.remove(end, after);
                span.units += after.units;
                span.stamp = span.stamp.max(after.stamp);
            }
        }
        self.insert(at, span);
    }

    fn insert(&mut self, at: u32, Span { units, state, stamp }: Span) {
        self.spans.insert(at, Extent { units, state });
        match state {
            State::Free => self.free.insert(units, at, stamp),
            State::Hole => self.holes.insert(units, at, ()),
            State::Used(_) | State::Busy => {}
        }
    }

    fn remove(&mut self, at: u32, span: Span) {
        self.spans.remove(at);
        match span.state {
            State::Free => self.free.remove(span.units, at),
            State::Hole => self.holes.remove(span.units, at),
            State::Used(_) | State::Busy => {}
        }
    }

    /// Every span with its start, by address.
    #[cfg(test)]
    pub(super) fn spans(&self) -> impl Iterator<Item = (u32, Span)> {
        let starts = self.within(0..self.units).map(|(range, _)| range.start);
        starts.filter_map(|start| self.around(start))
    }
}
