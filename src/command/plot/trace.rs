//! The picture of a trace: what the pool would have done for the program.

use std::path::Path;

use cupool::config::Options;
use cupool::replay::{Settings, play_watched};
use cupool::trace::{Action, Trace};

use super::picture::{Chart, Content, Mark, MarkKind, Picture, Sample, Sizes, Timeline};
use crate::command::units::bytes;

/// Pictures of longer traces have the highest of several calls in each sample.
const SAMPLES: usize = 4000;

/// Plays the trace at `path` twice: to see when most is reserved, and to look at it then.
///
/// # Errors
/// One line with what to do.
pub fn picture(path: &Path) -> Result<Picture, String> {
    let trace = Trace::read(path).map_err(|error| error.to_string())?;
    let name = path.to_string_lossy();
    if trace.events.is_empty() {
        return Err(format!("{name}: nothing is allocated in it; record a program that uses CUDA"));
    }
    // As `cupool replay` shows it.
    let (options, _) = Options::parse("order:fence", false);
    let settings = Settings { options, lag: Settings::LAG, audit: false };
    let mut timeline = Timeline { steps: true, knows_reserved: true, ..Timeline::default() };
    let mut highest = ((0, 0), 0);
    let every = trace.events.len().div_ceil(SAMPLES);
    let figures = play_watched(&name, &trace, &settings, |moment| {
        let reserved = moment.reserved();
        let allocated = reserved.saturating_sub(moment.idle());
        let seconds = moment.micros as f64 / 1e6;
        // The fullest moment: most is reserved, and of that most is allocated.
        if (reserved, allocated) > highest.0 {
            highest = ((reserved, allocated), moment.call);
        }
        if moment.failed {
            let text = "an allocation failed for lack of memory".to_owned();
            timeline.marks.push(Mark { seconds, kind: MarkKind::OutOfMemory, text });
        }
        match timeline.samples.last_mut() {
            Some(last) if !moment.call.is_multiple_of(every) => {
                last.seconds = seconds;
                last.allocated = last.allocated.max(allocated);
                last.reserved = last.reserved.max(reserved);
            }
            _ => timeline.samples.push(Sample { seconds, allocated, reserved }),
        }
    });
    let mut segments = Vec::new();
    play_watched(&name, &trace, &settings, |moment| {
        if moment.call == highest.1 {
            segments = moment.segments();
        }
    });
    let mut sizes = Sizes::default();
    for event in &trace.events {
        if let Action::Allocate { bytes, .. } = event.action {
            sizes.add(bytes);
        }
    }
    let calls = (figures.hits + figures.misses).max(1);
    let facts = vec![
        ("requested at most", bytes(figures.requested_peak_bytes)),
        ("reserved at most", bytes(figures.reserved_peak_bytes)),
        ("reserved / requested", format!("{:.3}", figures.reserved_over_requested)),
        ("allocations", figures.allocations.to_string()),
        ("hit rate", format!("{:.2} %", 100.0 * figures.hits as f64 / calls as f64)),
        ("failed", figures.failed.to_string()),
    ];
    let at = trace.events[highest.1].micros as f64 / 1e6;
    let charts = vec![
        Chart {
            heading: "Memory over time".to_owned(),
            note: "as the pool would serve the program on an H200".to_owned(),
            content: Content::Timeline(timeline),
        },
        Chart {
            heading: "Segments and blocks".to_owned(),
            note: format!("when most was reserved, {} after the start", super::scale::seconds(at)),
            content: Content::Map(segments),
        },
        Chart {
            heading: "Sizes".to_owned(),
            note: "of all allocations, by powers of two".to_owned(),
            content: Content::Sizes(sizes),
        },
    ];
    let title = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Picture { title, source: "a trace, played through the pool".to_owned(), facts, charts })
}
