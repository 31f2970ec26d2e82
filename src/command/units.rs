//! Numbers for people.

use std::time::Duration;

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// A size as in `1.9 GiB`: three digits at least, four at most.
pub fn bytes(bytes: u64) -> String {
    let (number, unit) = scaled(bytes);
    format!("{number} {}", UNITS[unit])
}

/// The same in at most five characters, as in `1.9G`.
pub fn short_bytes(bytes: u64) -> String {
    let (number, unit) = scaled(bytes);
    format!("{number}{}", &UNITS[unit][..1])
}

fn scaled(bytes: u64) -> (String, usize) {
    let mut value = bytes as f64;
    let mut unit = 0;
    // What would be shown as 1024 of a unit is shown as 1 of the next.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let number =
        if unit == 0 || value >= 99.95 { format!("{value:.0}") } else { format!("{value:.1}") };
    (number, unit)
}

/// A count or a rate in at most five characters, as in `12.3k`.
pub fn count(value: f64) -> String {
    match value {
        _ if value < 9.95 && value.fract() > 0.05 => format!("{value:.1}"),
        _ if value < 9_999.5 => format!("{value:.0}"),
        _ if value < 99_950.0 => format!("{:.1}k", value / 1e3),
        _ if value < 999_500.0 => format!("{:.0}k", value / 1e3),
        _ => format!("{:.1}M", value / 1e6),
    }
}

/// How long something took, as in `41 ms`.
pub fn duration(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-3 => format!("{:.0} µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

/// How long ago something was, in at most four characters, as in `5m`.
pub fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..=99 => format!("{seconds}s"),
        seconds @ 100..=5_999 => format!("{}m", seconds / 60),
        seconds @ 6_000..=359_999 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_few_digits() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (104_857_600, "100 MiB"),
            (2_040_109_465, "1.9 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        assert_eq!(short_bytes(2_040_109_465), "1.9G");
    }

    #[test]
    fn rates_and_ages_are_short() {
        for (rate, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (3.0, "3"),
            (1234.0, "1234"),
            (12_345.0, "12.3k"),
            (2.5e6, "2.5M"),
        ] {
            assert_eq!(count(rate), text);
        }
        for (seconds, text) in [(5, "5s"), (300, "5m"), (7200, "2h"), (864_000, "10d")] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
        assert_eq!(duration(0.0411), "41.1 ms");
    }
}
