//! What the figures suggest to do.

use cupool::live::{Figures, Listed, State};
use cupool::report::Device;

use crate::command::units::bytes;

/// Idle memory below this is not worth a flush: it comes back with the next allocations.
const LITTLE: u64 = 200 << 20;
/// Calls from which a hit rate says something.
const MANY: u64 = 1_000;

/// Lines of advice, the most useful first. None if all is well.
pub fn advice(page: &Listed) -> Vec<String> {
    if page.state == State::Gone {
        return vec!["the process has ended: its memory is free again".to_owned()];
    }
    let Some(figures) = &page.figures else { return Vec::new() };
    let mut lines = Vec::new();
    if !figures.retired.is_empty() {
        lines.push(format!(
            "cupool stopped serving this process ({}): please report it with the log",
            figures.retired
        ));
    }
    lines.extend(idle(figures, page.process.pid));
    for device in &figures.devices {
        lines.extend(of_device(device));
    }
    if figures.order_configured == "auto" && figures.order == "strict" {
        lines.push(format!(
            "every free waits for the GPU, since the program could tell the difference ({}); if its \
             results are taken with waiting calls, order:fence makes frees cheaper",
            figures.order_reason
        ));
    }
    lines
}

fn idle(figures: &Figures, pid: u32) -> Option<String> {
    let idle = figures.sum(|device| device.idle_bytes);
    if idle == 0 {
        return None;
    }
    let back = figures.sum(|device| device.returnable_bytes).min(idle);
    if idle < LITTLE {
        return Some(format!("{} idle: a flush would gain little", bytes(idle)));
    }
    if back < LITTLE {
        return Some(format!(
            "{} idle, beside blocks in use: a flush would gain {} at most",
            bytes(idle),
            bytes(back)
        ));
    }
    Some(format!("{} idle: `cupool flush {pid}` gives {} back", bytes(idle), bytes(back)))
}

fn of_device(device: &Device) -> Vec<String> {
    let mut lines = Vec::new();
    let name = device.device;
    if device.num_ooms > 0 {
        lines.push(format!(
            "GPU {name}: {} allocations found no memory; the program, or its neighbours, need more \
             than the device has",
            device.num_ooms
        ));
    } else if device.num_alloc_retries > 0 {
        lines.push(format!(
            "GPU {name}: memory ran short {} times, and idle memory made room; the device is nearly \
             full",
            device.num_alloc_retries
        ));
    }
    let calls = device.hits.saturating_add(device.misses);
    if calls >= MANY && device.hits < calls / 2 {
        lines.push(format!(
            "GPU {name}: only {:.0} % of the allocations were served from idle memory; a higher \
             max_idle may help",
            percent(device.hits, calls)
        ));
    }
    lines
}

/// A part in percent; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use cupool::live::Process;

    use super::*;

    fn page(device: Device) -> Listed {
        let figures = Figures {
            order: "fence".into(),
            order_configured: "auto".into(),
            devices: vec![device],
            ..Figures::default()
        };
        let process = Process { pid: 7, ..Process::default() };
        Listed { path: "/x".into(), process, figures: Some(figures), state: State::Running }
    }

    fn one(device: Device) -> String {
        let mut lines = advice(&page(device));
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    #[test]
    fn advice_follows_the_figures() {
        assert!(advice(&page(Device::default())).is_empty());
        let idle = |idle_bytes, returnable_bytes| {
            one(Device { idle_bytes, returnable_bytes, ..Device::default() })
        };
        assert_eq!(
            idle(2_040_109_465, 1_932_735_283),
            "1.9 GiB idle: `cupool flush 7` gives 1.8 GiB back"
        );
        assert_eq!(idle(LITTLE - 1, LITTLE - 1), "200 MiB idle: a flush would gain little");
        assert_eq!(
            idle(2_040_109_465, 3 << 20),
            "1.9 GiB idle, beside blocks in use: a flush would gain 3.0 MiB at most"
        );
        assert!(
            one(Device { num_ooms: 2, num_alloc_retries: 3, ..Device::default() })
                .contains("no memory")
        );
        assert!(one(Device { num_alloc_retries: 3, ..Device::default() }).contains("made room"));
        assert!(one(Device { hits: 499, misses: 501, ..Device::default() }).contains("max_idle"));
        assert!(advice(&page(Device { hits: 501, misses: 499, ..Device::default() })).is_empty());
        assert!(advice(&page(Device { hits: 1, misses: 9, ..Device::default() })).is_empty());
    }

    #[test]
    fn what_has_ended_needs_no_flush() {
        let gone = Listed {
            state: State::Gone,
            ..page(Device { idle_bytes: 1 << 40, ..Device::default() })
        };
        assert!(advice(&gone)[0].contains("has ended"));
    }
}
