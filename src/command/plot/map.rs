//! Segments and blocks at one moment, by address, in rows like text.

use cupool::pools::{Block, Segment, State};

use super::scale::size;
use super::svg::{Anchor, Drawing, WIDTH};
use crate::command::units::bytes;

const LEFT: f64 = 72.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 28.0;
const ROW: f64 = 22.0;
const GAP: f64 = 6.0;
/// A row stands for a power of two of bytes, so that there are at most so many.
const MOST_ROWS: u64 = 24;
/// Blocks that are narrower are drawn together.
const NARROW: f64 = 2.5;
/// How wide those become together.
const TOGETHER: f64 = 5.0;

/// Draws it.
pub fn draw(segments: &[Segment]) -> Drawing {
    let total: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let mut row_bytes = 2 << 20;
    while total.div_ceil(row_bytes) > MOST_ROWS {
        row_bytes *= 2;
    }
    let rows = total.div_ceil(row_bytes).max(1);
    let height = TOP + rows as f64 * (ROW + GAP) + 4.0;
    let drawing = Drawing { height, ..Drawing::default() };
    let mut map = Map { drawing, row_bytes, at: 0, narrow: Narrow::default() };
    for row in 0..rows {
        let y = TOP + row as f64 * (ROW + GAP);
        map.drawing.text(LEFT - 8.0, y + 15.0, Anchor::End, "label", &size(row * row_bytes));
    }
    for (number, segment) in segments.iter().enumerate() {
        if number > 0 {
            map.finish_narrow();
            map.separate();
        }
        for block in &segment.blocks {
            map.add(block);
        }
    }
    map.finish_narrow();
    let mut drawing = map.drawing;
    let entries = [
        ("allocated", "allocated"),
        ("idle", "idle"),
        ("waiting", "waiting"),
        ("segment", "segment begins"),
    ];
    let has = |state| segments.iter().flat_map(|s| &s.blocks).any(|block| block.state == state);
    let entries: Vec<_> = entries
        .into_iter()
        .filter(|&(class, _)| match class {
            "waiting" => has(State::Waiting),
            "segment" => segments.len() > 1,
            _ => true,
        })
        .collect();
    drawing.legend(LEFT, 12.0, &entries);
    drawing
}

/// Blocks that are too narrow to be seen one by one.
#[derive(Default)]
struct Narrow {
    from: u64,
    bytes: u64,
    allocated: u64,
    blocks: u64,
}

struct Map {
    drawing: Drawing,
    row_bytes: u64,
    /// Bytes that are drawn.
    at: u64,
    narrow: Narrow,
}

impl Map {
    fn width_of(&self, bytes: u64) -> f64 {
        bytes as f64 / self.row_bytes as f64 * (RIGHT - LEFT)
    }

    fn add(&mut self, block: &Block) {
        if self.width_of(block.bytes) >= NARROW {
            self.finish_narrow();
            let class = class_of(block.state);
            let tip = tip(block);
            self.bar(self.at, block.bytes, 1.0, class, &tip);
        } else {
            if self.narrow.blocks == 0 {
                self.narrow.from = self.at;
            }
            self.narrow.blocks += 1;
            self.narrow.bytes += block.bytes;
            if block.state == State::Allocated {
                self.narrow.allocated += block.bytes;
            }
        }
        self.at += block.bytes;
        if self.width_of(self.narrow.bytes) >= TOGETHER {
            self.finish_narrow();
        }
    }

    /// Draws what was too narrow alone: filled as high as it is allocated.
    fn finish_narrow(&mut self) {
        let Narrow { from, bytes: size, allocated, blocks } = std::mem::take(&mut self.narrow);
        if blocks == 0 {
            return;
        }
        let tip =
            format!("{blocks} blocks of {}, {} of it allocated", bytes(size), bytes(allocated));
        self.bar(from, size, 1.0, "idle", &tip);
        if allocated > 0 {
            self.bar(from, size, allocated as f64 / size as f64, "allocated", &tip);
        }
    }

    /// A bar on as many rows as it takes, filled up to `share` of its height.
    fn bar(&mut self, from: u64, size: u64, share: f64, class: &str, tip: &str) {
        let (mut at, end) = (from, from + size);
        while at < end {
            let row = at / self.row_bytes;
            let until = end.min((row + 1) * self.row_bytes);
            let x = LEFT + self.width_of(at - row * self.row_bytes);
            let width = self.width_of(until - at);
            // A hair's breadth between neighbours, as far as there is room.
            let hair = if width > 4.0 { 0.8 } else { 0.0 };
            let height = ROW * share;
            let y = TOP + row as f64 * (ROW + GAP) + ROW - height;
            self.drawing.rect([x, y, width - hair, height], class, Some(tip));
            at = until;
        }
    }

    /// A segment begins here.
    fn separate(&mut self) {
        // Where segments are as narrow as blocks there is nothing to separate.
        let row = self.at / self.row_bytes;
        let x = LEFT + self.width_of(self.at - row * self.row_bytes);
        let y = TOP + row as f64 * (ROW + GAP);
        self.drawing.rect([x - 1.2, y - 5.0, 1.8, 5.0], "segment", None);
    }
}

fn class_of(state: State) -> &'static str {
    match state {
        State::Allocated => "allocated",
        State::Waiting => "waiting",
        State::Idle => "idle",
    }
}

fn tip(block: &Block) -> String {
    let Block { address, bytes: amount, requested, state } = *block;
    let size = bytes(amount);
    match state {
        State::Allocated => {
            format!("allocated: {size} at {address:#x}, {} asked for", bytes(requested))
        }
        State::Waiting => format!("waiting: {size} at {address:#x}"),
        State::Idle => format!("idle: {size} at {address:#x}"),
    }
}
