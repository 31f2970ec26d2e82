//! The other processes of this user, to be asked for memory.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::control::Control;
use super::figures::Figures;
use super::list::{Listed, State, directories, list};
use super::page::{Asked, Urgency};
use super::process::Process;
use super::{LONGEST_PERIOD, clock};
use crate::pools::{Answer, Neighbours};

/// How often is looked for answers. One takes a millisecond, or as long as the driver.
const PERIOD: Duration = Duration::from_millis(1);

/// The other processes of this user under cupool, by their live pages.
pub struct Neighbourhood {
    directories: Vec<PathBuf>,
    own: Process,
}

impl Neighbourhood {
    /// The processes that this one, which is `own`, finds by their pages. Reads the environment, so it
    /// should be called before the program has threads that change it.
    pub fn of(own: Process) -> Self {
        Self { directories: directories(), own }
    }

    /// On which devices of its own the process of `page` is to be asked, a bit for each ordinal.
    fn devices(&self, page: &Listed, uuid: &str) -> u64 {
        let (process, own) = (&page.process, &self.own);
        let is_own = (process.pid, process.start_ticks) == (own.pid, own.start_ticks);
        if is_own || page.state == State::Gone {
            return 0;
        }
        let Some(figures) = &page.figures else { return 0 };
        if page.state == State::Elsewhere && !is_fresh(figures) {
            // Nobody can tell whether it still exists.
            return 0;
        }
        if figures.devices.is_empty() {
            // It may have come to have memory since.
            return Asked::ALL;
        }
        let here = figures.devices.iter().filter(|device| device.uuid == uuid);
        here.fold(0, |bits, device| {
            bits | 1_u64.checked_shl(device.device.unsigned_abs()).unwrap_or(0)
        })
    }
}

/// Whether figures are of a process that told some within the time in which every process does.
fn is_fresh(figures: &Figures) -> bool {
    let age = Duration::from_nanos(clock().saturating_sub(figures.clock));
    age < LONGEST_PERIOD + Duration::from_secs(2)
}

impl Neighbours for Neighbourhood {
    fn ask(&self, uuid: &str, deadline: Instant) -> Answer {
        if uuid.is_empty() {
            return Answer::default();
        }
        let mut waiting = Vec::new();
        for page in list(&self.directories).pages {
            let devices = self.devices(&page, uuid);
            if devices == 0 {
                continue;
            }
            let Ok(control) = Control::open(&page.path) else { continue };
            if control.is_heard() {
                waiting.push((page.path, control.flush_as(devices, Urgency::Neighbour)));
            }
        }
        let mut sum = Answer::default();
        loop {
            waiting.retain(|(path, number)| {
                // A process that has ended has given everything back.
                let Ok(page) = Listed::read(path) else { return false };
                let Some(figures) = page.figures.filter(|figures| figures.served >= *number) else {
                    return page.state != State::Gone;
                };
                if let Some(flush) = figures.answer {
                    sum.released += flush.given_back();
                    sum.pending += flush.pending_bytes.saturating_sub(flush.released_later_bytes);
                }
                false
            });
            if waiting.is_empty() || Instant::now() >= deadline {
                sum.silent = waiting.len().try_into().unwrap_or(u32::MAX);
                return sum;
            }
            thread::sleep(PERIOD);
        }
    }
}
