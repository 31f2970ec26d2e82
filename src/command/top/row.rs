//! One line of the table: a process on a GPU.

use cupool::live::{Figures, Listed, State};
use cupool::report::Device;

use crate::command::gpus::Gpus;
use crate::command::processes::command_line;

/// A process on a GPU. Sizes in bytes.
#[derive(Clone, Debug)]
pub struct Row {
    pub pid: u32,
    /// Which start of that pid.
    pub start_ticks: u64,
    /// The device in the process; `None` for a process that has allocated nothing yet.
    pub ordinal: Option<i32>,
    /// The number of the GPU, as in `nvidia-smi` where that is known.
    pub gpu: Option<u32>,
    pub uuid: String,
    pub state: State,
    pub allocated: u64,
    pub reserved: u64,
    pub idle: u64,
    /// The most that was reserved.
    pub peak: u64,
    /// Allocations served from idle memory, as a part of all; `None` before the first.
    pub hit_rate: Option<f64>,
    /// Allocations a second.
    pub mallocs: f64,
    /// Fences a second.
    pub fences: f64,
    /// When the last flush began, in seconds since the Unix epoch.
    pub last_flush: Option<f64>,
    pub command: String,
}

/// Names a row from one look to the next.
pub type Key = (u32, u64, Option<i32>);

impl Row {
    /// The rows of a process; `before` are its figures of an earlier look.
    pub fn of(page: &Listed, before: Option<&Figures>, gpus: &Gpus) -> Vec<Self> {
        let empty = Self {
            pid: page.process.pid,
            start_ticks: page.process.start_ticks,
            ordinal: None,
            gpu: None,
            uuid: String::new(),
            state: page.state,
            allocated: 0,
            reserved: 0,
            idle: 0,
            peak: 0,
            hit_rate: None,
            mallocs: 0.0,
            fences: 0.0,
            last_flush: None,
            command: command_line(page),
        };
        let Some(figures) = &page.figures else { return vec![empty] };
        let last_flush = figures.last_flush.as_ref().map(|flush| flush.time);
        let row = |device: &Device| {
            let calls = device.hits.saturating_add(device.misses);
            let rate = |of: fn(&Device) -> u64| rate(figures, before, device, of);
            Self {
                ordinal: Some(device.device),
                gpu: Some(gpus.number(device)),
                uuid: device.uuid.clone(),
                allocated: device.allocated_bytes.current,
                reserved: device.reserved_bytes.current,
                idle: device.idle_bytes,
                peak: device.reserved_bytes.peak,
                hit_rate: (calls > 0).then(|| device.hits as f64 / calls as f64),
                mallocs: rate(|device| device.allocation.allocated),
                fences: rate(|device| device.fences),
                last_flush,
                ..empty.clone()
            }
        };
        match figures.devices.as_slice() {
            [] => vec![Self { last_flush, ..empty }],
            devices => devices.iter().map(row).collect(),
        }
    }

    /// What stays the same from one look to the next.
    pub fn key(&self) -> Key {
        (self.pid, self.start_ticks, self.ordinal)
    }
}

/// How fast a counter of `device` goes up, in one second.
fn rate(
    figures: &Figures,
    before: Option<&Figures>,
    device: &Device,
    of: impl Fn(&Device) -> u64,
) -> f64 {
    let Some(before) = before else { return 0.0 };
    let same = |other: &&Device| other.device == device.device;
    let was = before.devices.iter().find(same).map_or(0, &of);
    let seconds = figures.clock.saturating_sub(before.clock) as f64 / 1e9;
    if seconds > 0.0 { of(device).saturating_sub(was) as f64 / seconds } else { 0.0 }
}
