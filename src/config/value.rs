//! How a value is read and shown, and the values that are numbers.

use std::time::Duration;

use tracing::Level;

/// The type of an option.
pub(super) trait Value: Sized {
    /// What can be written, for the help and for the cure in a warning.
    const FORM: &'static str;

    /// Reads a value without blanks around it; the error says in a few words what is wrong.
    /// `testing` admits what exists for tests alone.
    fn parse(text: &str, testing: bool) -> Result<Self, &'static str>;

    /// The text that parses to this value.
    fn show(&self) -> String;
}

/// Reads a value. `none` and `off` are the same wherever either is one: nobody should have to look up
/// which option says it by which word.
pub(super) fn parse<T: Value>(text: &str, testing: bool) -> Result<T, &'static str> {
    let same = match text {
        _ if text.eq_ignore_ascii_case("none") => "off",
        _ if text.eq_ignore_ascii_case("off") => "none",
        _ => return T::parse(text, testing),
    };
    T::parse(text, testing).or_else(|why| T::parse(same, testing).map_err(|_| why))
}

impl Value for bool {
    const FORM: &'static str = "true|false (1|0, yes|no, on|off)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "0" | "false" | "no" | "off" => Ok(false),
            _ => Err("neither true nor false"),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A bound on an amount of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// That many bytes.
    Bytes(u64),
    /// That part of a device's memory, in percent from 0 to 100.
    Percent(f64),
    /// No bound.
    None,
}

impl Limit {
    /// The bound in bytes on a device of `total` bytes.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            // The cast rounds towards zero; no memory is large enough for the 53 bits to matter.
            Self::Percent(percent) => ((total as f64 * percent / 100.0) as u64).min(total),
            Self::None => u64::MAX,
        }
    }
}

impl Limit {
    /// The least in bytes that is asked for on a device of `total` bytes; `none` asks for nothing.
    pub fn least_of(self, total: u64) -> u64 {
        if self == Self::None { 0 } else { self.of(total) }
    }
}

impl Value for Limit {
    const FORM: &'static str = "SIZE (64K, 2GiB)|PERCENT%|none";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        match text.strip_suffix('%') {
            Some(number) => match number.trim_end().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => {
                    // Turns -0.0, which is in the range, into what it means.
                    Ok(Self::Percent(percent.abs()))
                }
                _ => Err("not a percentage from 0 to 100"),
            },
            None => bytes(text).map(Self::Bytes),
        }
    }

    fn show(&self) -> String {
        match *self {
            Self::Bytes(bytes) => scaled(bytes, SIZES),
            Self::Percent(percent) => format!("{percent}%"),
            Self::None => "none".to_owned(),
        }
    }
}

impl Value for Option<Duration> {
    const FORM: &'static str = "DURATION (500ms, 10s, 5m, 1h)|none";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        /// More often would do little else.
        const SHORTEST_MS: u64 = 10;

        if text.eq_ignore_ascii_case("none") {
            return Ok(None);
        }
        let (number, unit) = split(text).ok_or("not a duration")?;
        let scale = scale(unit, DURATIONS).ok_or("a duration needs its unit")?;
        let ms = number.checked_mul(scale).ok_or("too long")?;
        if ms < SHORTEST_MS {
            return Err("shorter than 10ms");
        }
        Ok(Some(Duration::from_millis(ms)))
    }

    fn show(&self) -> String {
        match self {
            // No option is longer than a u64 of milliseconds: they are read from one.
            Some(duration) => scaled(duration.as_millis() as u64, DURATIONS),
            None => "none".to_owned(),
        }
    }
}

impl Value for Duration {
    const FORM: &'static str = "DURATION (500ms, 10s, 5m, 1h)";

    fn parse(text: &str, testing: bool) -> Result<Self, &'static str> {
        Option::parse(text, testing)?.ok_or("not a duration")
    }

    fn show(&self) -> String {
        Some(*self).show()
    }
}

/// How long something lasts, if it ever ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Until so much time is over; none at all, if that is zero.
    For(Duration),
    /// For ever.
    Unlimited,
}

impl Value for Span {
    const FORM: &'static str = "DURATION (500ms, 10s, 5m, 1h)|0|off";

    fn parse(text: &str, testing: bool) -> Result<Self, &'static str> {
        match text {
            "0" => Ok(Self::For(Duration::ZERO)),
            _ if text.eq_ignore_ascii_case("off") => Ok(Self::Unlimited),
            _ => Ok(Option::parse(text, testing)?.map_or(Self::Unlimited, Self::For)),
        }
    }

    fn show(&self) -> String {
        match *self {
            Self::For(Duration::ZERO) => "0".to_owned(),
            Self::For(duration) => Some(duration).show(),
            Self::Unlimited => "off".to_owned(),
        }
    }
}

impl Value for Option<Level> {
    const FORM: &'static str = "error|warn|info|debug|none";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        match text.to_ascii_lowercase().as_str() {
            "none" | "off" => Ok(None),
            "error" => Ok(Some(Level::ERROR)),
            "warn" => Ok(Some(Level::WARN)),
            "info" => Ok(Some(Level::INFO)),
            "debug" => Ok(Some(Level::DEBUG)),
            _ => Err("not a level"),
        }
    }

    fn show(&self) -> String {
        self.map_or("none".to_owned(), |level| level.as_str().to_ascii_lowercase())
    }
}

/// Units in lower case and what they stand for, the smallest first; the first name of each amount
/// is the one that is shown.
type Units = &'static [(&'static str, u64)];

const SIZES: Units = &[
    ("", 1),
    ("b", 1),
    ("KiB", 1 << 10),
    ("k", 1 << 10),
    ("kb", 1 << 10),
    ("MiB", 1 << 20),
    ("m", 1 << 20),
    ("mb", 1 << 20),
    ("GiB", 1 << 30),
    ("g", 1 << 30),
    ("gb", 1 << 30),
    ("TiB", 1 << 40),
    ("t", 1 << 40),
    ("tb", 1 << 40),
];

/// In milliseconds.
const DURATIONS: Units = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// A size in bytes; every unit is a power of 1024.
fn bytes(text: &str) -> Result<u64, &'static str> {
    let (number, unit) = split(text).ok_or("not a size")?;
    let scale = scale(unit, SIZES).ok_or("not a unit of size")?;
    number.checked_mul(scale).ok_or("too large")
}

/// A whole number and the unit behind it.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim_start()))
}

fn scale(unit: &str, units: Units) -> Option<u64> {
    units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, scale)| *scale)
}

/// The amount in the largest unit that divides it.
fn scaled(amount: u64, units: Units) -> String {
    let mut best = units[0];
    for unit in units {
        if amount != 0 && amount.is_multiple_of(unit.1) && unit.1 > best.1 {
            best = *unit;
        }
    }
    format!("{}{}", amount / best.1, best.0)
}
