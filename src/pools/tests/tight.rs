//! Cached memory costs nobody an allocation: before one fails, whatever is idle was looked for.

use std::time::{Duration, Instant};

use super::*;

fn tight(order: &str) -> Pools<FakeDriver> {
    pools_on(FakeDriver::new(64 * MIB).with_vmm(), &format!("order:{order},max_idle:none"))
}

/// Fills the device, and frees nearly all of it while the device works: in two halves, since what
/// lies between them stays.
fn fill_and_free(pools: &Pools<FakeDriver>) {
    let [first, _between, second] = [30, 2, 30].map(|mib| pools.allocate(mib * MIB).unwrap());
    pools.driver().submit();
    pools.free(first).unwrap();
    pools.free(second).unwrap();
}

/// What needs both halves.
fn allocate_both(pools: &Pools<FakeDriver>) -> Result<DevicePtr, DriverError> {
    pools.allocate(60 * MIB)
}

#[test]
fn what_the_device_still_uses_is_waited_for() {
    for order in ["strict", "fence", "lazy", "auto"] {
        let pools = tight(order);
        fill_and_free(&pools);
        allocate_both(&pools).expect(order);
        assert_eq!(counters(&pools).num_ooms, 0, "{order}");
    }
}

#[test]
fn in_every_context_of_the_device() {
    for order in ["strict", "fence", "lazy", "auto"] {
        let pools = tight(order);
        fill_and_free(&pools);
        pools.driver().set_current(Context(0x20));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(5));
                pools.driver().finish();
            });
            allocate_both(&pools).expect(order);
        });
    }
}

#[test]
fn also_while_a_capture_is_under_way() {
    // In `lazy` order a fence would have to be placed now.
    for order in ["strict", "fence", "auto"] {
        let pools = tight(order);
        fill_and_free(&pools);
        pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
        allocate_both(&pools).expect(order);
        assert!(!pools.driver().invalidated(), "{order}");
    }
}

#[test]
fn also_what_was_freed_during_one() {
    for (order, ended) in
        [("strict", false), ("fence", false), ("strict", true), ("fence", true), ("lazy", true)]
    {
        let pools = tight(order);
        pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
        fill_and_free(&pools);
        if ended {
            pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
        }
        allocate_both(&pools).expect(order);
        assert!(!pools.driver().invalidated(), "{order}");
    }
}

#[test]
fn calls_that_are_not_ours_get_it_too() {
    for order in ["strict", "fence", "lazy", "auto"] {
        let pools = tight(order);
        fill_and_free(&pools);
        pools.make_room(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(5));
                pools.driver().finish();
            });
            pools.make_room(true);
        });
        assert_eq!(pools.driver().reserved(), 2 * MIB, "{order}");
        assert!(!pools.make_room(true), "{order}: that was all");
    }
}

#[test]
fn a_context_that_is_broken_holds_nobody_up() {
    let pools = tight("fence");
    fill_and_free(&pools);
    for _ in 0..100 {
        pools.driver().fail_next("event_done", DriverError::INVALID_CONTEXT);
        pools.driver().fail_next("wait_event", DriverError::INVALID_CONTEXT);
    }
    let started = Instant::now();
    assert!(allocate_both(&pools).is_err());
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn of_threads_that_ask_for_more_than_there_is_one_gets_it() {
    for round in 0..if cfg!(miri) { 2 } else { 100 } {
        let driver = FakeDriver::new(1024 * MIB).with_vmm().that_yields();
        let pools = pools_on(driver, "order:fence,max_idle:none");
        let served = std::thread::scope(|scope| {
            // Made of ten handles, each of which is a call of its own.
            let threads = [(); 3].map(|()| scope.spawn(|| pools.allocate(640 * MIB).is_ok()));
            threads.map(|thread| thread.join().unwrap()).iter().filter(|&&served| served).count()
        });
        assert_eq!(served, 1, "in round {round}");
    }
}
