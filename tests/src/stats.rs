//! A stats file as the tests look at it.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// One stats file.
#[derive(Debug, Clone)]
pub struct Stats(pub Value);

impl Stats {
    /// The file of process `pid` in a run's directory, if it is there.
    ///
    /// # Panics
    /// If it is there but not JSON: the file is replaced as a whole, so no reader ever sees a
    /// part of one.
    pub fn of(directory: &Path, pid: i32) -> Option<Stats> {
        Stats::read(&directory.join(format!("stats-{pid}.json")))
    }

    /// The file at `path`, if it is there.
    ///
    /// # Panics
    /// As [`Stats::of`].
    pub fn read(path: &Path) -> Option<Stats> {
        let text = fs::read_to_string(path).ok()?;
        let value = serde_json::from_str(&text);
        Some(Stats(value.unwrap_or_else(|error| panic!("{}: {error}\n{text}", path.display()))))
    }

    /// The value at a JSON pointer such as `/devices/0/reserved_bytes/current`.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn at(&self, pointer: &str) -> &Value {
        match self.0.pointer(pointer) {
            Some(value) => value,
            None => panic!("the stats file has no {pointer}:\n{:#}", self.0),
        }
    }

    /// The whole number at a JSON pointer.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    pub fn number(&self, pointer: &str) -> u64 {
        match self.at(pointer).as_u64() {
            Some(number) => number,
            None => panic!("{pointer} is not a whole number:\n{:#}", self.0),
        }
    }

    /// A counter of every device, added up.
    #[track_caller]
    pub fn sum(&self, pointer: &str) -> u64 {
        let devices = self.at("/devices").as_array().map_or(0, Vec::len);
        (0..devices).map(|device| self.number(&format!("/devices/{device}{pointer}"))).sum()
    }

    /// Allocations that came through the pool, whether from its cache or not.
    #[track_caller]
    pub fn served(&self) -> u64 {
        self.sum("/hits") + self.sum("/misses")
    }
}
