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
    /// Its pages.
    block: Range<u32>,
    /// Those of them that must be mapped.
    gap: Range<u32>,
    /// Pages of the hole beyond the gap, which handles that are larger than it can take too.
    spare: Spare,
    /// The fence that must be in place before the others are used.
    stamp: Stamp,
}

/// Where a gap can grow.
enum Spare {
    Above(u32),
    Below(u32),
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
    let (Spare::Above(spare) | Spare::Below(spare)) = place.spare;
    let slots = choose(handles, &place, bounds.quiesced, wanted, missing + spare);
    let moved: Vec<Handle> = slots.iter().filter_map(|&slot| handles.get(slot).copied()).collect();
    let mapped: u32 = moved.iter().map(|handle| handle.pages).sum();
    let over = mapped.saturating_sub(missing);
    let gap = match place.spare {
        Spare::Above(_) => place.gap.start..place.gap.end + over,
        Spare::Below(_) => place.gap.start - over..place.gap.end,
    };
    let mut left = missing.saturating_sub(mapped);
    let largest = ((policy.largest / page_bytes).max(1) as u32).max(left.div_ceil(policy.pieces));
    let mut fresh = Vec::with_capacity(left.div_ceil(largest) as usize);
    while left > 0 {
        fresh.push(left.min(largest));
        left -= left.min(largest);
    }
    Some((Plan { block: place.block, gap, moved, fresh, stamp: place.stamp }, slots))
}

/// The place where the fewest pages are missing: beside the largest free extents, or by itself.
fn best_place(space: &Space, policy: &Policy, horizon: Stamp, pages: u32) -> Option<Place> {
    let missing = |place: &Place| (place.gap.end - place.gap.start, place.block.start);
    let mut best = alone(space, policy, pages);
    let usable = |span: &Span| span.state == State::Free && span.stamp <= horizon;
    for (at, extent) in space.free_below(pages).take(policy.places) {
        if best.as_ref().is_some_and(|best| missing(best).0 < pages - extent.units) {
            // Smaller ones lack more.
            break;
        }
        if usable(&extent) {
            let places =
                [upwards(space, at, extent, &usable, pages), downwards(space, at, extent, pages)];
            best = places.into_iter().flatten().chain(best).min_by_key(missing);
        }
    }
    best
}

/// A place beside nothing: in the lowest hole that is large enough, and in the last and largest one
/// with room for what is below to grow.
fn alone(space: &Space, policy: &Policy, pages: u32) -> Option<Place> {
    let (last, hole) = space.largest_hole()?;
    let mut at = space.lowest_hole(pages, policy.places)?;
    if at == last && at > 0 {
        let room = pages.saturating_mul(policy.room);
        if room <= hole.units - pages {
            at += room;
        }
    }
    let end = at + pages;
    let above = space.around(at).map_or(0, |(start, hole)| start + hole.units - end);
    let spare = Spare::Above(above);
    Some(Place { block: at..end, gap: at..end, spare, stamp: Stamp::QUIESCED })
}

/// `extent`, and what is mapped above it; up to the next free extent and into it, if that is nearer
/// than the block is long.
fn upwards(
    space: &Space,
    at: u32,
    extent: Span,
    usable: &impl Fn(&Span) -> bool,
    pages: u32,
) -> Option<Place> {
    let start = at + extent.units;
    let (_, hole) = space.around(start).filter(|(_, span)| span.state == State::Hole)?;
    let block = at..at + pages;
    let missing = pages - extent.units;
    if missing <= hole.units {
        let spare = Spare::Above(hole.units - missing);
        return Some(Place { block, gap: start..start + missing, spare, stamp: extent.stamp });
    }
    let end = start + hole.units;
    let (_, above) = space.around(end).filter(|(_, span)| usable(span))?;
    let enough = end + above.units >= block.end;
    let stamp = extent.stamp.max(above.stamp);
    enough.then_some(Place { block, gap: start..end, spare: Spare::Above(0), stamp })
}

/// `extent`, and what is mapped below it.
fn downwards(space: &Space, at: u32, extent: Span, pages: u32) -> Option<Place> {
    let (_, hole) = space.before(at).filter(|(_, span)| span.state == State::Hole)?;
    let missing = pages - extent.units;
    let spare = Spare::Below(hole.units.checked_sub(missing)?);
    let gap = at - missing..at;
    Some(Place { block: gap.start..at + extent.units, gap, spare, stamp: extent.stamp })
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
    let movable = |handle: &Handle| handle.stamp <= quiesced && !handle.pinned && outside(handle);
    let mut wanted = wanted;
    let mut room = room;
    // The largest that are too small by themselves, until one more is enough: the smallest such. What
    // does not fit any more never will.
    let mut candidates = handles.whole().filter(|(_, handle)| movable(handle)).collect::<Vec<_>>();
    candidates.sort_unstable_by_key(|&(slot, handle)| (handle.pages, slot));
    while wanted > 0 {
        candidates.truncate(candidates.partition_point(|(_, handle)| handle.pages <= room));
        let enough = candidates.partition_point(|(_, handle)| handle.pages < wanted);
        let at = if enough < candidates.len() { Some(enough) } else { enough.checked_sub(1) };
        let Some(at) = at else { break };
        let (slot, handle) = candidates.remove(at);
        chosen.push(slot);
        wanted = wanted.saturating_sub(handle.pages);
        room -= handle.pages;
    }
    chosen
}
