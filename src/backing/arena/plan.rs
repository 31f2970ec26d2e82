//! How a miss is covered: where the missing pages go, and what they are made of.

use std::ops::Range;

use super::handles::{Handle, Handles};
use super::policy::Policy;
use super::space::{Space, Span, State};
use crate::order::Stamp;

/// What is to be mapped for a block, decided under the lock and carried out without it.
#[derive(Debug)]
pub(super) struct Plan {
    /// The pages of the block: the gap, and free memory beside it.
    pub(super) block: Range<u32>,
    /// The pages to be mapped.
    pub(super) gap: Range<u32>,
    /// Wholly free handles that move here, in this order.
    pub(super) moved: Vec<Handle>,
    /// Then fresh handles of so many pages each.
    pub(super) fresh: Vec<u32>,
    /// The fence that must be in place before the block is used.
    pub(super) stamp: Stamp,
}

impl Plan {
    /// The free memory beside the gap that the block takes.
    pub(super) fn kept(&self) -> impl Iterator<Item = Range<u32>> + use<> {
        let below = self.block.start..self.gap.start.min(self.block.end);
        let above = self.gap.end.max(self.block.start)..self.block.end;
        [below, above].into_iter().filter(|range| range.start < range.end)
    }
}

/// What a plan may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Memory that was freed before this fence may be part of the block.
    pub(super) horizon: Stamp,
    /// Memory that was freed before this fence may move.
    pub(super) quiesced: Stamp,
    /// What is reserved now, in pages.
    pub(super) reserved: u64,
    /// What may be reserved before anything moves, in pages.
    pub(super) limit: u64,
}

/// A place for a block.
struct Place {
    /// Its pages, if the gap is as small as can be.
    block: Range<u32>,
    /// The pages that must be mapped.
    gap: Range<u32>,
    /// How far the gap can grow upwards; 0 if what is above is in use.
    room: u32,
    stamp: Stamp,
}

/// Decides where `pages` pages go. `None` if the addresses do not suffice.
pub(super) fn plan(
    space: &Space,
    handles: &Handles,
    policy: &Policy,
    bounds: Bounds,
    pages: u32,
    page_bytes: u64,
) -> Option<(Plan, Vec<u32>)> {
    let place = best_place(space, policy, bounds.horizon, pages)?;
    let missing = place.gap.end - place.gap.start;
    let excess = (bounds.reserved + u64::from(missing)).saturating_sub(bounds.limit);
    let wanted = excess.min(u64::from(missing)) as u32;
    let room = missing + place.room;
    let slots = choose(handles, &place, bounds.quiesced, wanted, room);
    let moved: Vec<Handle> = slots.iter().filter_map(|&slot| handles.get(slot).copied()).collect();
    let mapped: u32 = moved.iter().map(|handle| handle.pages).sum();
    let mut fresh = Vec::new();
    let mut left = missing.saturating_sub(mapped);
    if left > 0 {
        let within = bounds.limit.saturating_sub(bounds.reserved);
        let advance = (bounds.reserved / policy.advance).min(policy.advance_limit / page_bytes);
        let advance = advance.min(within);
        left = left.max(advance as u32).min(room - mapped);
    }
    let largest = (policy.largest / page_bytes).max(1) as u32;
    let total = mapped + left;
    while left > 0 {
        fresh.push(left.min(largest));
        left -= left.min(largest);
    }
    let gap = place.gap.start..place.gap.start + total.max(missing);
    Some((Plan { block: place.block, gap, moved, fresh, stamp: place.stamp }, slots))
}

/// The place where the fewest pages are missing.
fn best_place(space: &Space, policy: &Policy, horizon: Stamp, pages: u32) -> Option<Place> {
    let usable = |neighbour: Option<(u32, Span)>| {
        neighbour.filter(|(_, span)| span.state == State::Free && span.stamp <= horizon)
    };
    let places = space.largest_holes().take(policy.places).filter_map(|(at, hole)| {
        let end = at + hole.units;
        let below = usable(space.before(at)).map(|(_, span)| span);
        let above = usable(space.around(end)).map(|(_, span)| span);
        let units = |span: Option<Span>| span.map_or(0, |span| span.units);
        let stamp = |span: Option<Span>| span.map_or(Stamp::QUIESCED, |span| span.stamp);
        let (left, right) = (units(below).min(pages - 1), units(above).min(pages - 1));
        if hole.units >= pages - left.max(right) {
            Some(if left >= right {
                let missing = pages - left;
                Place {
                    block: at - left..at + missing,
                    gap: at..at + missing,
                    room: hole.units - missing,
                    stamp: stamp(below),
                }
            } else {
                let missing = pages - right;
                let gap = end - missing..end;
                Place { block: gap.start..end + right, gap, room: 0, stamp: stamp(above) }
            })
        } else if left + hole.units + right >= pages {
            let block = at - left..at - left + pages;
            let stamp = stamp(below).max(stamp(above));
            Some(Place { block, gap: at..end, room: 0, stamp })
        } else {
            None
        }
    });
    places.min_by_key(|place| (place.gap.end - place.gap.start, place.block.start))
}

/// Wholly free handles for at least `wanted` pages if there are so many, at most `room`; few, and
/// little more than wanted.
fn choose(handles: &Handles, place: &Place, quiesced: Stamp, wanted: u32, room: u32) -> Vec<u32> {
    let mut chosen = Vec::new();
    if wanted == 0 {
        return chosen;
    }
    let outside =
        |handle: &Handle| handle.at >= place.block.end || handle.range().end <= place.block.start;
    let movable = |handle: &Handle| handle.stamp <= quiesced && outside(handle);
    let mut wanted = wanted;
    let mut room = room;
    // The largest that are too small by themselves, until one more is enough: the smallest such.
    let mut candidates = handles.whole().filter(|(_, handle)| movable(handle)).collect::<Vec<_>>();
    while wanted > 0 {
        candidates.retain(|(_, handle)| handle.pages <= room);
        let enough = candidates.iter().position(|(_, handle)| handle.pages >= wanted);
        let at = match enough {
            Some(at) => at,
            None if candidates.is_empty() => break,
            None => candidates.len() - 1,
        };
        let (slot, handle) = candidates.remove(at);
        chosen.push(slot);
        wanted = wanted.saturating_sub(handle.pages);
        room -= handle.pages;
    }
    chosen
}
