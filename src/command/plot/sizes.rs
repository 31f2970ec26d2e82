//! How many blocks there are of which size, and how much memory that is.

use super::picture::Sizes;
use super::scale::{Scale, byte_ticks, size};
use super::svg::{Anchor, Drawing, WIDTH};
use crate::command::units::{bytes, count};

const TOP: f64 = 30.0;
const BOTTOM: f64 = 190.0;
const HEIGHT: f64 = 222.0;
const LEFT: f64 = 72.0;
const BETWEEN: f64 = 70.0;

/// Draws both, side by side.
pub fn draw(sizes: &Sizes) -> Drawing {
    let mut drawing = Drawing { height: HEIGHT, ..Drawing::default() };
    let used = |bin: &(u64, u64)| bin.0 > 0;
    let first = sizes.bins.iter().position(used).unwrap_or(0);
    let last = sizes.bins.iter().rposition(used).unwrap_or(0);
    let width = (WIDTH - 14.0 - LEFT - BETWEEN) / 2.0;
    let counts = sizes.bins.map(|bin| bin.0);
    let amounts = sizes.bins.map(|bin| bin.1);
    for (panel, values) in [counts, amounts].into_iter().enumerate() {
        let left = LEFT + panel as f64 * (width + BETWEEN);
        let most = values.iter().copied().max().unwrap_or(0).max(1) as f64 * 1.05;
        let scale = Scale { most, start: BOTTOM, end: TOP };
        let ticks = if panel == 0 { count_ticks(most) } else { byte_ticks(most) };
        for (value, label) in ticks {
            let y = scale.at(value);
            drawing.line([left, y, left + width, y], if value == 0.0 { "axis" } else { "grid" });
            drawing.text(left - 8.0, y + 4.0, Anchor::End, "label", &label);
        }
        let name = if panel == 0 { "how many" } else { "how much memory" };
        drawing.text(left, 12.0, Anchor::Start, "value", name);
        let step = width / (last - first + 1) as f64;
        // A label takes some 50 units.
        let every = (54.0 / step).ceil() as usize;
        for (number, bin) in (first..=last).enumerate() {
            let x = left + number as f64 * step;
            if number % every == 0 {
                drawing.text(x, BOTTOM + 17.0, Anchor::Start, "label", &size(1 << bin));
            }
            let (blocks, amount) = sizes.bins[bin];
            if blocks == 0 {
                continue;
            }
            let tip = format!(
                "{} to {}: {blocks} blocks, {}",
                bytes(1 << bin),
                bytes((2_u64 << bin).wrapping_sub(1)),
                bytes(amount)
            );
            let y = scale.at(values[bin] as f64).min(BOTTOM - 1.0);
            let bar = [x + step * 0.08, y, step * 0.84, BOTTOM - y];
            drawing.rect(bar, "allocated", Some(&tip));
        }
    }
    drawing
}

fn count_ticks(most: f64) -> Vec<(f64, String)> {
    let mut step = 1.0;
    for factor in [2.0, 2.5, 2.0].into_iter().cycle() {
        if most / step <= 5.0 {
            break;
        }
        step *= factor;
    }
    (0..=(most / step) as u64).map(|n| n as f64 * step).map(|at| (at, count(at))).collect()
}
