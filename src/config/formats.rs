//! The values of the options for what other programs read.

use super::value::Value;
use crate::files::check_pattern;

/// Where the Prometheus textfile goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsDirectory {
    /// Nowhere.
    Off,
    /// A directory that exists.
    At(String),
}

impl Value for MetricsDirectory {
    const FORM: &'static str = "none|DIR (without comma or %)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        match text {
            "none" | "off" => Ok(Self::Off),
            "" => Err("an empty path"),
            _ if text.contains('\0') => Err("a path holds no NUL"),
            // The collector looks into one directory: one for each program would be seen by nobody.
            _ if text.contains('%') => Err("a directory without %"),
            _ => Ok(Self::At(text.to_owned())),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "none".to_owned(),
            Self::At(path) => path.clone(),
        }
    }
}

/// Where the memory is written down when there is none left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotFile {
    /// Nowhere.
    Off,
    /// A path with the patterns of [`crate::files`].
    At(String),
}

impl Value for SnapshotFile {
    const FORM: &'static str = "none|PATH (without comma; %p %h %e %t %n %%)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        match text {
            "none" | "off" => Ok(Self::Off),
            "" => Err("an empty path"),
            _ if text.contains('\0') => Err("a path holds no NUL"),
            _ => check_pattern(text).map(|()| Self::At(text.to_owned())),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Off => "none".to_owned(),
            Self::At(path) => path.clone(),
        }
    }
}

/// How many events are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryLength(pub u32);

impl HistoryLength {
    /// Some 40 MB.
    const MOST: u32 = 1_000_000;
}

impl Value for HistoryLength {
    const FORM: &'static str = "none|COUNT (at most 1000000)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        if matches!(text, "none" | "off") {
            return Ok(Self(0));
        }
        match text.parse() {
            Ok(count) if count <= Self::MOST => Ok(Self(count)),
            Ok(_) => Err("more than 1000000"),
            Err(_) => Err("not a number"),
        }
    }

    fn show(&self) -> String {
        match self.0 {
            0 => "none".to_owned(),
            count => count.to_string(),
        }
    }
}
