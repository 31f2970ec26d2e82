//! A snapshot with the keys of `torch.cuda.memory._snapshot()`.

use std::collections::BTreeMap;

use cupool::pools::{Block as Ours, Segment as OurSegment, State};
use cupool::snapshot::{EventLine, Snapshot as Taken};
use serde::Serialize;

/// The whole. Sizes in bytes.
#[derive(Serialize)]
pub struct Snapshot {
    segments: Vec<Segment>,
    /// The events of each device, by its ordinal.
    device_traces: Vec<Vec<Event>>,
    allocator_settings: BTreeMap<String, serde_json::Value>,
}

/// cupool looks at no stack.
type Frames = [(); 0];

#[derive(Serialize)]
struct Segment {
    device: i32,
    address: u64,
    total_size: u64,
    allocated_size: u64,
    active_size: u64,
    requested_size: u64,
    stream: u64,
    segment_type: &'static str,
    segment_pool_id: (u64, u64),
    is_expandable: bool,
    frames: Frames,
    blocks: Vec<Block>,
}

#[derive(Serialize)]
struct Block {
    address: u64,
    size: u64,
    requested_size: u64,
    state: &'static str,
    frames: Frames,
}

#[derive(Serialize)]
struct Event {
    action: &'static str,
    addr: u64,
    size: u64,
    stream: u64,
    time_us: u64,
    /// Of an event `oom` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    device_free: Option<u64>,
    frames: Frames,
}

impl From<&Taken> for Snapshot {
    fn from(taken: &Taken) -> Self {
        let last = taken.events.iter().map(|event| event.1);
        let last = last.chain(taken.segments.iter().map(|segment| segment.device)).max();
        let devices = last.and_then(|last| usize::try_from(last).ok()).map_or(1, |last| last + 1);
        let mut device_traces: Vec<Vec<Event>> = (0..devices).map(|_| Vec::new()).collect();
        for event in &taken.events {
            let trace = usize::try_from(event.1).ok().and_then(|at| device_traces.get_mut(at));
            if let Some(trace) = trace {
                trace.extend(events(event));
            }
        }
        let mut allocator_settings: BTreeMap<_, _> = taken.options.clone().into_iter().collect();
        allocator_settings.insert("cupool".to_owned(), taken.version.clone().into());
        Self {
            segments: taken.segments.iter().map(Segment::from).collect(),
            device_traces,
            allocator_settings,
        }
    }
}

impl From<&OurSegment> for Segment {
    fn from(segment: &OurSegment) -> Self {
        let sum = |of: fn(&Ours) -> u64| segment.blocks.iter().map(of).sum();
        Self {
            device: segment.device,
            address: segment.address,
            total_size: segment.bytes,
            allocated_size: sum(|b| if b.state == State::Allocated { b.bytes } else { 0 }),
            active_size: sum(|b| if b.state == State::Idle { 0 } else { b.bytes }),
            requested_size: sum(|b| b.requested),
            stream: 0,
            segment_type: if segment.bytes <= SMALL { "small" } else { "large" },
            segment_pool_id: (0, 0),
            is_expandable: segment.expandable,
            frames: [],
            blocks: segment.blocks.iter().map(Block::from).collect(),
        }
    }
}

/// The largest segment that PyTorch calls small.
const SMALL: u64 = 2 << 20;

impl From<&Ours> for Block {
    fn from(block: &Ours) -> Self {
        let state = match block.state {
            State::Allocated => "active_allocated",
            State::Waiting => "active_pending_free",
            State::Idle => "inactive",
        };
        let Ours { address, bytes, requested, .. } = *block;
        Self { address, size: bytes, requested_size: requested, state, frames: [] }
    }
}

/// What PyTorch calls an event: a free is asked for and completed. It has no word for a flush.
fn events(line: &EventLine) -> Vec<Event> {
    let &(ref action, _, addr, size, time_us) = line;
    let event = |action, device_free| Event {
        action,
        addr,
        size,
        stream: 0,
        time_us,
        device_free,
        frames: [],
    };
    match action.as_ref() {
        "alloc" => vec![event("alloc", None)],
        "free" => vec![event("free_requested", None), event("free_completed", None)],
        "oom" => vec![event("oom", Some(0))],
        _ => Vec::new(),
    }
}
