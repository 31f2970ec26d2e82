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

/// The driver gives the handle of a context that it has just destroyed to the next one, before who
/// destroyed it is back.
#[test]
fn a_context_with_the_handle_of_one_that_is_ending_starts_with_nothing() {
    for conf in ["order:lazy,backing:arena", "order:lazy,backing:exact"] {
        let pools = pools_on(FakeDriver::new(1024 * MIB).with_vmm(), conf);
        let stale = pools.allocate(8 * MIB).unwrap();
        pools.free(stale).unwrap();
        std::thread::scope(|scope| {
            let mut next = None;
            let destroy = || {
                next = Some(scope.spawn(|| {
                    pools.context_given(Context(0x10));
                    pools.allocate(8 * MIB)
                }));
                // A moment too short makes the test miss a mistake, no more.
                std::thread::sleep(Duration::from_millis(20));
                pools.driver().forget_everything();
                0
            };
            pools.end_context(Context(0x10), destroy, || false);
            let fresh = next.expect("the context was destroyed").join().unwrap().unwrap();
            assert!(pools.blocks.get(fresh).is_some(), "{conf}: it is the new pool's");
        });
        let alive = pools.snapshot().pools.into_iter().filter(|pool| pool.alive);
        let counters = alive.map(|pool| pool.counters).collect::<Vec<_>>();
        assert_eq!(counters.len(), 1, "{conf}");
        assert_eq!((counters[0].hits, counters[0].misses), (0, 1), "{conf}");
        assert_eq!(pools.driver().reserved(), 8 * MIB, "{conf}");
    }
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

#[test]
fn what_captures_hold_up_never_costs_an_allocation() {
    let pools = pools("order:fence,max_idle:100%");
    let [one, other] = [(); 2].map(|()| pools.allocate(512 * MIB).unwrap());
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(one).unwrap();
    let one = pools.allocate(512 * MIB).expect("the device has room for it");
    let counted = counters(&pools);
    assert_eq!((counted.num_alloc_retries, counted.num_ooms), (1, 0));
    assert_eq!(counted.reserved_bytes.current, pools.driver().reserved());
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    pools.free(one).unwrap();
    pools.free(other).unwrap();
    assert_eq!(counters(&pools).allocation.current, 0);
    assert_eq!(pools.flush(FlushReason::EmptyCache).released, 1024 * MIB);
    assert!(!pools.driver().invalidated());
}

/// The wait for what a capture held up takes memory, and the pool itself has it all.
#[test]
fn what_captures_hold_up_goes_when_the_device_is_full_too() {
    let pools =
        pools_on(FakeDriver::new(400 * MIB).with_vmm(), "order:fence,max_idle:none,backing:arena");
    let [held_up, idle] = [(); 2].map(|()| pools.allocate(200 * MIB).unwrap());
    pools.free(idle).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(held_up).unwrap();
    pools.driver().fail_next("record_context", DriverError::INVALID_VALUE);
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    assert_eq!(pools.driver().reserved(), 400 * MIB);
    let record = pools.flush(FlushReason::EmptyCache);
    assert_eq!((record.released, record.kept), (400 * MIB, vec![]));
}

/// Where no event could mark the capture's end, the next flush, or whoever is short of memory, does.
#[test]
fn what_captures_hold_up_goes_when_it_is_all_there_is() {
    let full = || {
        let conf = "order:fence,max_idle:none,backing:arena";
        let pools = pools_on(FakeDriver::new(400 * MIB).with_vmm(), conf);
        let held_up = pools.allocate(400 * MIB).unwrap();
        pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
        pools.free(held_up).unwrap();
        pools.driver().submit();
        pools.driver().fail_next("record_context", DriverError::INVALID_VALUE);
        pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
        pools
    };
    let pools = full();
    let record = pools.flush(FlushReason::EmptyCache);
    assert_eq!((record.released, record.pending, record.kept), (0, 400 * MIB, vec![]));
    pools.driver().finish();
    let record = pools.flush(FlushReason::EmptyCache);
    assert_eq!((record.released, record.kept), (400 * MIB, vec![]));

    // How often no event marks it: by the first wait it is, or by the flush after that.
    for times in [0, 1] {
        let pools = full();
        for _ in 0..times {
            pools.driver().fail_next("record_context", DriverError::INVALID_VALUE);
        }
        pools.allocate(100 * MIB).expect("the device is waited for");
    }
}

#[test]
fn what_captures_hold_up_stays_within_the_budget() {
    let pools = pools("order:fence,max_idle:10M");
    let many: Vec<_> = (0..8).map(|_| pools.allocate(4 * MIB).unwrap()).collect();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    for ptr in many {
        pools.free(ptr).unwrap();
    }
    assert!(pools.idle_bytes() <= 10 * MIB, "{}", pools.idle_bytes());
    assert_eq!(pools.driver().reserved(), pools.idle_bytes());
    assert!(!pools.driver().invalidated());
}

/// What cannot be given back without a wait stays for those who are short of memory.
#[test]
fn what_captures_hold_up_is_not_waited_for_beyond_the_budget() {
    let conf = "order:fence,max_idle:10M,backing:arena";
    let pools = pools_on(FakeDriver::new(1024 * MIB).with_vmm(), conf);
    let [one, other] = [(); 2].map(|()| pools.allocate(64 * MIB).unwrap());
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    let looks = pools.driver().count("relax_capture_mode");
    pools.free(one).unwrap();
    assert_eq!(pools.driver().count("relax_capture_mode"), looks, "nothing could be given back");
    pools.driver().submit();
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    pools.free(other).unwrap();
    assert_eq!(pools.driver().count("allocate") + pools.driver().count("wait_event"), 0);
}

/// `cuMemFreeAsync` frees what `cuMemAlloc` gave: the driver may then have something else there.
#[test]
fn a_block_freed_by_another_call_is_nobodys() {
    let pools = pools("order:fence");
    let [freed, kept, idle] = [(); 3].map(|()| pools.allocate(MIB).unwrap());
    let free = |ptr| pools.driver().free(ptr).map_or_else(DriverError::code, |()| 0);
    assert_eq!(pools.free_by(freed, || free(freed)), 0);
    assert_eq!(pools.free_by(kept, || 1), 1, "refused: it stays the program's");
    pools.free(idle).unwrap();
    assert_eq!(pools.free_by(idle, || free(idle)), 1, "a double free");
    assert_eq!(pools.address_range(freed), None);
    assert_eq!(counters(&pools).reserved_bytes.current, pools.driver().reserved());
    assert_eq!(pools.free(freed), Err(DriverError::INVALID_VALUE));
    assert_eq!(pools.free(kept), Ok(()));
    assert_eq!(counters(&pools).allocation.current, 0);
}

#[test]
fn a_block_whose_capture_nobody_can_ask_about_is_not_reused() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(ptr).unwrap();
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    pools.driver().fail_next("event_done", DriverError::INVALID_VALUE);
    assert_ne!(pools.allocate(MIB), Ok(ptr));
    assert_eq!(pools.allocate(MIB), Ok(ptr), "asked again, the device was done with it");
}

