//! The picture of a series of stats files of one process.

use std::path::PathBuf;

use serde_json::Value;

use super::picture::{Chart, Content, Mark, MarkKind, Picture, Sample, Timeline};
use crate::command::units::bytes;

/// The picture of these stats files, each with its path.
///
/// # Errors
/// One line with what to do.
pub fn picture(mut files: Vec<(PathBuf, Value)>) -> Result<Picture, String> {
    let number = |value: &Value, at: &str| value.pointer(at).and_then(Value::as_f64);
    files.sort_by(|a, b| {
        let time = |file: &(PathBuf, Value)| number(&file.1, "/time").unwrap_or(0.0);
        time(a).total_cmp(&time(b))
    });
    let ids: Vec<_> = files.iter().map(|file| file.1.pointer("/pid").cloned()).collect();
    if let Some(other) = ids.iter().position(|id| *id != ids[0]) {
        return Err(format!(
            "{}: of another process than {}; plot each by itself",
            files[other].0.display(),
            files[0].0.display()
        ));
    }
    let start = number(&files[0].1, "/time").unwrap_or(0.0);
    let last = &files[files.len() - 1].1;
    let devices = last.pointer("/devices").and_then(Value::as_array).map_or(0, Vec::len);
    if devices == 0 {
        return Err(format!(
            "{}: the process has not used a device yet; plot later files",
            files[files.len() - 1].0.display()
        ));
    }
    let charts = (0..devices).map(|device| {
        let name = last.pointer(&format!("/devices/{device}/name")).and_then(Value::as_str);
        let ordinal = number(last, &format!("/devices/{device}/device")).unwrap_or(0.0);
        Chart {
            heading: format!("GPU {ordinal}: {}", name.unwrap_or_default()),
            note: format!("{} stats files", files.len()),
            content: Content::Timeline(timeline(&files, device, start)),
        }
    });
    let charts = charts.collect();
    let sum = |at: &str| -> f64 {
        (0..devices).filter_map(|d| number(last, &format!("/devices/{d}{at}"))).sum()
    };
    let hits = sum("/hits");
    let facts = vec![
        ("allocated at most", bytes(sum("/allocated_bytes/peak") as u64)),
        ("reserved at most", bytes(sum("/reserved_bytes/peak") as u64)),
        ("idle at last", bytes(sum("/idle_bytes") as u64)),
        ("allocations", format!("{}", sum("/allocation/allocated"))),
        ("hit rate", format!("{:.2} %", 100.0 * hits / (hits + sum("/misses")).max(1.0))),
        ("failed", format!("{}", sum("/num_ooms"))),
    ];
    let executable = last.pointer("/executable").and_then(Value::as_str).unwrap_or_default();
    let executable = executable.rsplit('/').next().unwrap_or_default();
    let pid = last.pointer("/pid").and_then(Value::as_u64).unwrap_or(0);
    let version = last.pointer("/version").and_then(Value::as_str).unwrap_or("?");
    let source = format!("stats files, cupool {version}");
    Ok(Picture { title: format!("{executable} · pid {pid}"), source, facts, charts })
}

fn timeline(files: &[(PathBuf, Value)], device: usize, start: f64) -> Timeline {
    let mut timeline = Timeline { knows_reserved: true, ..Timeline::default() };
    let mut flushed = start;
    let mut failed = None;
    for (_, file) in files {
        let real = |at: &str| file.pointer(at).and_then(Value::as_f64);
        let whole = |at: &str| {
            file.pointer(&format!("/devices/{device}{at}")).and_then(Value::as_u64).unwrap_or(0)
        };
        let seconds = real("/time").unwrap_or(start) - start;
        timeline.samples.push(Sample {
            seconds,
            allocated: whole("/allocated_bytes/current"),
            reserved: whole("/reserved_bytes/current"),
        });
        for flush in file.pointer("/flushes").and_then(Value::as_array).into_iter().flatten() {
            let number = |key: &str| flush.get(key).and_then(Value::as_f64).unwrap_or(0.0);
            let time = number("time");
            // Each file tells the last flushes again.
            if time <= flushed {
                continue;
            }
            flushed = time;
            let reason = flush.get("reason").and_then(Value::as_str).unwrap_or("flush");
            let released = number("released_bytes") + number("released_later_bytes");
            let text = format!("flush ({reason}): {} given back", bytes(released as u64));
            timeline.marks.push(Mark { seconds: time - start, kind: MarkKind::Flush, text });
        }
        let ooms = whole("/num_ooms");
        if let Some(more) = failed.and_then(|before| ooms.checked_sub(before)).filter(|&n| n > 0) {
            let text =
                format!("{more} allocations failed for lack of memory since the file before");
            timeline.marks.push(Mark { seconds, kind: MarkKind::OutOfMemory, text });
        }
        failed = Some(ooms);
    }
    timeline
}
