use super::*;
use crate::driver::Stream;
use crate::fake::FakeDriver;
use crate::stats::FlushReason;

mod edges;
mod front;
mod rest;
mod segments;
mod tight;
mod told;

const MIB: u64 = 1 << 20;
const STREAM: Stream = Stream(7);

fn pools(conf: &str) -> Pools<FakeDriver> {
    pools_on(FakeDriver::new(1024 * MIB), conf)
}

fn pools_on(driver: FakeDriver, conf: &str) -> Pools<FakeDriver> {
    let (options, warnings) = Options::parse(conf, true);
    assert!(warnings.is_empty(), "{warnings:?}");
    Pools::new(driver, &options)
}

fn counters(pools: &Pools<FakeDriver>) -> crate::stats::Counters {
    pools.snapshot().pools[0].counters.clone()
}

#[test]
fn a_freed_block_serves_the_next_request_of_its_size() {
    for order in ["strict", "fence", "lazy", "auto"] {
        let pools = pools(&format!("order:{order}"));
        let first = pools.allocate(3 * MIB).unwrap();
        pools.free(first).unwrap();
        assert_eq!(pools.allocate(3 * MIB), Ok(first), "{order}");
        assert_eq!(pools.driver().count("allocate"), 1, "{order}");
        let counted = counters(&pools);
        assert_eq!((counted.hits, counted.misses), (1, 1), "{order}");
        assert_eq!(counted.requested_bytes.current, 3 * MIB);
        assert_eq!(counted.allocated_bytes.current, 4 * MIB);
        assert_eq!(counted.reserved_bytes.current, pools.driver().reserved());
    }
}

#[test]
fn errors_are_the_drivers() {
    let pools = pools("");
    assert_eq!(pools.allocate(0), Err(DriverError::INVALID_VALUE));
    assert_eq!(pools.allocate(u64::MAX), Err(DriverError::OUT_OF_MEMORY));
    assert_eq!(pools.allocate(1 << 60), Err(DriverError::OUT_OF_MEMORY));
    assert_eq!(pools.free(DevicePtr(0)), Ok(()));
    let ptr = pools.allocate(MIB).unwrap();
    assert_eq!(pools.free(DevicePtr(ptr.0 + 512)), Err(DriverError::INVALID_VALUE));
    assert_eq!(pools.free(ptr), Ok(()));
    assert_eq!(pools.free(ptr), Err(DriverError::INVALID_VALUE), "a double free");
    assert_eq!(counters(&pools).num_ooms, 0, "an impossible size is no lack of memory");
}

#[test]
fn without_a_context_the_driver_is_asked_for_ranges() {
    let pools = pools("");
    let ptr = pools.allocate(1000).unwrap();
    pools.driver().pop_context().unwrap();
    assert_eq!(pools.address_range(ptr), None);
}

#[test]
fn the_range_of_a_block_is_what_was_asked_for_while_the_program_has_it() {
    let pools = pools("");
    let ptr = pools.allocate(1000).unwrap();
    assert_eq!(pools.address_range(DevicePtr(ptr.0 + 999)), Some(Ok((ptr, 1000))));
    assert_eq!(pools.address_range(DevicePtr(ptr.0 + (1 << 30))), None, "the driver knows");
    pools.free(ptr).unwrap();
    assert_eq!(pools.address_range(ptr), Some(Err(DriverError::NOT_FOUND)));
}

#[test]
fn an_impossible_size_costs_nobody_a_cache() {
    let pools = pools("");
    let ptr = pools.allocate(MIB).unwrap();
    pools.free(ptr).unwrap();
    assert_eq!(pools.allocate(2048 * MIB), Err(DriverError::OUT_OF_MEMORY));
    assert_eq!(pools.idle_bytes(), MIB);
}

