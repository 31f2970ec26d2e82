//! What a flush leaves while the device still uses it, and who gives it back.

use super::*;

const BYTES: u64 = 8 * MIB;

fn arena(conf: &str) -> Pools<FakeDriver> {
    pools_on(FakeDriver::new(1024 * MIB).with_vmm(), conf)
}

/// A block of eight mebibytes that the device still uses when it is freed.
fn free_one_in_use(pools: &Pools<FakeDriver>) {
    let ptr = pools.allocate(BYTES).unwrap();
    pools.driver().submit();
    pools.free(ptr).unwrap();
}

#[test]
fn what_the_device_still_uses_goes_when_it_is_done() {
    for order in ["fence", "lazy"] {
        let pools = arena(&format!("order:{order}"));
        free_one_in_use(&pools);
        let flush = pools.flush(FlushReason::EmptyCache);
        assert_eq!((flush.released, flush.pending), (0, BYTES), "{order}");
        assert!(pools.has_rest());
        assert!(pools.flush_rest(), "{order}: it is not done yet");
        assert_eq!(pools.driver().count("unmap_memory"), 0, "{order}");
        pools.driver().finish();
        assert!(!pools.flush_rest(), "{order}: that was all");
        assert!(!pools.has_rest());
        assert_eq!(pools.driver().reserved(), 0, "{order}");
        let record = pools.snapshot().flushes.pop().unwrap();
        assert_eq!((record.released, record.released_later), (0, BYTES), "{order}");
        assert_eq!(record.idle_after, 0, "{order}");
    }
}

/// A block of eight mebibytes that is freed during a capture and that the device still uses.
fn free_one_during_a_capture(pools: &Pools<FakeDriver>) {
    let ptr = pools.allocate(BYTES).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.driver().submit();
    pools.free(ptr).unwrap();
}

fn end_capture(pools: &Pools<FakeDriver>) {
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
}

/// Times that the driver was called and then waits for the device.
fn waits(pools: &Pools<FakeDriver>) -> usize {
    ["free", "wait_event", "synchronize"].map(|call| pools.driver().count(call)).iter().sum()
}

#[test]
fn what_was_freed_during_a_capture_is_not_waited_for_either() {
    for order in ["strict", "fence", "auto"] {
        let pools = arena(&format!("order:{order},max_idle:none"));
        free_one_during_a_capture(&pools);
        let flush = pools.flush(FlushReason::Signal);
        let kept: Vec<_> = flush.kept.iter().map(|kept| (kept.bytes, kept.why)).collect();
        assert_eq!((flush.released, flush.pending), (0, 0), "{order}");
        assert_eq!(kept, [(BYTES, "freed during a stream capture")], "{order}");
        assert!(!pools.has_rest(), "{order}: nothing tells when it is done");

        end_capture(&pools);
        let flush = pools.flush(FlushReason::Signal);
        assert_eq!((flush.released, flush.pending, flush.kept), (0, BYTES, vec![]), "{order}");
        assert!(pools.flush_rest(), "{order}: it is not done yet");
        assert_eq!((waits(&pools), pools.driver().count("unmap_memory")), (0, 0), "{order}");
        pools.driver().finish();
        assert!(!pools.flush_rest(), "{order}: that was all");
        assert_eq!(pools.driver().reserved(), 0, "{order}");
        let record = pools.snapshot().flushes.pop().unwrap();
        assert_eq!((record.released_later, record.idle_after), (BYTES, 0), "{order}");
    }
}

#[test]
fn what_is_freed_during_a_later_capture_is_not_its_business() {
    let pools = arena("order:fence");
    free_one_during_a_capture(&pools);
    end_capture(&pools);
    pools.flush(FlushReason::EmptyCache);
    pools.driver().finish();
    free_one_during_a_capture(&pools);
    end_capture(&pools);
    assert!(!pools.flush_rest());
    assert_eq!(pools.driver().reserved(), BYTES);
}

#[test]
fn a_context_that_is_broken_has_no_rest() {
    let pools = arena("order:fence");
    free_one_during_a_capture(&pools);
    end_capture(&pools);
    pools.flush(FlushReason::EmptyCache);
    pools.driver().fail_next("event_done", DriverError::INVALID_CONTEXT);
    assert!(!pools.flush_rest());
}

#[test]
fn a_device_that_is_about_to_be_done_is_given_a_moment() {
    for captured in [false, true] {
        let pools = arena("order:fence");
        if captured {
            free_one_during_a_capture(&pools);
            end_capture(&pools);
        } else {
            free_one_in_use(&pools);
        }
        pools.driver().finish_when_asked(2);
        let flush = pools.flush(FlushReason::EmptyCache);
        assert_eq!((flush.released, flush.pending), (BYTES, 0));
        assert!(!pools.has_rest());
    }
}

#[test]
fn what_is_freed_after_a_flush_is_not_its_business() {
    let pools = arena("order:fence");
    free_one_in_use(&pools);
    pools.flush(FlushReason::EmptyCache);
    let kept = pools.allocate(64 * MIB).unwrap();
    pools.free(kept).unwrap();
    pools.driver().finish();
    assert!(!pools.flush_rest());
    assert_eq!(pools.driver().reserved(), 64 * MIB);
}

#[test]
fn what_is_used_again_meanwhile_stays() {
    let pools = arena("order:fence");
    free_one_in_use(&pools);
    pools.flush(FlushReason::EmptyCache);
    let again = pools.allocate(BYTES).unwrap();
    pools.driver().finish();
    assert!(!pools.flush_rest());
    assert!(pools.driver().may_use(again, BYTES));
}

#[test]
fn the_end_of_the_context_takes_the_rest_along() {
    let pools = arena("order:fence");
    free_one_in_use(&pools);
    pools.flush(FlushReason::EmptyCache);
    let context = pools.driver().current_context().unwrap().unwrap();
    pools.end_context(context, || 0, || false);
    assert!(!pools.flush_rest());
    assert_eq!((pools.driver().reserved(), pools.driver().reservations()), (0, 0));
}

#[test]
fn what_no_device_holds_is_not_tried() {
    let pools = arena("order:fence");
    assert_eq!(pools.allocate(2048 * MIB), Err(DriverError::OUT_OF_MEMORY));
    assert_eq!(pools.driver().count("create_memory"), 0);
}

#[test]
fn a_context_that_remains_after_all_keeps_the_rest() {
    let pools = arena("order:fence");
    free_one_in_use(&pools);
    pools.flush(FlushReason::EmptyCache);
    let context = pools.driver().current_context().unwrap().unwrap();
    let look = || {
        pools.driver().finish();
        assert!(pools.flush_rest(), "not while the context may be ending");
        1
    };
    pools.end_context(context, look, || true);
    assert!(!pools.flush_rest());
    assert_eq!(pools.driver().reserved(), 0);
}

#[test]
fn beyond_the_budget_what_is_done_goes_with_later_frees() {
    for order in ["strict", "fence", "lazy"] {
        let pools = arena(&format!("order:{order},max_idle:16MiB"));
        for block in [(); 20].map(|()| pools.allocate(BYTES).unwrap()) {
            pools.free(block).unwrap();
        }
        // But for the last one, which the device was not known to be done with.
        assert!(pools.idle_bytes() <= 16 * MIB + BYTES, "{order}");
    }
}
