//! A snapshot with the keys of `torch.cuda.memory._snapshot()`: written, and read again, also where
//! PyTorch itself has written it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cupool::pools::{Block as Ours, Segment as OurSegment, State};
use cupool::snapshot::{EventLine, SCHEMA, Snapshot as Taken};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::consistent::consistent;

/// The whole. Sizes in bytes.
#[derive(Serialize, Deserialize)]
pub struct Snapshot {
    segments: Vec<Segment>,
    /// The events of each device, by its ordinal.
    #[serde(default)]
    device_traces: Vec<Vec<Event>>,
    #[serde(default)]
    allocator_settings: BTreeMap<String, Value>,
    /// Not among PyTorch's.
    #[serde(default)]
    cupool: Option<Origin>,
}

/// Where a snapshot comes from that cupool has taken.
#[derive(Serialize, Deserialize)]
struct Origin {
    version: String,
    pid: u32,
    executable: String,
    reason: String,
    history: u64,
    forgotten: u64,
}

/// cupool looks at no stack, and has no use for what PyTorch saw there.
#[derive(Default)]
struct Frames;

impl Serialize for Frames {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [(); 0].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

#[derive(Serialize, Deserialize)]
struct Segment {
    device: i32,
    address: u64,
    total_size: u64,
    #[serde(default)]
    allocated_size: u64,
    #[serde(default)]
    active_size: u64,
    #[serde(default)]
    requested_size: u64,
    #[serde(default)]
    stream: u64,
    #[serde(default)]
    segment_type: Cow<'static, str>,
    #[serde(default)]
    segment_pool_id: (u64, u64),
    #[serde(default)]
    is_expandable: bool,
    #[serde(default)]
    frames: Frames,
    blocks: Vec<Block>,
}

#[derive(Serialize, Deserialize)]
struct Block {
    /// Old snapshots of PyTorch's leave it to the sizes before.
    #[serde(default)]
    address: Option<u64>,
    size: u64,
    #[serde(default)]
    requested_size: u64,
    state: Cow<'static, str>,
    #[serde(default)]
    frames: Frames,
}

#[derive(Serialize, Deserialize)]
struct Event {
    action: Cow<'static, str>,
    /// PyTorch has none in an event `oom`, and in one `snapshot` 0.
    #[serde(default)]
    addr: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    stream: u64,
    #[serde(default)]
    time_us: u64,
    /// Of an event `oom` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_free: Option<u64>,
    #[serde(default)]
    frames: Frames,
}

impl From<&Taken> for Snapshot {
    fn from(taken: &Taken) -> Self {
        let last = taken.events.iter().map(|event| event.1);
        let last = last.chain(taken.segments.iter().map(|segment| segment.device)).max();
        let devices = last.and_then(|last| usize::try_from(last).ok()).map_or(1, |last| last + 1);
        let mut device_traces: Vec<Vec<Event>> = (0..devices).map(|_| Vec::new()).collect();
        for event in consistent(&taken.segments, &taken.events) {
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
            cupool: Some(Origin {
                version: taken.version.clone(),
                pid: taken.pid,
                executable: taken.executable.clone(),
                reason: taken.reason.clone(),
                history: taken.history,
                forgotten: taken.forgotten,
            }),
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
            segment_type: if segment.bytes <= SMALL { "small" } else { "large" }.into(),
            segment_pool_id: (0, 0),
            is_expandable: segment.expandable,
            frames: Frames,
            blocks: segment.blocks.iter().map(Block::from).collect(),
        }
    }
}

const ALLOCATED: &str = "active_allocated";
const PENDING: &str = "active_pending_free";
const INACTIVE: &str = "inactive";

/// The largest segment that PyTorch calls small.
const SMALL: u64 = 2 << 20;

impl From<&Ours> for Block {
    fn from(block: &Ours) -> Self {
        let state = match block.state {
            State::Allocated => ALLOCATED,
            State::Waiting => PENDING,
            State::Idle => INACTIVE,
        };
        let Ours { address, bytes, requested, .. } = *block;
        Self {
            address: Some(address),
            size: bytes,
            requested_size: requested,
            state: state.into(),
            frames: Frames,
        }
    }
}

/// What PyTorch calls an event: a free is asked for and completed. It has no word for a flush.
fn events(line: &EventLine) -> Vec<Event> {
    let &(ref action, _, addr, size, time_us) = line;
    let event = |action: &str, device_free| Event {
        action: Cow::Owned(action.to_owned()),
        addr,
        size,
        stream: 0,
        time_us,
        device_free,
        frames: Frames,
    };
    match action.as_ref() {
        "free" => vec![event("free_requested", None), event("free_completed", None)],
        "oom" => vec![event("oom", Some(0))],
        "flush" => Vec::new(),
        same => vec![event(same, None)],
    }
}

/// Reads a pickle.
///
/// # Errors
/// Why it is none, or none of a memory snapshot.
pub fn read(pickle: &[u8]) -> Result<Taken, String> {
    let options = serde_pickle::DeOptions::new();
    let snapshot: Snapshot =
        serde_pickle::from_slice(pickle, options).map_err(|error| error.to_string())?;
    Ok(snapshot.taken())
}

impl Snapshot {
    /// In cupool's own form. What is not told there is empty.
    fn taken(self) -> Taken {
        let origin = self.cupool.unwrap_or_else(|| Origin {
            version: String::new(),
            pid: 0,
            executable: String::new(),
            reason: String::new(),
            history: self.device_traces.iter().map(|trace| trace.len() as u64).sum(),
            forgotten: 0,
        });
        let events = self.device_traces.into_iter().zip(0..).flat_map(|(trace, device)| {
            trace.into_iter().filter_map(move |event| event.line(device))
        });
        let mut events: Vec<_> = events.collect();
        // Those of a device are in order already.
        events.sort_by_key(|event| event.4);
        Taken {
            memory_snapshot: SCHEMA,
            version: origin.version,
            pid: origin.pid,
            executable: origin.executable,
            time: 0.0,
            reason: origin.reason,
            options: self.allocator_settings.into_iter().collect(),
            devices: Vec::new(),
            segments: self.segments.into_iter().map(Segment::ours).collect(),
            history: origin.history,
            forgotten: origin.forgotten,
            events,
        }
    }
}

impl Segment {
    fn ours(self) -> OurSegment {
        let mut next = self.address;
        let blocks = self.blocks.into_iter().map(|block| {
            let address = block.address.unwrap_or(next);
            next = address.saturating_add(block.size);
            let state = match block.state.as_ref() {
                ALLOCATED => State::Allocated,
                INACTIVE => State::Idle,
                _ => State::Waiting,
            };
            let requested = match (state, block.requested_size) {
                (State::Allocated, 0) => block.size,
                (State::Allocated, requested) => requested,
                _ => 0,
            };
            Ours { address, bytes: block.size, requested, state }
        });
        OurSegment {
            device: self.device,
            address: self.address,
            bytes: self.total_size,
            expandable: self.is_expandable,
            blocks: blocks.collect(),
        }
    }
}

impl Event {
    /// As one of ours; `None` where there is none of that kind.
    fn line(self, device: i32) -> Option<EventLine> {
        let action = match self.action.as_ref() {
            "free_completed" => Cow::Borrowed("free"),
            "alloc" | "oom" => self.action,
            segment if segment.starts_with("segment_") => self.action,
            _ => return None,
        };
        Some((action, device, self.addr, self.size, self.time_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PyTorch writes it, with stacks and without what older versions do not have.
    #[test]
    fn pytorchs_own_are_read() {
        // pickle.dumps({"segments": [{"device": 0, "address": 4096, "total_size": 3072, "stream": 0,
        //   "blocks": [{"size": 1024, "state": "active_allocated",
        //     "frames": [{"name": "f", "filename": "x.py", "line": 3}]},
        //     {"size": 2048, "requested_size": 7, "state": "inactive"}]}],
        //   "device_traces": [[{"action": "alloc", "addr": 4096, "size": 1000, "stream": 0},
        //     {"action": "snapshot"}, {"action": "free_completed", "addr": 8192, "size": 5}]]},
        //   protocol=4)
        const PICKLE: &[u8] = include_bytes!("torch.pickle");
        let snapshot = read(PICKLE).expect("a snapshot");
        let [segment] = &snapshot.segments[..] else { panic!("{:?}", snapshot.segments) };
        assert_eq!((segment.address, segment.bytes, segment.expandable), (4096, 3072, false));
        let block = |address, bytes, requested, state| Ours { address, bytes, requested, state };
        assert_eq!(
            segment.blocks,
            [block(4096, 1024, 1024, State::Allocated), block(5120, 2048, 0, State::Idle)]
        );
        let actions: Vec<_> = snapshot.events.iter().map(|event| event.0.as_ref()).collect();
        assert_eq!(actions, ["alloc", "free"]);
        assert!(read(b"\x80\x04N.").is_err() && read(b"\x80").is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let taken = Taken {
            memory_snapshot: SCHEMA,
            version: "0.1".to_owned(),
            pid: 7,
            executable: "/x".to_owned(),
            time: 0.0,
            reason: "request".to_owned(),
            options: serde_json::Map::new(),
            devices: Vec::new(),
            segments: vec![OurSegment {
                device: 1,
                address: 512,
                bytes: 1024,
                expandable: true,
                blocks: vec![
                    Ours { address: 512, bytes: 512, requested: 100, state: State::Allocated },
                    Ours { address: 1024, bytes: 512, requested: 0, state: State::Idle },
                ],
            }],
            history: 8,
            forgotten: 3,
            events: vec![
                ("segment_map".into(), 1, 512, 1024, 5),
                ("alloc".into(), 1, 1024, 30, 6),
                ("free".into(), 1, 1024, 30, 7),
                ("oom".into(), 1, 0, 9, 8),
            ],
        };
        let written = Snapshot::from(&taken);
        let pickle = serde_pickle::to_vec(&written, serde_pickle::SerOptions::new()).expect("it");
        let read = read(&pickle).expect("a snapshot");
        assert_eq!((read.pid, &*read.executable, read.forgotten), (7, "/x", 3));
        assert_eq!((&read.segments, &read.events), (&taken.segments, &taken.events));
    }
}