#[test]
fn idle_memory_never_costs_an_allocation() {
    let pools = pools("max_idle:100%");
    let many: Vec<_> = (0..8).map(|_| pools.allocate(100 * MIB).unwrap()).collect();
    for ptr in many {
        pools.free(ptr).unwrap();
    }
    assert!(pools.allocate(900 * MIB).is_ok());
    let counted = counters(&pools);
    assert_eq!((counted.num_alloc_retries, counted.num_ooms), (1, 0));
    assert_eq!(pools.allocate(900 * MIB), Err(DriverError::OUT_OF_MEMORY));
    let flushes = pools.snapshot().flushes;
    assert_eq!(flushes[0].released, 800 * MIB);
    assert_eq!(flushes[0].idle_after, 0);
}

#[test]
fn memory_on_its_way_to_the_driver_costs_no_allocation_either() {
    let pools = pools("max_idle:100%");
    let ptr = pools.allocate(900 * MIB).unwrap();
    pools.free(ptr).unwrap();
    // Each thread gets as far as it can; a moment too short makes the test miss a mistake, no more.
    let moment = || std::thread::sleep(std::time::Duration::from_millis(20));
    std::thread::scope(|scope| {
        let stopped = pools.driver().freeing.lock();
        scope.spawn(|| pools.flush(FlushReason::Signal));
        moment();
        let needs_it = scope.spawn(|| pools.allocate(800 * MIB));
        moment();
        drop(stopped);
        assert!(needs_it.join().unwrap().is_ok());
    });
}

#[test]
fn the_least_recently_used_goes_first_beyond_the_budget() {
    let pools = pools("max_idle:10M");
    let [a, b, c] = [4 * MIB, 6 * MIB, 8 * MIB].map(|bytes| pools.allocate(bytes).unwrap());
    for ptr in [a, b, c] {
        pools.free(ptr).unwrap();
    }
    assert_eq!(pools.idle_bytes(), 8 * MIB);
    assert_eq!(pools.allocate(8 * MIB), Ok(c));
    assert_eq!(counters(&pools).reserved_bytes.current, 8 * MIB);
    assert_eq!(pools.driver().reserved(), 8 * MIB);
}

#[test]
fn every_free_places_one_fence_and_never_waits() {
    let pools = pools("order:fence");
    for _ in 0..3 {
        let ptr = pools.allocate(MIB).unwrap();
        pools.driver().submit();
        pools.free(ptr).unwrap();
    }
    assert_eq!(pools.driver().count("record_context"), 3);
    assert_eq!(pools.driver().count("context_waits"), 3);
    assert_eq!(pools.driver().count("wait_event"), 0);
    pools.settle();
    assert_eq!(pools.driver().count("wait_event"), 1, "what is owed is paid");
    pools.settle();
    assert_eq!(pools.driver().count("wait_event"), 1, "and only once");
}

#[test]
fn strict_waits_in_every_free() {
    for driver in [FakeDriver::new(MIB * 64), FakeDriver::new(MIB * 64).without_context_events()] {
        let with_events = driver.has_context_events();
        let pools = pools_on(driver, "order:strict");
        for _ in 0..2 {
            let ptr = pools.allocate(MIB).unwrap();
            pools.free(ptr).unwrap();
        }
        let waited = if with_events { "wait_event" } else { "synchronize" };
        assert_eq!(pools.driver().count(waited), 2);
        assert_eq!(pools.driver().count("context_waits"), 0);
        assert_eq!(counters(&pools).host_syncs, 2);
    }
}

#[test]
fn lazy_places_its_fence_before_the_reuse() {
    let pools = pools("order:lazy");
    let ptr = pools.allocate(MIB).unwrap();
    pools.free(ptr).unwrap();
    assert_eq!(pools.driver().count("context_waits"), 0);
    assert_eq!(pools.allocate(MIB), Ok(ptr));
    assert_eq!(pools.driver().count("context_waits"), 1);
}

#[test]
fn one_lazy_fence_orders_all_that_was_freed_before() {
    let pools = pools("order:lazy");
    let [a, b] = [(); 2].map(|()| pools.allocate(MIB).unwrap());
    pools.free(a).unwrap();
    pools.free(b).unwrap();
    pools.allocate(MIB).unwrap();
    pools.allocate(MIB).unwrap();
    assert_eq!(pools.driver().count("context_waits"), 1);
}

