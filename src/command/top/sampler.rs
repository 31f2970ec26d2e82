//! Looking at all processes again and again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use cupool::live::{self, Fault, Figures, Listed, State};

use super::row::{Key, Row};
use crate::command::gpus::Gpus;
use crate::command::processes;

/// How many looks the curves reach back.
pub const HISTORY: usize = 240;

/// What was reserved and allocated, in bytes, the latest last.
#[derive(Default)]
pub struct History {
    pub reserved: VecDeque<u64>,
    pub allocated: VecDeque<u64>,
}

/// The processes, and what they were at earlier looks.
pub struct Sampler {
    gpus: Gpus,
    pages: Vec<Listed>,
    /// The figures of the look before, by pid and start.
    before: HashMap<(u32, u64), Figures>,
    histories: HashMap<Key, History>,
    /// When each process that is gone was first seen so.
    gone: HashMap<(u32, u64), Instant>,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            gpus: Gpus::of_this_machine(),
            pages: Vec::new(),
            before: HashMap::new(),
            histories: HashMap::new(),
            gone: HashMap::new(),
        }
    }
}

fn name(page: &Listed) -> (u32, u64) {
    (page.process.pid, page.process.start_ticks)
}

impl Sampler {
    /// Looks, and has everybody tell fresh figures for the next look. Gives what cannot be used.
    pub fn look(&mut self) -> Vec<Fault> {
        let mut listing = live::list(&live::directories());
        listing.sweep();
        if self.pages.is_empty() {
            // The first look: what was told last may be old.
            processes::refresh(&mut listing.pages);
        }
        let before = std::mem::replace(&mut self.pages, listing.pages);
        for page in before {
            let name = name(&page);
            if let Some(figures) = page.figures {
                self.before.insert(name, figures);
            }
        }
        for page in &self.pages {
            processes::watch(page);
            if page.state == State::Gone {
                self.gone.entry(name(page)).or_insert_with(Instant::now);
            }
        }
        let there: Vec<_> = self.pages.iter().map(name).collect();
        self.before.retain(|name, _| there.contains(name));
        self.histories.retain(|key, _| there.contains(&(key.0, key.1)));
        for row in self.rows() {
            let history = self.histories.entry(row.key()).or_default();
            for (values, value) in
                [(&mut history.reserved, row.reserved), (&mut history.allocated, row.allocated)]
            {
                if values.len() == HISTORY {
                    values.pop_front();
                }
                values.push_back(value);
            }
        }
        listing.faults
    }

    /// A row for each process and GPU.
    pub fn rows(&self) -> Vec<Row> {
        let rows = |page| Row::of(page, self.before.get(&name(page)), &self.gpus);
        self.pages.iter().flat_map(rows).collect()
    }

    /// The page of a row.
    pub fn page(&self, key: Key) -> Option<&Listed> {
        self.pages.iter().find(|page| name(page) == (key.0, key.1))
    }

    /// What a row was at earlier looks.
    pub fn history(&self, key: Key) -> Option<&History> {
        self.histories.get(&key)
    }

    /// Clears away the pages of processes that have been gone for `shown`.
    pub fn clear_away(&mut self, shown: Duration) {
        for page in &self.pages {
            if self.gone.get(&name(page)).is_some_and(|since| since.elapsed() >= shown) {
                page.remove();
            }
        }
    }
}
