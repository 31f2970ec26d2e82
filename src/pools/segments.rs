//! The memory of the pools, block by block.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Pools;
use crate::backing::{Holder, Piece};
use crate::config::SnapshotFile;
use crate::driver::{DevicePtr, Driver};
use crate::files::Target;
use crate::pool::Pool;
use crate::report::ProcessFacts;
use crate::snapshot;

/// Memory that was taken from the driver in one stretch of addresses. Sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The device's ordinal.
    pub device: i32,
    /// Where it begins.
    pub address: u64,
    /// How large it is: the sum of its blocks.
    pub bytes: u64,
    /// Whether it can grow and shrink.
    pub expandable: bool,
    /// What it consists of, by address and without gaps.
    pub blocks: Vec<Block>,
}

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Where it begins.
    pub address: u64,
    /// Its size.
    pub bytes: u64,
    /// What the program asked for; 0 unless it holds the block.
    pub requested: u64,
    /// Whose it is.
    pub state: State,
}

/// Whose a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The program's.
    Allocated,
    /// Nobody's yet: freed during a capture, on its way elsewhere, or within others' reach.
    Waiting,
    /// Nobody's: what a flush could give back.
    Idle,
}

impl<D: Driver> Pools<D> {
    /// All memory of the pools, by context and address. Takes some time, and holds up allocations
    /// that go to the backing meanwhile. Blocks that change hands meanwhile are shown in one state or
    /// the other.
    pub fn segments(&self) -> Vec<Segment> {
        let pools = self.table.all();
        pools.iter().flat_map(|pool| self.segments_of(pool)).collect()
    }

    fn segments_of(&self, pool: &Pool<D>) -> Vec<Segment> {
        let segments = pool.backing().segments().into_iter().map(|segment| Segment {
            device: pool.device.0,
            address: segment.ptr.0,
            bytes: segment.bytes,
            expandable: segment.expandable,
            blocks: segment.pieces.iter().map(|piece| self.block(pool, piece)).collect(),
        });
        segments.collect()
    }

    fn block(&self, pool: &Pool<D>, piece: &Piece) -> Block {
        let Piece { ptr: DevicePtr(address), bytes, holder } = *piece;
        let block = |state, requested| Block { address, bytes, requested, state };
        match holder {
            Holder::Idle => block(State::Idle, 0),
            Holder::Waiting => block(State::Waiting, 0),
            // What stands in front of the backing is nobody's.
            Holder::Block(token) => match self.blocks.get(piece.ptr) {
                Some(entry) if entry.pool() == pool.number && entry.token() == token.0 => {
                    block(State::Allocated, pool.requested(token).min(bytes))
                }
                _ => block(State::Idle, 0),
            },
        }
    }

    /// Writes a memory snapshot if the options ask for it: an allocation has failed.
    #[cold]
    pub(super) fn snapshot_out_of_memory(&self) {
        let Some(place) = &self.snapshots.place else { return };
        let Some(sequence) = self.snapshots.next() else { return };
        let text = snapshot::json(self, &place.facts, "out_of_memory");
        match place.target.replace(text.as_bytes(), &place.facts, sequence) {
            Ok(path) => tracing::info!(path = %path.display(), "memory snapshot written"),
            Err(error) => tracing::warn!("no memory snapshot: {error}"),
        }
    }
}

/// Where memory is written down for lack of it, and when that was.
pub(super) struct Snapshots {
    place: Option<Place>,
    /// How many there were, and when the last one was.
    last: Mutex<(u64, Option<Instant>)>,
}

struct Place {
    target: Target,
    facts: ProcessFacts,
}

impl Snapshots {
    /// A program may look for how much memory there is by allocations that fail.
    const PAUSE: Duration = Duration::from_secs(10);

    pub(super) fn new(choice: &SnapshotFile) -> Self {
        let place = match choice {
            SnapshotFile::Off => None,
            SnapshotFile::At(path) => Some(Place {
                target: Target::snapshot(path),
                facts: ProcessFacts::of_this_process(),
            }),
        };
        Self { place, last: Mutex::default() }
    }

    /// The number of the next one; `None` so soon after the last.
    fn next(&self) -> Option<u64> {
        // Whoever is just writing one shows what is to be shown.
        let mut last = self.last.try_lock()?;
        let (count, at) = *last;
        if at.is_some_and(|at| at.elapsed() < Self::PAUSE) {
            return None;
        }
        *last = (count + 1, Some(Instant::now()));
        Some(count)
    }
}