#[test]
fn a_driver_without_context_events_is_strict() {
    for conf in ["order:auto", "order:fence", "order:lazy"] {
        let pools = pools_on(FakeDriver::new(MIB * 64).without_context_events(), conf);
        assert_eq!(pools.snapshot().order, "strict");
        assert!(pools.snapshot().order_reason.contains("context events"));
    }
}

#[test]
fn a_sign_turns_auto_strict_and_pays() {
    // One is as good as another to Miri.
    for &sign in &Sign::ALL[..if cfg!(miri) { 1 } else { Sign::ALL.len() }] {
        let pools = pools("order:auto");
        let ptr = pools.allocate(MIB).unwrap();
        pools.free(ptr).unwrap();
        pools.sign(sign);
        assert_eq!(pools.driver().count("wait_event"), 1);
        let snapshot = pools.snapshot();
        assert_eq!((snapshot.order, snapshot.order_reason.as_str()), ("strict", sign.name()));
    }
}

#[test]
fn a_sign_changes_no_order_that_was_asked_for() {
    for order in ["fence", "lazy"] {
        let pools = pools(&format!("order:{order}"));
        pools.sign(Sign::PinnedMemory);
        assert_eq!(pools.snapshot().order, order);
    }
}

#[test]
fn signs_the_pools_see_themselves() {
    let second_thread = pools("");
    second_thread.allocate(MIB).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| second_thread.allocate(MIB).unwrap());
    });
    assert_eq!(second_thread.snapshot().order_reason, "second thread");

    let second_context = pools("");
    second_context.allocate(MIB).unwrap();
    second_context.driver().set_current(Context(0x20));
    second_context.allocate(MIB).unwrap();
    assert_eq!(second_context.snapshot().order_reason, "second context");

    let pageable = pools_on(FakeDriver::new(MIB * 64).with_pageable_access(), "");
    pageable.allocate(MIB).unwrap();
    assert_eq!(pageable.snapshot().order_reason, "pageable memory access");
}

#[test]
fn a_capture_is_left_alone() {
    for order in ["strict", "fence", "lazy", "auto"] {
        let pools = pools(&format!("order:{order}"));
        let before = pools.allocate(MIB).unwrap();
        let during = pools.allocate(MIB).unwrap();
        pools.free(before).unwrap();
        assert_eq!(pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM)), 0);
        pools.free(during).unwrap();
        let fresh = pools.allocate(MIB).unwrap();
        assert_ne!(fresh, during, "nothing orders what was freed during the capture");
        pools.settle();
        pools.sign(Sign::PinnedMemory);
        assert!(!pools.driver().invalidated(), "{order}");
        assert_eq!(pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM)), 0);
        assert!(!pools.driver().invalidated(), "{order}");
    }
}

#[test]
fn a_capture_begins_when_no_fence_is_under_way() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    let began = AtomicBool::new(false);
    // Both threads get as far as they can; a moment too short makes the test miss a mistake, no more.
    let moment = || std::thread::sleep(std::time::Duration::from_millis(20));
    std::thread::scope(|scope| {
        let stopped = pools.driver().recording.lock();
        let fencing = scope.spawn(|| pools.free(ptr));
        moment();
        scope.spawn(|| {
            pools.begin_capture(STREAM, || {
                began.store(true, Ordering::SeqCst);
                pools.driver().start_capture(STREAM)
            })
        });
        moment();
        assert!(!began.load(Ordering::SeqCst), "a fence has looked and not yet been recorded");
        drop(stopped);
        assert_eq!(fencing.join().unwrap(), Ok(()));
    });
    assert!(began.load(Ordering::SeqCst) && !pools.driver().invalidated());
}

#[test]
fn a_capture_that_does_not_begin_holds_nothing_up() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    assert_eq!(pools.begin_capture(STREAM, || 1), 1);
    pools.free(ptr).unwrap();
    assert_eq!(pools.allocate(MIB), Ok(ptr));
}

