//! The columns: what they are called, show and sort by. Each is defined once, here.

use std::cmp::Ordering;
use std::time::Duration;

use clap::ValueEnum;
use cupool::live::State;
use cupool::report::now;

use super::row::Row;
use crate::command::units::{age, count, short_bytes};

/// Characters that the command has at least.
pub const COMMAND: usize = 7;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Column {
    Pid,
    Gpu,
    Allocated,
    Reserved,
    Idle,
    Peak,
    HitRate,
    Mallocs,
    Fences,
    Flush,
    Command,
}

impl Column {
    /// From left to right.
    pub const ALL: [Self; 11] = [
        Self::Pid,
        Self::Gpu,
        Self::Allocated,
        Self::Reserved,
        Self::Idle,
        Self::Peak,
        Self::HitRate,
        Self::Mallocs,
        Self::Fences,
        Self::Flush,
        Self::Command,
    ];

    /// Those that fit into `width` characters, beside a few for the command: a number that is cut off
    /// would be another number.
    pub fn fitting(width: usize) -> Vec<Self> {
        /// The first to go comes first.
        const SPARE: [Column; 7] = [
            Column::Fences,
            Column::Mallocs,
            Column::HitRate,
            Column::Peak,
            Column::Flush,
            Column::Allocated,
            Column::Gpu,
        ];

        let mut columns = Self::ALL.to_vec();
        for spare in SPARE {
            let taken: usize = columns.iter().map(|column| column.width() + 1).sum();
            if taken + COMMAND <= width {
                break;
            }
            columns.retain(|&column| column != spare);
        }
        columns
    }

    /// What stands above it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Pid => "PID",
            Self::Gpu => "GPU",
            Self::Allocated => "ALLOC",
            Self::Reserved => "RESERV",
            Self::Idle => "IDLE",
            Self::Peak => "PEAK",
            Self::HitRate => "HIT%",
            Self::Mallocs => "MALLOC/S",
            Self::Fences => "FENCE/S",
            Self::Flush => "FLUSH",
            Self::Command => "COMMAND",
        }
    }

    /// What it means.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Pid => "the process",
            Self::Gpu => "its number in nvidia-smi, or else in the process",
            Self::Allocated => "memory in the program's hands",
            Self::Reserved => "memory taken from the GPU",
            Self::Idle => "the difference: what a flush could give back",
            Self::Peak => "the most that was ever reserved",
            Self::HitRate => "allocations served from idle memory, of all so far",
            Self::Mallocs => "allocations a second",
            Self::Fences => "fences a second: frees that did not wait for the GPU",
            Self::Flush => "how long ago idle memory was last given back",
            Self::Command => "the command; (gone) for a process that was killed",
        }
    }

    /// Characters; the last column takes what is left.
    pub const fn width(self) -> usize {
        match self {
            Self::Pid => 7,
            Self::Gpu => 3,
            Self::Allocated | Self::Reserved | Self::Idle | Self::Peak => 6,
            Self::HitRate => 4,
            Self::Mallocs => 8,
            Self::Fences => 7,
            Self::Flush => 5,
            Self::Command => 0,
        }
    }

    /// What stands in it.
    pub fn cell(self, row: &Row) -> String {
        match self {
            Self::Pid => row.pid.to_string(),
            Self::Gpu => row.gpu.map_or("-".to_owned(), |gpu| gpu.to_string()),
            Self::Allocated => short_bytes(row.allocated),
            Self::Reserved => short_bytes(row.reserved),
            Self::Idle => short_bytes(row.idle),
            Self::Peak => short_bytes(row.peak),
            Self::HitRate => {
                row.hit_rate.map_or("-".to_owned(), |rate| format!("{:.0}", rate * 1e2))
            }
            Self::Mallocs => count(row.mallocs),
            Self::Fences => count(row.fences),
            Self::Flush => row.last_flush.map_or("-".to_owned(), |time| {
                age(Duration::from_secs_f64((now() - time).clamp(0.0, 1e9)))
            }),
            Self::Command => match row.state {
                State::Running => row.command.clone(),
                State::Gone => format!("(gone) {}", row.command),
                State::Elsewhere => format!("(elsewhere) {}", row.command),
            },
        }
    }

    /// `text` in the width of the column: numbers to the right.
    pub fn pad(self, text: &str) -> String {
        match self {
            Self::Command => text.to_owned(),
            _ => format!("{text:>width$}", width = self.width()),
        }
    }

    /// Sorts `rows`: the largest first, but pids, GPUs and commands in their order; the other way
    /// round if `reversed`.
    pub fn sort(self, rows: &mut [Row], reversed: bool) {
        rows.sort_by(|a, b| {
            let order = self.compare(a, b);
            let order = if reversed { order.reverse() } else { order };
            order.then_with(|| a.key().cmp(&b.key()))
        });
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        match self {
            Self::Pid => a.pid.cmp(&b.pid),
            Self::Gpu => a.gpu.cmp(&b.gpu),
            Self::Command => a.command.cmp(&b.command),
            Self::Allocated => b.allocated.cmp(&a.allocated),
            Self::Reserved => b.reserved.cmp(&a.reserved),
            Self::Idle => b.idle.cmp(&a.idle),
            Self::Peak => b.peak.cmp(&a.peak),
            Self::HitRate => b.hit_rate.unwrap_or(-1.0).total_cmp(&a.hit_rate.unwrap_or(-1.0)),
            Self::Mallocs => b.mallocs.total_cmp(&a.mallocs),
            Self::Fences => b.fences.total_cmp(&a.fences),
            Self::Flush => b.last_flush.unwrap_or(0.0).total_cmp(&a.last_flush.unwrap_or(0.0)),
        }
    }

    /// The one `steps` further to the right, or to the left if negative; the last is before the
    /// first.
    pub fn beside(self, steps: isize) -> Self {
        let at = Self::ALL.iter().position(|&column| column == self).unwrap_or(0);
        let count = Self::ALL.len() as isize;
        Self::ALL[(at as isize + steps).rem_euclid(count) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_fits_where_it_is_shown() {
        assert_eq!(Column::fitting(80), Column::ALL);
        for width in 30..200 {
            let columns = Column::fitting(width);
            let taken: usize = columns.iter().map(|column| column.width() + 1).sum();
            assert!(taken + COMMAND <= width + 1, "{width}: {columns:?}");
            assert!(columns.contains(&Column::Pid) && columns.contains(&Column::Command));
        }
        for column in Column::ALL {
            let title = column.title().len();
            assert!(title <= column.width() || column == Column::Command, "{column:?}");
        }
    }

    #[test]
    fn the_last_column_is_before_the_first() {
        assert_eq!(Column::Pid.beside(-1), Column::Command);
        assert_eq!(Column::Command.beside(1), Column::Pid);
    }
}
