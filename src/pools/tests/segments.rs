//! The memory block by block, and the last events.

use super::*;
use crate::history::Action;
use crate::pools::{EVERY_DEVICE, State};

fn pools_of(backing: &str) -> Pools<FakeDriver> {
    let driver = FakeDriver::new(1024 * MIB).with_vmm();
    pools_on(driver, &format!("order:fence,backing:{backing}"))
}

/// Sizes in one state, of all segments.
fn bytes(pools: &Pools<FakeDriver>, state: State) -> u64 {
    let segments = pools.segments();
    let blocks = segments.iter().flat_map(|segment| &segment.blocks);
    blocks.filter(|block| block.state == state).map(|block| block.bytes).sum()
}

#[track_caller]
fn agrees_with_the_counters(pools: &Pools<FakeDriver>) {
    let counted = counters(pools);
    assert_eq!(bytes(pools, State::Allocated), counted.allocated_bytes.current);
    let mut reserved = 0;
    for segment in pools.segments() {
        let mut end = segment.address;
        for block in &segment.blocks {
            assert_eq!(block.address, end, "a gap in {segment:?}");
            assert!(block.bytes > 0 && block.requested <= block.bytes, "{block:?}");
            end += block.bytes;
        }
        assert_eq!(end - segment.address, segment.bytes, "{segment:?}");
        reserved += segment.bytes;
    }
    assert_eq!(reserved, counted.reserved_bytes.current);
}

#[test]
fn segments_add_up_to_what_is_counted() {
    for backing in ["exact", "arena"] {
        let pools = pools_of(backing);
        assert!(pools.segments().is_empty());
        // Small ones that share pages, one that lies on several of its own, and one that fits none.
        let sizes = [700, 1300 * 1024, 900 * 1024, 5 * MIB + 7, 33 * MIB, 512, 3 * MIB];
        let blocks: Vec<_> = sizes.iter().map(|&size| pools.allocate(size).unwrap()).collect();
        agrees_with_the_counters(&pools);
        let requested: u64 =
            pools.segments().iter().flat_map(|s| &s.blocks).map(|block| block.requested).sum();
        assert_eq!(requested, sizes.iter().sum::<u64>(), "{backing}");
        for &ptr in blocks.iter().step_by(2) {
            pools.free(ptr).unwrap();
            agrees_with_the_counters(&pools);
        }
        assert_eq!(bytes(&pools, State::Waiting), 0, "{backing}");
        pools.flush(FlushReason::EmptyCache);
        agrees_with_the_counters(&pools);
    }
}

#[test]
fn what_was_freed_during_a_capture_waits() {
    for backing in ["exact", "arena"] {
        let pools = pools_of(backing);
        let ptr = pools.allocate(4 * MIB).unwrap();
        assert_eq!(pools.begin_capture(STREAM, || 0), 0);
        pools.free(ptr).unwrap();
        assert_eq!(bytes(&pools, State::Waiting), 4 * MIB, "{backing}");
        assert_eq!(bytes(&pools, State::Allocated), 0, "{backing}");
    }
}

#[test]
fn the_last_events_are_remembered_if_asked_for() {
    assert!(pools("").history().is_none());
    let pools = pools("order:fence,history:5");
    let first = pools.allocate(700).unwrap();
    let second = pools.allocate(3 * MIB).unwrap();
    pools.free(first).unwrap();
    pools.flush(FlushReason::EmptyCache);
    assert_eq!(pools.allocate(1023 * MIB), Err(DriverError::OUT_OF_MEMORY));
    let history = pools.history().expect("on");
    let events = history.events();
    let told: Vec<_> = events.iter().map(|e| (e.action, e.device, e.address, e.bytes)).collect();
    // The failed allocation flushed the device before it failed.
    assert_eq!(
        told,
        [
            (Action::Free, 0, first.0, 700),
            (Action::SegmentFree, 0, first.0, 1024),
            (Action::Flush, EVERY_DEVICE, 0, 1024),
            (Action::Flush, 0, 0, 0),
            (Action::OutOfMemory, 0, 0, 1023 * MIB),
        ]
    );
    assert_eq!(history.forgotten(), 4);
    assert!(events.is_sorted_by_key(|event| event.micros));
    pools.free(second).unwrap();
}

/// Whatever is taken from the driver, moved and given back.
#[test]
fn segments_come_and_go_with_what_is_reserved() {
    for backing in ["arena", "exact"] {
        let driver = FakeDriver::new(1024 * MIB).with_vmm();
        let conf = format!("order:fence,history:10000,max_idle:64M,backing:{backing}");
        let pools = pools_on(driver, &conf);
        let mut held = std::collections::VecDeque::new();
        let mut most = 0;
        for step in 0..400_u64 {
            held.push_back(pools.allocate((step * step * 37 % 41 + 1) * 512 * 1024).unwrap());
            if held.len() > 12 {
                let at = (step * 7 % 12) as usize;
                pools.free(held.swap_remove_back(at).unwrap()).unwrap();
            }
            if step % 97 == 96 {
                pools.flush(FlushReason::EmptyCache);
            }
            most = most.max(pools.driver().reserved());
            assert_eq!(by_events(&pools), pools.driver().reserved(), "{backing}, step {step}");
        }
        assert!(most > 100 * MIB, "{backing}: {most}");
        pools.context_ended(Context(0x10));
        assert_eq!(by_events(&pools), 0, "{backing}: what goes with its context");
    }
}

/// What is reserved by the events that are remembered.
fn by_events(pools: &Pools<FakeDriver>) -> u64 {
    let events = pools.history().expect("on").events();
    events.iter().fold(0, |reserved, event| match event.action {
        Action::SegmentAllocate | Action::SegmentMap => reserved + event.bytes,
        Action::SegmentFree | Action::SegmentUnmap => reserved - event.bytes,
        _ => reserved,
    })
}

#[test]
#[cfg(not(miri))]
fn failures_are_written_down_but_not_one_after_the_other() {
    let directory = std::env::temp_dir().join(format!("cupool-oom-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory");
    let pattern = directory.join("oom.%n.json").display().to_string();
    let pools = pools(&format!("order:fence,history:8,oom_snapshot:{pattern}"));
    let held = pools.allocate(3 * MIB).unwrap();
    for _ in 0..3 {
        assert_eq!(pools.allocate(1023 * MIB), Err(DriverError::OUT_OF_MEMORY));
    }
    let names: Vec<_> = std::fs::read_dir(&directory).expect("it").flatten().collect();
    let text = std::fs::read(directory.join("oom.0.json")).expect("the first");
    std::fs::remove_dir_all(&directory).expect("removed");
    assert_eq!(names.len(), 1, "{names:?}");
    let written: crate::snapshot::Snapshot = serde_json::from_slice(&text).expect("a snapshot");
    assert_eq!(written.reason, "out_of_memory");
    assert_eq!(written.segments, pools.segments(), "nothing has changed since");
    let last = written.events.last().expect("events");
    assert_eq!((&*last.0, last.3), ("oom", 1023 * MIB));
    pools.free(held).unwrap();
}