#[test]
fn more_contexts_than_there_are_slots() {
    let pools = pools("");
    let contexts = table::FAST + 36;
    for context in 1..=contexts {
        pools.driver().set_current(Context(context));
        let ptr = pools.allocate(MIB).unwrap();
        pools.free(ptr).unwrap();
        assert_eq!(pools.allocate(MIB), Ok(ptr));
        if context % 3 == 0 {
            pools.end_context(Context(context), || 0, || false);
            assert_eq!(pools.free(ptr), Ok(()), "the driver's own answer");
        }
    }
    let alive = pools.snapshot().pools.iter().filter(|pool| pool.alive).count();
    assert_eq!(alive, contexts - contexts / 3);
}

#[test]
fn what_a_capture_held_up_comes_back_when_the_host_has_seen_it_done() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(ptr).unwrap();
    pools.driver().submit();
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    assert_eq!(pools.driver().count("context_waits"), 0, "the context waits for no later event");
    assert_ne!(pools.allocate(MIB), Ok(ptr), "not done yet");
    pools.driver().finish();
    assert_eq!(pools.allocate(MIB), Ok(ptr));
}

#[test]
fn the_end_of_a_context_takes_its_blocks_along() {
    let pools = pools("");
    let live = pools.allocate(MIB).unwrap();
    let idle = pools.allocate(2 * MIB).unwrap();
    pools.free(idle).unwrap();
    assert_eq!(pools.end_context(Context(0x10), || 0, || false), 0);
    pools.driver().forget_everything();
    assert_eq!(pools.free(live), Err(DriverError::INVALID_VALUE), "it went with the context");
    let again = pools.allocate(2 * MIB).unwrap();
    assert_eq!(pools.driver().reserved(), 2 * MIB);
    pools.free(again).unwrap();
    let total: u64 = pools.snapshot().pools.iter().map(|p| p.counters.reserved_bytes.current).sum();
    assert_eq!(total, 2 * MIB);
    assert_eq!(pools.snapshot().order, "fence", "one context at a time is one context");
}

#[test]
fn a_context_that_does_not_end_keeps_its_pool() {
    let pools = pools("");
    let ptr = pools.allocate(MIB).unwrap();
    assert_eq!(pools.end_context(Context(0x10), || 201, || true), 201);
    pools.free(ptr).unwrap();
    assert_eq!(pools.flush(FlushReason::EmptyCache).released, MIB);
}

#[test]
fn addresses_the_driver_hands_out_again_evict_stale_records() {
    let pools = pools("");
    let stale = pools.allocate(4 * MIB).unwrap();
    let idle = pools.allocate(8 * MIB).unwrap();
    pools.free(idle).unwrap();
    // The context went away unseen.
    pools.driver().forget_everything();
    let fresh = pools.allocate(16 * MIB).unwrap();
    assert_eq!(fresh, stale, "the driver starts again from the same address");
    assert_eq!(pools.idle_bytes(), 0);
    assert_eq!(counters(&pools).reserved_bytes.current, pools.driver().reserved());
    pools.free(fresh).unwrap();
    assert_eq!(pools.free(stale), Err(DriverError::INVALID_VALUE));
}

#[test]
fn stale_blocks_are_evicted_wherever_they_start_and_whosever_they_are() {
    let pools = pools("");
    pools.allocate(4 * MIB).unwrap();
    let further_in = pools.allocate(8 * MIB).unwrap();
    pools.driver().forget_everything();
    pools.driver().set_current(Context(0x20));
    pools.allocate(32 * MIB).unwrap();
    assert_eq!(pools.free(further_in), Err(DriverError::INVALID_VALUE));
    let [old, new] = pools.snapshot().pools.try_into().unwrap();
    assert_eq!(old.counters.reserved_bytes.current, 0);
    assert_eq!(old.counters.allocation.current, 0);
    assert_eq!(new.counters.reserved_bytes.current, 32 * MIB);
}

