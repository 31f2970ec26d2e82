//! What happens at the edges: other threads in the middle of something, calls that fail.

use std::time::Duration;

use super::*;

#[test]
fn a_capture_ends_with_its_context() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(ptr).unwrap();
    pools.end_context(Context(0x10), || pools.driver().stop_capture(STREAM), || false);
    pools.driver().forget_everything();
    let ptr = pools.allocate(MIB).unwrap();
    pools.free(ptr).unwrap();
    assert_eq!(pools.allocate(MIB), Ok(ptr), "nobody captures any more");
}

#[test]
fn a_capture_outlives_other_contexts() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.end_context(Context(0x20), || 0, || false);
    pools.free(ptr).unwrap();
    assert_eq!(pools.driver().count("record_context"), 0);
    assert!(!pools.driver().invalidated());
}

#[test]
fn a_context_that_remains_keeps_its_pool() {
    let pools = pools("");
    let ptr = pools.allocate(MIB).unwrap();
    pools.free(ptr).unwrap();
    assert_eq!(pools.end_context(Context(0x10), || 0, || true), 0);
    assert_eq!(pools.allocate(MIB), Ok(ptr));
}

/// While one thread puts the mark behind a capture, another finds nothing to collect.
#[test]
fn what_a_capture_held_up_is_found_by_those_who_looked_too_early() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(ptr).unwrap();
    std::thread::scope(|scope| {
        let stopped = pools.driver().recording.lock();
        let ending = scope.spawn(|| {
            pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
        });
        // Long enough for the other thread to get where it stops; too short, and the test misses
        // a mistake, no more.
        std::thread::sleep(Duration::from_millis(20));
        assert_ne!(pools.allocate(MIB), Ok(ptr));
        drop(stopped);
        ending.join().unwrap();
    });
    pools.driver().finish();
    assert_eq!(pools.allocate(MIB), Ok(ptr));
}

/// The wait that a capture finds owed is for work outside it.
#[test]
fn what_is_owed_is_paid_during_a_capture_too() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    pools.driver().submit();
    pools.free(ptr).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.settle();
    assert_eq!(pools.driver().count("wait_event"), 1);
    assert!(!pools.driver().invalidated());
}

#[test]
fn where_the_pool_cannot_order_a_free_the_driver_frees() {
    for order in ["strict", "fence"] {
        let pools = pools(&format!("order:{order}"));
        let ptr = pools.allocate(MIB).unwrap();
        for _ in 0..2 {
            pools.driver().fail_next("record_context", DriverError::NOT_SUPPORTED);
        }
        assert_eq!(pools.free(ptr), Ok(()), "{order}");
        assert_eq!(pools.driver().reserved(), 0, "{order}");
        assert_eq!(counters(&pools).reserved_bytes.current, 0, "{order}");
    }
}

#[test]
fn where_the_pool_cannot_know_the_context_the_driver_allocates() {
    let pools = pools("");
    pools.driver().fail_next("context_device", DriverError::NOT_SUPPORTED);
    let ptr = pools.allocate(MIB).expect("the driver has memory");
    assert_eq!(pools.free(ptr), Ok(()));
    assert_eq!(pools.driver().reserved(), 0);
}
