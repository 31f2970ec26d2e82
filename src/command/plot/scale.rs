//! Where values lie, and which of them have a label.

/// A linear scale from 0 to `most`, drawn from `start` to `end`.
pub struct Scale {
    /// The largest value.
    pub most: f64,
    /// Where 0 is.
    pub start: f64,
    /// Where the largest value is.
    pub end: f64,
}

impl Scale {
    /// Where a value is.
    pub fn at(&self, value: f64) -> f64 {
        self.start + (self.end - self.start) * (value / self.most).clamp(0.0, 1.0)
    }
}

/// Values from 0 to `most` bytes that have a label: at most six, multiples of a power of two.
pub fn byte_ticks(most: f64) -> Vec<(f64, String)> {
    let mut step = 1.0;
    while most / step > 5.0 {
        step *= 2.0;
    }
    let count = (most / step) as u64;
    (0..=count).map(|n| n as f64 * step).map(|at| (at, size(at as u64))).collect()
}

/// A round size, without digits that say nothing.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = (bytes.checked_ilog2().unwrap_or(0) / 10) as usize;
    let unit = unit.min(UNITS.len() - 1);
    let value = format!("{:.2}", bytes as f64 / (1_u64 << (10 * unit)) as f64);
    format!("{} {}", value.trim_end_matches('0').trim_end_matches('.'), UNITS[unit])
}

/// Values from 0 to `most` seconds that have a label: at most ten, multiples of 1, 2 or 5.
pub fn time_ticks(most: f64) -> Vec<(f64, String)> {
    let mut step = 1e-6;
    for factor in [2.0, 2.5, 2.0].into_iter().cycle() {
        if most / step <= 10.0 {
            break;
        }
        step *= factor;
    }
    let count = (most / step + 1e-9) as u64;
    (0..=count).map(|n| n as f64 * step).map(|at| (at, seconds(at))).collect()
}

/// A time for people, without digits that say nothing.
pub fn seconds(at: f64) -> String {
    let trimmed = |value: f64, unit: &str| {
        let text = format!("{value:.3}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text} {unit}")
    };
    match at {
        0.0 => "0".to_owned(),
        at if at < 1e-3 => trimmed(at * 1e6, "µs"),
        at if at < 1.0 => trimmed(at * 1e3, "ms"),
        at if at < 600.0 => trimmed(at, "s"),
        at if at < 36_000.0 => trimmed(at / 60.0, "min"),
        at => trimmed(at / 3600.0, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_round() {
        for most in [1.0, 700.0, 3e9, 1.4e11] {
            let ticks = byte_ticks(most);
            assert!((2..=6).contains(&ticks.len()), "{most}: {ticks:?}");
        }
        for most in [3e-6, 0.02, 1.0, 7.0, 100.0, 90_000.0] {
            let ticks = time_ticks(most);
            assert!((4..=11).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(ticks.iter().all(|tick| tick.0 <= most * 1.001), "{most}: {ticks:?}");
        }
        assert_eq!(size(5 << 28), "1.25 GiB");
        assert_eq!(size(0), "0 B");
        assert_eq!(seconds(0.0025), "2.5 ms");
        assert_eq!(seconds(1200.0), "20 min");
    }
}
