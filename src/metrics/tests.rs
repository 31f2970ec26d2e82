//! The text of a made-up process.

use super::text;
use crate::report::ProcessFacts;
use crate::stats::{Counters, FlushReason, FlushRecord, Gauge, PoolSnapshot, Released, Snapshot};

fn snapshot() -> Snapshot {
    let gauge = |current| Gauge { current, peak: current + 1, allocated: current + 2, freed: 2 };
    let counters = Counters {
        allocated_bytes: gauge(100),
        reserved_bytes: gauge(300),
        hits: 7,
        released: Released { decay: 11, max_idle: 12, ..Released::default() },
        ..Counters::default()
    };
    let flush = FlushRecord {
        reason: FlushReason::Signal,
        time: 1.5,
        idle_before: 9,
        idle_after: 1,
        released: 5,
        pending: 3,
        released_later: 2,
        driver_pools: 1,
        duration: 0.1,
        kept: Vec::new(),
        skipped: "",
    };
    Snapshot {
        order: "fence",
        order_configured: "auto",
        order_reason: String::new(),
        pools: vec![PoolSnapshot {
            device: 1,
            name: "a device".to_owned(),
            uuid: "GPU-1234".to_owned(),
            total_bytes: 1000,
            context: 1,
            alive: true,
            backing: "arena",
            backing_reason: String::new(),
            counters,
        }],
        flushes: vec![flush],
        flushes_before: 40,
        retired: String::new(),
        leaks: None,
    }
}

fn process() -> ProcessFacts {
    ProcessFacts {
        pid: 4242,
        start_time: Some(17.25),
        executable: "/bin/a \"b\\c\nd".to_owned(),
        host: "node".to_owned(),
    }
}

#[test]
fn figures_and_labels_are_those_of_the_process() {
    let text = text(&snapshot(), &process());
    let device = r#"{gpu="1",UUID="GPU-1234",pid="4242",executable="a \"b\\c\nd"}"#;
    let process = r#"{pid="4242",executable="a \"b\\c\nd"}"#;
    for line in [
        format!("cupool_allocated_bytes{device} 100"),
        format!("cupool_reserved_peak_bytes{device} 301"),
        format!("cupool_idle_bytes{device} 200"),
        format!("cupool_hits_total{device} 7"),
        format!("cupool_released_bytes_total{},cause=\"decay\"}} 11", device.trim_end_matches('}')),
        format!("cupool_released_bytes_total{},cause=\"asked\"}} 0", device.trim_end_matches('}')),
        format!("cupool_flushes_total{process} 41"),
        format!("cupool_last_flush_released_bytes{process} 8"),
        format!("cupool_process_start_time_seconds{process} 17.25"),
        format!("cupool_retired{process} 0"),
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
}

/// Each family has its help and type once, right before its samples, and counters are called so.
#[test]
fn every_family_is_described() {
    let text = text(&snapshot(), &process());
    let mut seen = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(help) = lines.next() {
        let rest = help.strip_prefix("# HELP ").expect("a family begins with its help");
        let (name, help) = rest.split_once(' ').expect("a name and a help");
        assert!(help.ends_with('.'), "{name}: {help}");
        assert!(!seen.contains(&name), "{name} twice");
        seen.push(name);
        let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("a type");
        let (of, kind) = kind.split_once(' ').expect("a name and a type");
        assert_eq!(of, name);
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} {kind}");
        let mut samples = 0;
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            assert!(sample.starts_with(&format!("{name}{{")), "{sample}");
            samples += 1;
        }
        assert!(samples > 0, "{name} has no sample");
    }
    assert!(seen.len() > 20, "{seen:?}");
}
