use super::document::Document;
use super::*;
use crate::stats::{Counters, FlushReason, FlushRecord, Gauge, Kept, PoolSnapshot, Released};

const EXAMPLE: &str = include_str!("tests/stats.json");
const MIB: u64 = 1 << 20;

/// What the example shows: device 0 with a living and an ended context, and device 1.
fn snapshot() -> Snapshot {
    Snapshot {
        order: "strict",
        order_configured: "auto",
        order_reason: "pinned memory".to_owned(),
        pools: vec![
            pool(0, false, counters(0, 900)),
            pool(1, true, counters(100, 200)),
            pool(0, true, counters(300, 700)),
        ],
        flushes_before: 0,
        flushes: vec![FlushRecord {
            reason: FlushReason::Signal,
            time: 1_700_000_100.5,
            idle_before: 400 * MIB,
            idle_after: 100 * MIB,
            released: 300 * MIB,
            pending: 60 * MIB,
            released_later: 40 * MIB,
            driver_pools: 20 * MIB,
            duration: 0.25,
            kept: vec![Kept { bytes: 100 * MIB, why: "the device has not reached its fence" }],
            skipped: "",
        }],
        retired: String::new(),
        leaks: None,
    }
}

fn pool(device: i32, alive: bool, counters: Counters) -> PoolSnapshot {
    PoolSnapshot {
        device,
        name: "NVIDIA H200".to_owned(),
        uuid: format!("GPU-00000000-0000-0000-0000-00000000000{device}"),
        total_bytes: 150_754_820_096,
        context: 0x1000,
        alive,
        backing: "exact",
        backing_reason: "the only one".to_owned(),
        counters,
    }
}

/// `reached` blocks of 1 MiB were allocated twice over, `left` of them still are, and a living pool
/// keeps half of the rest.
fn counters(left: u64, reached: u64) -> Counters {
    let gauge = |current, unit| Gauge {
        current: current * unit,
        peak: reached * unit,
        allocated: 2 * reached * unit,
        freed: (2 * reached - current) * unit,
    };
    let kept = if left == 0 { 0 } else { left + (reached - left) / 2 };
    let mut counters = Counters {
        allocated_bytes: gauge(left, MIB),
        reserved_bytes: gauge(kept, MIB),
        requested_bytes: gauge(left, MIB - 24),
        allocation: gauge(left, 1),
        segment: gauge(kept, 1),
        num_alloc_retries: 1,
        num_ooms: 2,
        num_device_alloc: 3,
        num_device_free: 4,
        num_device_move: 9,
        hits: 5,
        misses: 6,
        fences: 7,
        host_syncs: 8,
        returnable: 17,
        released: Released {
            asked: 10,
            out_of_memory: 11,
            neighbour: 12,
            min_free: 13,
            max_idle: 14,
            decay: 15,
        },
        neighbours_released: 16,
        ..Counters::default()
    };
    counters.malloc_latency.record(300);
    counters.free_latency.record(500);
    counters
}

fn report(snapshot: &Snapshot) -> String {
    let process = ProcessFacts {
        pid: 4242,
        start_time: Some(1_700_000_000.25),
        executable: "/usr/bin/python3.12".to_owned(),
        host: "node1".to_owned(),
    };
    let time = 1_700_000_123.75;
    Document::new(snapshot, &process, &Options::defaults(), "signal", 3, time).to_json()
}

fn value(snapshot: &Snapshot) -> serde_json::Value {
    serde_json::from_str(&report(snapshot)).expect("a report is JSON")
}

#[test]
fn the_whole_file_is_as_in_the_example() {
    let told = report(&snapshot()).replacen(env!("CARGO_PKG_VERSION"), "0.1.0", 1);
    if told != EXAMPLE {
        panic!("tests/stats.json is no longer what is written, which is:\n{told}");
    }
}

#[test]
fn idle_is_what_is_reserved_and_not_allocated() {
    for device in value(&snapshot())["devices"].as_array().expect("a list") {
        let current = |key: &str| device[key]["current"].as_u64().expect("a number");
        let idle = current("reserved_bytes") - current("allocated_bytes");
        assert_eq!(device["idle_bytes"], idle);
        assert_ne!(idle, 0, "the example shows some");
    }
}

#[test]
fn pools_of_one_device_are_added_up() {
    let devices = &value(&snapshot())["devices"];
    let device = &devices[0];
    assert_eq!((&device["device"], &devices[1]["device"]), (&0.into(), &1.into()));
    assert_eq!(device["contexts"], 1, "the ended one has no pool any more");
    assert_eq!(device["hits"], 10);
    assert_eq!(device["malloc_latency_ns"]["count"], 2);
    assert_eq!(device["allocated_bytes"]["allocated"], (2 * 900 + 2 * 700) * MIB);
}

#[test]
fn what_was_allocated_is_current_or_freed() {
    for device in value(&snapshot())["devices"].as_array().expect("a list") {
        for key in ["allocated_bytes", "reserved_bytes", "requested_bytes", "allocation", "segment"]
        {
            let number = |part: &str| device[key][part].as_u64().expect("a number");
            assert_eq!(number("current"), number("allocated") - number("freed"), "{key}");
        }
    }
}

#[test]
fn peaks_of_contexts_that_exist_together_are_added() {
    let mut snapshot = snapshot();
    let peak =
        |snapshot: &Snapshot| value(snapshot)["devices"][0]["allocated_bytes"]["peak"].clone();
    assert_eq!(peak(&snapshot), 900 * MIB, "the ended context's is the higher one");
    snapshot.pools[0].alive = true;
    assert_eq!(peak(&snapshot), (900 + 700) * MIB);
}

#[test]
fn retirement_and_its_reason_are_told() {
    let mut snapshot = snapshot();
    assert!(value(&snapshot)["retired"].is_null());
    snapshot.retired = "a panic in free".to_owned();
    snapshot.order_reason.clear();
    assert_eq!(value(&snapshot)["retired"], "a panic in free");
    assert!(value(&snapshot)["order_reason"].is_null());
}

#[test]
fn nothing_to_report_is_still_a_report() {
    let snapshot = Snapshot { pools: Vec::new(), flushes: Vec::new(), ..snapshot() };
    let value = value(&snapshot);
    assert_eq!(value["devices"], serde_json::json!([]));
    assert_eq!(value["flushes"], serde_json::json!([]));
}