#[test]
fn what_is_freed_while_a_capture_fails_to_begin_comes_back() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    let refused = pools.begin_capture(STREAM, || {
        pools.free(ptr).unwrap();
        1
    });
    assert_eq!(refused, 1);
    assert_eq!(pools.allocate(MIB), Ok(ptr));
}

#[test]
fn without_its_fence_no_block_is_reused_lazily() {
    let pools = pools("order:lazy");
    let ptr = pools.allocate(MIB).unwrap();
    pools.free(ptr).unwrap();
    pools.driver().fail_next("record_context", DriverError::INVALID_VALUE);
    assert_ne!(pools.allocate(MIB), Ok(ptr));
    assert_eq!(counters(&pools).allocation.current, 1);
    assert_eq!(pools.allocate(MIB), Ok(ptr), "it is idle as before");
}

#[test]
fn captures_that_come_and_go_take_no_more_events() {
    for conf in ["order:fence", "order:fence,backing:arena"] {
        let pools = pools_on(FakeDriver::new(1024 * MIB).with_vmm(), conf);
        let round = || {
            let ptr = pools.allocate(MIB).unwrap();
            pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
            pools.free(ptr).unwrap();
            pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
            pools.driver().submit();
            pools.flush(FlushReason::EmptyCache);
            pools.driver().finish();
        };
        round();
        let events = pools.driver().count("create_event");
        for _ in 0..5 {
            round();
        }
        assert_eq!(pools.driver().count("create_event"), events, "{conf}");
    }
}

#[test]
fn waits_take_no_more_events() {
    let pools = pools("order:strict");
    let pair = || pools.free(pools.allocate(MIB).unwrap()).unwrap();
    let created = || pools.driver().count("create_event");
    pair();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pair();
    let events = created();
    (0..5).for_each(|_| pair());
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    let ended = created();
    assert_eq!(ended, events, "none waits to be recycled");
    (0..5).for_each(|_| pair());
    assert!(created() <= ended + 1);
}

/// What ends a context waits for a flush that works there, and takes along what that has left.
#[test]
fn a_context_ends_after_the_flush_that_works_in_it() {
    for conf in ["order:lazy,backing:arena", "order:lazy,backing:exact"] {
        let pools = pools_on(FakeDriver::new(1024 * MIB).with_vmm(), conf);
        let ptr = pools.allocate(8 * MIB).unwrap();
        pools.free(ptr).unwrap();
        let ended = std::sync::atomic::AtomicBool::new(false);
        let ends = || ended.load(std::sync::atomic::Ordering::SeqCst);
        std::thread::scope(|scope| {
            // An arena's flush stops where it places a fence, the other's where it frees.
            let stopped = (pools.driver().recording.lock(), pools.driver().freeing.lock());
            let flush = scope.spawn(|| pools.flush(FlushReason::Signal));
            std::thread::sleep(Duration::from_millis(20));
            let end = scope.spawn(|| {
                let destroy = || {
                    ended.store(true, std::sync::atomic::Ordering::SeqCst);
                    0
                };
                pools.end_context(Context(0x10), destroy, || false);
            });
            std::thread::sleep(Duration::from_millis(20));
            assert!(!ends(), "{conf}: the flush is not done");
            drop(stopped);
            assert_eq!(flush.join().unwrap().released, 8 * MIB);
            end.join().unwrap();
        });
        assert!(ends());
        assert_eq!((pools.driver().reserved(), pools.driver().reservations()), (0, 0), "{conf}");
    }
}
