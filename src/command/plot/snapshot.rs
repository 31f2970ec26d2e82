//! The picture of a memory snapshot.

use std::collections::HashMap;
use std::path::Path;

use cupool::pools::State;
use cupool::snapshot::Snapshot;

use super::picture::{Chart, Content, Mark, MarkKind, Picture, Sample, Sizes, Timeline};
use crate::command::{snapshot, units::bytes};

/// Reads the snapshot at `path`.
///
/// # Errors
/// One line with what to do.
pub fn picture(path: &Path) -> Result<Picture, String> {
    let snapshot = snapshot::read(path)?;
    let blocks = || snapshot.segments.iter().flat_map(|segment| &segment.blocks);
    let sum = |state| blocks().filter(|block| block.state == state).map(|block| block.bytes).sum();
    let allocated: u64 = sum(State::Allocated);
    let reserved: u64 = snapshot.segments.iter().map(|segment| segment.bytes).sum();
    let mut sizes = Sizes::default();
    blocks().filter(|block| block.requested > 0).for_each(|block| sizes.add(block.requested));
    let held = blocks().filter(|block| block.state == State::Allocated).count();
    let mut facts = vec![
        ("allocated", bytes(allocated)),
        ("reserved", bytes(reserved)),
        ("idle", bytes(sum(State::Idle))),
        ("blocks", held.to_string()),
        ("segments", snapshot.segments.len().to_string()),
    ];
    if snapshot.reason == "out_of_memory" {
        facts.push(("taken", "out of memory".to_owned()));
    }
    let mut charts = Vec::new();
    if !snapshot.events.is_empty() {
        charts.push(Chart {
            heading: "Memory over time".to_owned(),
            note: format!("the last {} events, as the program asked for it", snapshot.events.len()),
            content: Content::Timeline(timeline(&snapshot)),
        });
    }
    charts.push(Chart {
        heading: "Segments and blocks".to_owned(),
        note: "now, by address".to_owned(),
        content: Content::Map(snapshot.segments.clone()),
    });
    if !sizes.is_empty() {
        charts.push(Chart {
            heading: "Sizes".to_owned(),
            note: "of the blocks that the program holds, by powers of two".to_owned(),
            content: Content::Sizes(sizes),
        });
    }
    let executable = snapshot.executable.rsplit('/').next().unwrap_or_default();
    let (title, source) = match snapshot.version.as_str() {
        "" => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, "memory snapshot of PyTorch".to_owned())
        }
        version => (
            format!("{executable} · pid {}", snapshot.pid),
            format!("memory snapshot, cupool {version}"),
        ),
    };
    Ok(Picture { title, source, facts, charts })
}

/// What the program held and what was reserved, backwards from what is now.
fn timeline(snapshot: &Snapshot) -> Timeline {
    let first = snapshot.events.first().map_or(0, |event| event.4);
    let blocks = snapshot.segments.iter().flat_map(|segment| &segment.blocks);
    let mut reserved: u64 = snapshot.segments.iter().map(|segment| segment.bytes).sum();
    let mut held: u64 = blocks.clone().map(|block| block.requested).sum();
    // A block that came after the map was made is not in it, and the other way round.
    let mut live: HashMap<u64, u64> =
        blocks.filter(|b| b.requested > 0).map(|b| (b.address, b.requested)).collect();
    let mut timeline = Timeline { steps: true, knows_reserved: true, ..Timeline::default() };
    for (action, _, address, size, micros) in snapshot.events.iter().rev() {
        let seconds = micros.saturating_sub(first) as f64 / 1e6;
        let mark = |kind, text| Mark { seconds, kind, text };
        if !matches!(action.as_ref(), "oom" | "flush") {
            timeline.samples.push(Sample {
                seconds,
                allocated: held,
                reserved: reserved.max(held),
            });
        }
        match action.as_ref() {
            "segment_alloc" | "segment_map" => reserved = reserved.saturating_sub(*size),
            "segment_free" | "segment_unmap" => reserved += size,
            "alloc" | "free" => {
                if action == "free" {
                    held += size;
                    live.insert(*address, *size);
                } else if let Some(size) = live.remove(address) {
                    held = held.saturating_sub(size);
                }
            }
            "oom" => timeline
                .marks
                .push(mark(MarkKind::OutOfMemory, format!("no memory for {}", bytes(*size)))),
            _ => timeline
                .marks
                .push(mark(MarkKind::Flush, format!("a flush gave {} back", bytes(*size)))),
        }
    }
    timeline.samples.push(Sample { seconds: 0.0, allocated: held, reserved: reserved.max(held) });
    timeline.samples.reverse();
    timeline.marks.reverse();
    timeline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_is_found_backwards() {
        let snapshot: Snapshot = serde_json::from_str(
            r#"{"memory_snapshot":1,"version":"0","pid":7,"executable":"/x","time":1.0,"reason":"request",
                "options":{},"devices":[],"history":8,"forgotten":3,
                "segments":[{"device":0,"address":512,"bytes":1024,"expandable":false,"blocks":[
                    {"address":512,"bytes":512,"requested":100,"state":"allocated"},
                    {"address":1024,"bytes":512,"requested":0,"state":"idle"}]}],
                "events":[["segment_unmap",0,8192,4096,900000],["free",0,1024,40,1000000],["alloc",0,1024,30,1500000],["alloc",0,512,100,2000000],
                    ["free",0,1024,30,3000000],["oom",0,0,9,4000000],["flush",-1,0,5,5000000]]}"#,
        )
        .expect("a snapshot");
        let timeline = timeline(&snapshot);
        let told: Vec<_> =
            timeline.samples.iter().map(|s| (s.seconds, s.allocated, s.reserved)).collect();
        assert_eq!(
            told,
            [
                (0.0, 40, 5120),
                (0.0, 40, 1024),
                (0.1, 0, 1024),
                (0.6, 30, 1024),
                (1.1, 130, 1024),
                (2.1, 100, 1024)
            ]
        );
        let marks: Vec<_> = timeline.marks.iter().map(|mark| (mark.seconds, mark.kind)).collect();
        assert_eq!(marks, [(3.1, MarkKind::OutOfMemory), (4.1, MarkKind::Flush)]);
    }
}