#[test]
fn a_free_that_fails_leaves_the_block_with_the_program() {
    let fault = DriverError::from_code(700).unwrap();
    let pools = pools("order:strict");
    let ptr = pools.allocate(MIB).unwrap();
    pools.driver().fail_next("wait_event", fault);
    pools.driver().fail_next("free", fault);
    assert_eq!(pools.free(ptr), Err(fault));
    assert_eq!(counters(&pools).allocation.current, 1);
    assert_eq!(pools.free(ptr), Ok(()));
}

#[test]
fn a_fence_that_fails_becomes_a_wait() {
    let pools = pools("order:fence");
    let ptr = pools.allocate(MIB).unwrap();
    pools.driver().fail_next("context_waits", DriverError::NOT_SUPPORTED);
    assert_eq!(pools.free(ptr), Ok(()));
    assert_eq!(counters(&pools).host_syncs, 1);
    assert_eq!(pools.allocate(MIB), Ok(ptr));
}

#[test]
fn a_refused_release_is_told_and_not_lost() {
    let pools = pools("");
    let ptr = pools.allocate(MIB).unwrap();
    pools.free(ptr).unwrap();
    pools.driver().fail_next("free", DriverError::INVALID_CONTEXT);
    let record = pools.flush(FlushReason::Signal);
    assert_eq!((record.released, record.kept[0].bytes), (0, MIB));
    assert_eq!(counters(&pools).reserved_bytes.current, pools.driver().reserved());
}

#[test]
fn after_closing_everything_goes_to_the_driver() {
    let pools = pools("order:fence");
    let before = pools.allocate(MIB).unwrap();
    let owed = pools.allocate(MIB).unwrap();
    pools.free(owed).unwrap();
    pools.close();
    assert_eq!(pools.driver().count("wait_event"), 1, "what is owed is paid");
    pools.free(before).unwrap();
    let after = pools.allocate(MIB).unwrap();
    pools.free(after).unwrap();
    assert_eq!(pools.driver().count("free"), 2);
    assert_eq!(pools.driver().reserved(), MIB, "the idle block stays for the driver to clean up");
}

#[test]
fn a_retired_pool_reuses_nothing_and_fails_nobody() {
    let pools = pools("");
    let [live, idle] = [(); 2].map(|()| pools.allocate(MIB).unwrap());
    pools.free(idle).unwrap();
    pools.retire("a test");
    assert_eq!(pools.free(live), Ok(()));
    assert_eq!(pools.free(live), Ok(()), "the free that panicked is tried again");
    let fresh = pools.allocate(MIB).unwrap();
    assert!(fresh != live && fresh != idle);
    assert_eq!(pools.flush(FlushReason::Signal).released, 0);
    assert_eq!(pools.snapshot().retired, "a test");
}

#[test]
fn threads_that_allocate_and_free_at_once_keep_the_books() {
    let rounds = if cfg!(miri) { 6 } else { 2000 };
    for order in ["strict", "fence", "lazy"] {
        let pools = pools(&format!("order:{order},max_idle:64M"));
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let pools = &pools;
                scope.spawn(move || {
                    let mut held = Vec::new();
                    for round in 0..rounds {
                        held.push(pools.allocate((1 + (round * 7 + thread) % 9) * MIB).unwrap());
                        if held.len() > 4 {
                            pools.free(held.swap_remove((round % 5) as usize)).unwrap();
                        }
                        if round % 100 == 99 {
                            pools.flush(FlushReason::EmptyCache);
                        }
                    }
                    for ptr in held {
                        pools.free(ptr).unwrap();
                    }
                });
            }
        });
        let counted = counters(&pools);
        assert_eq!(counted.allocated_bytes.current, 0, "{order}");
        assert_eq!(counted.reserved_bytes.current, pools.driver().reserved(), "{order}");
        assert_eq!(counted.reserved_bytes.current, pools.idle_bytes(), "{order}");
        pools.flush(FlushReason::EmptyCache);
        assert_eq!(pools.driver().reserved(), 0, "{order}");
    }
}
