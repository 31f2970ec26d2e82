//! Memory over time: what the program holds, and what is idle on top of it.

use std::fmt::Write;

use super::picture::{Mark, MarkKind, Sample, Timeline};
use super::scale::{Scale, byte_ticks, seconds, time_ticks};
use super::svg::{Anchor, Drawing, WIDTH};
use crate::command::units::bytes;

const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 286.0;
const HEIGHT: f64 = 316.0;

/// Draws it.
pub fn draw(timeline: &Timeline) -> Drawing {
    let mut drawing = Drawing { height: HEIGHT, ..Drawing::default() };
    let samples = &timeline.samples;
    let ends = samples.last().map(|sample| sample.seconds);
    let ends = timeline.marks.last().map(|mark| mark.seconds).into_iter().chain(ends);
    let longest = ends.fold(0.0, f64::max).max(1e-6);
    let highest = samples.iter().map(|s| s.reserved.max(s.allocated)).max().unwrap_or(0);
    let time = Scale { most: longest, start: LEFT, end: RIGHT };
    let memory = Scale { most: (highest as f64 * 1.06).max(1024.0), start: BOTTOM, end: TOP };
    axes(&mut drawing, &time, &memory);
    let drawn = thinned(samples, &time);
    let area = |of: fn(&Sample) -> u64| {
        let mut path = line(&drawn, timeline.steps, &time, &memory, of);
        let first = drawn.first().map_or(LEFT, |sample| time.at(sample.seconds));
        let _ = write!(path, "V{BOTTOM:.2}H{first:.2}Z");
        path
    };
    if !drawn.is_empty() {
        if timeline.knows_reserved {
            drawing.path(&area(|s| s.reserved.max(s.allocated)), "idle", None);
        }
        drawing.path(&area(|s| s.allocated), "allocated", None);
        if timeline.knows_reserved {
            let top = line(&drawn, timeline.steps, &time, &memory, |s| s.reserved.max(s.allocated));
            drawing.path(&top, "reserved-line", None);
        }
    }
    for mark in &timeline.marks {
        draw_mark(&mut drawing, mark, time.at(mark.seconds));
    }
    peak(&mut drawing, timeline, &time, &memory);
    legend(&mut drawing, timeline);
    drawing.data = data(&drawn, timeline, &time);
    drawing
}

fn axes(drawing: &mut Drawing, time: &Scale, memory: &Scale) {
    for (value, label) in byte_ticks(memory.most) {
        let y = memory.at(value);
        drawing.line([LEFT, y, RIGHT, y], if value == 0.0 { "axis" } else { "grid" });
        drawing.text(LEFT - 8.0, y + 4.0, Anchor::End, "label", &label);
    }
    for (value, label) in time_ticks(time.most) {
        let x = time.at(value);
        drawing.line([x, BOTTOM, x, BOTTOM + 4.0], "axis");
        let anchor = if x > RIGHT - 20.0 { Anchor::End } else { Anchor::Middle };
        drawing.text(x, BOTTOM + 18.0, anchor, "label", &label);
    }
}

/// The samples that can be told apart: of those in one column the highest of each kind, at the place
/// of the last.
fn thinned(samples: &[Sample], time: &Scale) -> Vec<Sample> {
    let mut drawn: Vec<Sample> = Vec::new();
    let mut column = None;
    for sample in samples {
        let at = (time.at(sample.seconds) * 1.25) as i64;
        match drawn.last_mut() {
            Some(last) if column == Some(at) && samples.len() > 2000 => {
                last.seconds = sample.seconds;
                last.allocated = last.allocated.max(sample.allocated);
                last.reserved = last.reserved.max(sample.reserved);
            }
            _ => drawn.push(*sample),
        }
        column = Some(at);
    }
    drawn
}

fn line(
    samples: &[Sample],
    steps: bool,
    time: &Scale,
    memory: &Scale,
    of: fn(&Sample) -> u64,
) -> String {
    let mut path = String::new();
    for (number, sample) in samples.iter().enumerate() {
        let (x, y) = (time.at(sample.seconds), memory.at(of(sample) as f64));
        let _ = match (number, steps) {
            (0, _) => write!(path, "M{x:.2} {y:.2}"),
            (_, true) => write!(path, "H{x:.2}V{y:.2}"),
            (_, false) => write!(path, "L{x:.2} {y:.2}"),
        };
    }
    path
}

/// The highest sample, with its value.
fn peak(drawing: &mut Drawing, timeline: &Timeline, time: &Scale, memory: &Scale) {
    let value = |s: &Sample| if timeline.knows_reserved { s.reserved } else { s.allocated };
    let Some(highest) = timeline.samples.iter().rev().max_by_key(|sample| value(sample)) else {
        return;
    };
    let (x, y) = (time.at(highest.seconds), memory.at(value(highest) as f64));
    let name = if timeline.knows_reserved { "reserved" } else { "allocated" };
    let text = format!("{name} at most: {}", bytes(value(highest)));
    drawing.path(&format!("M{:.2} {y:.2}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z", x - 3.0), "dot", None);
    let (anchor, x) =
        if x > WIDTH / 2.0 { (Anchor::End, x - 8.0) } else { (Anchor::Start, x + 8.0) };
    drawing.text(x, y - 6.0, anchor, "value", &text);
}

fn draw_mark(drawing: &mut Drawing, mark: &Mark, x: f64) {
    let class = class_of(mark.kind);
    drawing.line([x, TOP - 2.0, x, BOTTOM], &format!("{class}-line"));
    let (left, right) = (x - 5.0, x + 5.0);
    let tip = format!("{} · {}", mark.text, seconds(mark.seconds));
    let top = TOP - 11.0;
    let path = format!("M{left:.2} {top:.2}H{right:.2}L{x:.2} {:.2}Z", TOP - 2.0);
    drawing.path(&path, class, Some(&tip));
}

fn class_of(kind: MarkKind) -> &'static str {
    match kind {
        MarkKind::Flush => "flush",
        MarkKind::OutOfMemory => "oom",
    }
}

fn legend(drawing: &mut Drawing, timeline: &Timeline) {
    let mut entries = vec![("allocated", "allocated")];
    if timeline.knows_reserved {
        entries.push(("idle", "idle (reserved, not allocated)"));
    }
    for (kind, name) in [(MarkKind::Flush, "flush"), (MarkKind::OutOfMemory, "out of memory")] {
        if timeline.marks.iter().any(|mark| mark.kind == kind) {
            entries.push((class_of(kind), name));
        }
    }
    drawing.legend(LEFT, 12.0, &entries);
}

/// For the page's script: x, time and sizes of each sample.
fn data(drawn: &[Sample], timeline: &Timeline, time: &Scale) -> String {
    let mut text = String::new();
    for sample in drawn {
        let separator = if text.is_empty() { "" } else { "," };
        let Sample { seconds: at, allocated, reserved } = *sample;
        let x = time.at(at);
        let _ =
            write!(text, "{separator}[{x:.1},&quot;{}&quot;,{allocated},{reserved}]", seconds(at));
    }
    let reserved = u8::from(timeline.knows_reserved);
    let steps = u8::from(timeline.steps);
    format!(
        r#"data-samples="[{text}]" data-reserved="{reserved}" data-steps="{steps}" data-top="{TOP}" data-bottom="{BOTTOM}""#
    )
}
