//! What a flush tells adds up, whatever happened before.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Allocate(u64),
    Free(usize),
    /// Not to be recycled from now on.
    Pin(usize),
    /// The program submits work, and the device finishes all there is.
    Submit,
    Finish,
    BeginCapture,
    EndCapture,
    /// The n-th call of the list fails the next time.
    Fail(usize),
    Flush,
    FlushRest,
}

/// Calls on the way of memory to the program and back to the driver.
const CALLS: [&str; 7] = [
    "allocate",
    "push_context",
    "event_done",
    "record_context",
    "create_memory",
    "unmap_memory",
    "release_memory",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![1..MIB, MIB..20 * MIB, 20 * MIB..100 * MIB];
    let step = prop_oneof![
        8 => bytes.prop_map(Step::Allocate),
        8 => any::<usize>().prop_map(Step::Free),
        1 => any::<usize>().prop_map(Step::Pin),
        3 => Just(Step::Submit),
        2 => Just(Step::Finish),
        1 => Just(Step::BeginCapture),
        1 => Just(Step::EndCapture),
        1 => (0..CALLS.len()).prop_map(Step::Fail),
        2 => Just(Step::Flush),
        1 => Just(Step::FlushRest),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 10 } else { 80 })
}

/// Flushes, and compares what is told with what can be seen from outside.
fn flush(pools: &Pools<FakeDriver>) -> Result<(), TestCaseError> {
    let idle = |pools: &Pools<FakeDriver>| {
        let counters = counters(pools);
        counters.reserved_bytes.current - counters.allocated_bytes.current
    };
    let (before, reserved) = (idle(pools), pools.driver().reserved());
    let record = pools.flush(FlushReason::EmptyCache);
    let kept: u64 = record.kept.iter().map(|kept| kept.bytes).sum();
    prop_assert_eq!(record.idle_before, before, "idle is what is reserved and not allocated");
    prop_assert_eq!(record.idle_after, idle(pools));
    prop_assert_eq!(record.released, reserved - pools.driver().reserved());
    prop_assert_eq!(record.idle_before, record.released + record.pending + kept, "{:?}", &record);
    prop_assert_eq!(record.idle_after, record.pending + kept, "{:?}", &record);
    prop_assert!(record.kept.iter().all(|kept| kept.bytes > 0), "{:?}", &record);
    Ok(())
}

fn adds_up(conf: &str, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let pools = pools_on(FakeDriver::new(400 * MIB).with_vmm(), conf);
    let keep = pools.allocate(512).unwrap();
    let native = conf.ends_with("exact");
    let mut held = Vec::new();
    let mut capturing = false;
    for step in steps {
        match step {
            Step::Allocate(bytes) => held.extend(pools.allocate(bytes)),
            Step::Free(at) if !held.is_empty() => {
                let ptr = held.swap_remove(at % held.len());
                if pools.free(ptr).is_err() {
                    held.push(ptr);
                }
            }
            Step::Pin(at) if !held.is_empty() => pools.pin(held[at % held.len()], 1),
            Step::Free(_) | Step::Pin(_) => {}
            Step::Submit => pools.driver().submit(),
            Step::Finish => pools.driver().finish(),
            Step::BeginCapture if !capturing => {
                pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
                capturing = true;
            }
            Step::EndCapture if capturing => {
                pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
                capturing = false;
            }
            Step::BeginCapture | Step::EndCapture => {}
            Step::Fail(call) => {
                // Of an arena nothing is freed so, but for what a wait has just allocated.
                let call =
                    if native && CALLS[call] == "unmap_memory" { "free" } else { CALLS[call] };
                pools.driver().fail_next(call, DriverError::INVALID_VALUE);
            }
            Step::Flush => flush(&pools)?,
            Step::FlushRest => {
                pools.flush_rest();
            }
        }
        prop_assert_eq!(counters(&pools).reserved_bytes.current, pools.driver().reserved());
    }
    if capturing {
        pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    }
    pools.driver().forget_faults();
    for ptr in held.into_iter().chain([keep]) {
        prop_assert_eq!(pools.free(ptr), Ok(()));
    }
    pools.driver().finish();
    flush(&pools)?;
    let last = pools.snapshot().flushes.pop().unwrap();
    // Natively a refusal is for good.
    let refused = |kept: &crate::stats::Kept| native && kept.why.contains("refused");
    prop_assert!(last.kept.iter().all(refused) && last.pending == 0, "{:?}", last);
    let context = pools.driver().current_context().unwrap().unwrap();
    pools.end_context(context, || 0, || false);
    prop_assert_eq!(pools.driver().reservations(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 1 } else { 100 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn of_an_arena_in_fence_order(steps in steps()) {
        adds_up("order:fence,max_idle:none,backing:arena", steps)?;
    }

    #[test]
    fn of_an_arena_in_lazy_order(steps in steps()) {
        adds_up("order:lazy,max_idle:none,backing:arena", steps)?;
    }

    #[test]
    fn of_an_arena_in_strict_order(steps in steps()) {
        adds_up("order:strict,max_idle:64MiB,backing:arena", steps)?;
    }

    #[test]
    fn of_native_blocks(steps in steps()) {
        adds_up("order:fence,max_idle:none,backing:exact", steps)?;
    }
}

/// Where no flush can do anything, it says so.
#[test]
fn of_pools_that_give_nothing_back() {
    let told = |pools: &Pools<FakeDriver>| {
        let record = pools.flush(FlushReason::EmptyCache);
        assert_eq!((record.idle_before, record.released, record.pending), (MIB, 0, 0));
        assert_eq!(record.idle_after, MIB);
        assert_eq!(record.kept.iter().map(|kept| kept.bytes).collect::<Vec<_>>(), [MIB]);
        record.kept[0].why
    };
    let idle = || {
        let pools = pools("");
        let ptr = pools.allocate(MIB).unwrap();
        pools.free(ptr).unwrap();
        pools
    };
    let pools = idle();
    let look = || {
        assert_eq!(told(&pools), "its context is ending");
        1
    };
    pools.end_context(Context(0x10), look, || true);
    pools.retire("a test");
    assert_eq!(told(&pools), "the pool is retired");
    let pools = idle();
    pools.close();
    assert_eq!(told(&pools), "the process is ending");
}
