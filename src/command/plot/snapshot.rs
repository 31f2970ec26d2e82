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
    let source = format!("memory snapshot, cupool {}", snapshot.version);
    Ok(Picture { title: format!("{executable} · pid {}", snapshot.pid), source, facts, charts })
}

/// What the program held, backwards from what it holds now.
fn timeline(snapshot: &Snapshot) -> Timeline {
    let first = snapshot.events.first().map_or(0, |event| event.4);
    let blocks = snapshot.segments.iter().flat_map(|segment| &segment.blocks);
    let mut held: u64 = blocks.clone().map(|block| block.requested).sum();
    // A block that came after the map was made is not in it, and the other way round.
    let mut live: HashMap<u64, u64> =
        blocks.filter(|b| b.requested > 0).map(|b| (b.address, b.requested)).collect();
    let mut timeline = Timeline { steps: true, ..Timeline::default() };
    for (action, _, address, size, micros) in snapshot.events.iter().rev() {
        let seconds = micros.saturating_sub(first) as f64 / 1e6;
        let mark = |kind, text| Mark { seconds, kind, text };
        match action.as_ref() {
            "alloc" | "free" => {
                timeline.samples.push(Sample { seconds, allocated: held, reserved: 0 });
                if action == "free" {
                    held += size;
                    live.insert(*address, *size);
                } else if let Some(size) = live.remove(address) {
                    held -= size;
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
    timeline.samples.push(Sample { seconds: 0.0, allocated: held, reserved: 0 });
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
                "events":[["free",0,1024,40,1000000],["alloc",0,1024,30,1500000],["alloc",0,512,100,2000000],
                    ["free",0,1024,30,3000000],["oom",0,0,9,4000000],["flush",-1,0,5,5000000]]}"#,
        )
        .expect("a snapshot");
        let timeline = timeline(&snapshot);
        let told: Vec<_> = timeline.samples.iter().map(|s| (s.seconds, s.allocated)).collect();
        assert_eq!(told, [(0.0, 40), (0.0, 0), (0.5, 30), (1.0, 130), (2.0, 100)]);
        let marks: Vec<_> = timeline.marks.iter().map(|mark| (mark.seconds, mark.kind)).collect();
        assert_eq!(marks, [(3.0, MarkKind::OutOfMemory), (4.0, MarkKind::Flush)]);
    }
}
