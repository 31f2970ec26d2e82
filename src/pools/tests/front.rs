//! What is freed stands in front of the backing, and nobody may notice.

use super::*;

fn with_vmm() -> FakeDriver {
    FakeDriver::new(1024 * MIB).with_vmm()
}

#[test]
fn a_pool_does_not_grow_while_any_thread_has_what_serves() {
    for driver in [FakeDriver::new(1024 * MIB), with_vmm()] {
        let pools = pools_on(driver, "order:fence");
        let ptr = pools.allocate(66 * MIB).unwrap();
        pools.free(ptr).unwrap();
        let before = pools.driver().reserved();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| pools.allocate(64 * MIB));
            assert_eq!(other.join().unwrap(), Ok(ptr));
        });
        assert_eq!(pools.driver().reserved(), before);
    }
}

#[test]
fn a_hole_is_not_cut_up_while_another_thread_has_what_fits() {
    let pools = pools_on(with_vmm(), "order:fence");
    pools.free(pools.allocate(24 * MIB).unwrap()).unwrap();
    let [large, _between] = [16, 2].map(|size| pools.allocate(size * MIB).unwrap());
    let fits = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let fits = pools.allocate(6 * MIB).unwrap();
            pools.free(fits).unwrap();
            fits
        });
        other.join().unwrap()
    });
    pools.free(large).unwrap();
    assert_eq!(pools.allocate(6 * MIB), Ok(fits));
    assert_eq!(pools.allocate(16 * MIB), Ok(large));
}

#[test]
fn a_crowd_leaves_nothing_behind_when_a_pool_would_grow() {
    let pools = pools_on(with_vmm(), "order:fence");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let two = [(); 2].map(|()| pools.allocate(MIB).unwrap());
                for ptr in two {
                    pools.free(ptr).unwrap();
                }
            });
        }
    });
    let before = pools.driver().reserved();
    pools.allocate(before).unwrap();
    assert_eq!(pools.driver().reserved(), before);
}

#[test]
fn small_holes_join_before_a_pool_grows() {
    let pools = pools_on(with_vmm(), "order:fence");
    let many: Vec<_> = (0..8).map(|_| pools.allocate(4 * MIB).unwrap()).collect();
    for ptr in many {
        pools.free(ptr).unwrap();
    }
    let before = pools.driver().reserved();
    pools.allocate(32 * MIB).unwrap();
    assert_eq!(pools.driver().reserved(), before);
}

#[test]
fn a_flush_finds_what_every_thread_has_freed() {
    for driver in [FakeDriver::new(1024 * MIB), with_vmm()] {
        let pools = pools_on(driver, "order:strict");
        std::thread::scope(|scope| {
            for thread in 1..4 {
                let pools = &pools;
                scope.spawn(move || pools.free(pools.allocate(thread * MIB).unwrap()));
            }
        });
        let idle = pools.idle_bytes();
        assert_eq!(idle, pools.driver().reserved());
        assert_eq!(pools.flush(FlushReason::EmptyCache).released, idle);
        assert_eq!((pools.idle_bytes(), pools.driver().reserved()), (0, 0));
    }
}

#[test]
fn the_range_of_a_block_is_that_of_its_last_request() {
    for driver in [FakeDriver::new(1024 * MIB), with_vmm()] {
        let pools = pools_on(driver, "");
        let ptr = pools.allocate(3 * MIB).unwrap();
        pools.free(ptr).unwrap();
        assert_eq!(pools.allocate(3 * MIB + 1000), Ok(ptr), "the same class");
        let end = DevicePtr(ptr.0 + 3 * MIB + 1000);
        assert_eq!(pools.address_range(DevicePtr(end.0 - 1)), Some(Ok((ptr, 3 * MIB + 1000))));
        assert_eq!(pools.address_range(end), Some(Err(DriverError::NOT_FOUND)));
        pools.free(ptr).unwrap();
        pools.allocate(2 * MIB + 1).unwrap();
        assert_eq!(pools.address_range(DevicePtr(end.0 - 1)), Some(Err(DriverError::NOT_FOUND)));
        assert_eq!(counters(&pools).requested_bytes.current, 2 * MIB + 1);
    }
}

#[test]
fn what_one_thread_allocates_and_another_frees_does_not_pile_up() {
    let pools = pools_on(with_vmm(), "order:fence");
    let (send, receive) = std::sync::mpsc::sync_channel::<DevicePtr>(4);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for ptr in receive {
                pools.free(ptr).unwrap();
            }
        });
        for round in 0..if cfg!(miri) { 20 } else { 2000 } {
            send.send(pools.allocate((1 + round % 3) * 2 * MIB).unwrap()).unwrap();
        }
        drop(send);
    });
    let counted = counters(&pools);
    // Six blocks at once are in somebody's hands at most; what is reserved may be in pieces.
    assert!(counted.reserved_bytes.peak <= 64 * MIB, "{}", counted.reserved_bytes.peak);
    assert_eq!(counted.allocated_bytes.current, 0);
    assert_eq!(pools.idle_bytes(), pools.driver().reserved());
}

#[test]
fn threads_keep_the_books_of_an_arena() {
    let pools = pools_on(with_vmm(), "order:fence");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let pools = &pools;
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..if cfg!(miri) { 6 } else { 2000 } {
                    held.push(pools.allocate((1 + (round * 7 + thread) % 9) * MIB / 2).unwrap());
                    if held.len() > 4 {
                        pools.free(held.swap_remove((round % 5) as usize)).unwrap();
                    }
                    if round % 500 == 99 {
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
    assert_eq!(counted.allocated_bytes.current, 0);
    assert_eq!(counted.allocation.allocated, counted.allocation.freed);
    assert_eq!(counted.hits + counted.misses, counted.allocation.allocated);
    assert_eq!(counted.reserved_bytes.current, pools.driver().reserved());
    assert_eq!(counted.reserved_bytes.current, pools.idle_bytes());
    assert!(counted.allocated_bytes.peak <= counted.reserved_bytes.peak);
}

#[test]
fn more_threads_than_shards_keep_the_books() {
    let pools = pools_on(with_vmm(), "order:fence");
    let (threads, rounds) = if cfg!(miri) { (3, 2) } else { (100, 40) };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for round in 1..=rounds {
                    pools.free(pools.allocate(round % 4 * 4096 + 1).unwrap()).unwrap();
                }
            });
        }
    });
    let counted = counters(&pools);
    assert_eq!(counted.allocation.allocated, threads * rounds);
    assert_eq!(counted.allocation.current, 0);
    assert!(counted.allocation.peak <= threads, "never so many at once");
    assert_eq!(counted.reserved_bytes.current, pools.idle_bytes());
    assert!(counted.fences <= threads * rounds);
}

/// The same memory must not be handed out before work that used it.
/// What was freed during a capture comes back with the next miss; hits have nothing to do with it.
#[test]
fn hits_ask_for_nothing_that_captures_hold_up() {
    let pools = pools_on(with_vmm(), "order:fence");
    let held_up = pools.allocate(4 * MIB).unwrap();
    for ptr in [(); 8].map(|()| pools.allocate(4096).unwrap()) {
        pools.free(ptr).unwrap();
    }
    let calls =
        || ["relax_capture_mode", "event_done"].map(|call| pools.driver().count(call)).iter().sum();
    let hit = || (0..4).for_each(|_| assert!(pools.allocate(4096).is_ok()));
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(held_up).unwrap();
    let before: usize = calls();
    hit();
    assert_eq!(calls(), before, "while the capture is under way");
    pools.driver().submit();
    pools.end_capture(STREAM, || pools.driver().stop_capture(STREAM));
    let before = calls();
    hit();
    assert_eq!(calls(), before, "while the device is at it");
    pools.driver().finish();
    assert_eq!(pools.allocate(4 * MIB), Ok(held_up));
}

#[test]
fn misses_ask_for_nothing_while_the_capture_is_under_way() {
    let pools = pools_on(with_vmm(), "order:fence");
    let [held_up, _beside] = [(); 2].map(|()| pools.allocate(4096).unwrap());
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    pools.free(held_up).unwrap();
    let before = pools.driver().count("relax_capture_mode");
    pools.allocate(4096).expect("their page has room for it");
    assert_eq!(pools.driver().count("relax_capture_mode"), before);
}

#[test]
fn during_a_capture_nothing_comes_back_that_no_fence_orders() {
    let pools = pools("order:lazy");
    let ptr = pools.allocate(MIB).unwrap();
    pools.free(ptr).unwrap();
    pools.begin_capture(STREAM, || pools.driver().start_capture(STREAM));
    assert_ne!(pools.allocate(MIB), Ok(ptr));
    assert!(!pools.driver().invalidated());
}

#[test]
fn peaks_start_again_from_what_is_held() {
    let pools = pools("");
    let [kept, freed] = [(); 2].map(|()| pools.allocate(4 * MIB).unwrap());
    pools.free(freed).unwrap();
    pools.reset_peaks();
    let peaks = |pools| {
        let counted = counters(pools);
        (counted.allocated_bytes.peak, counted.allocation.peak, counted.reserved_bytes.peak)
    };
    assert_eq!(peaks(&pools), (4 * MIB, 1, 8 * MIB));
    assert_eq!(pools.allocate(4 * MIB), Ok(freed));
    assert_eq!(peaks(&pools), (8 * MIB, 2, 8 * MIB));
    pools.free(kept).unwrap();
}

#[test]
fn a_lazy_fence_serves_for_several_small_blocks_of_memory_that_is_there() {
    let pools = pools_on(with_vmm(), "order:lazy");
    let rounds = 64;
    let pairs = |bytes| {
        let before = pools.driver().count("context_waits");
        for _ in 0..rounds {
            pools.free(pools.allocate(bytes).unwrap()).unwrap();
        }
        pools.driver().count("context_waits") - before
    };
    let small = pairs(4096);
    assert!(small <= rounds / 4 + 24, "{small} fences");
    assert!(small >= rounds / 4 - 2, "{small} fences: each block needs one before its reuse");
    let reserved = pools.driver().reserved();
    pools.free(pools.allocate(16 * MIB).unwrap()).unwrap();
    let grown = pools.driver().reserved();
    assert!(grown <= reserved + 16 * MIB);
    assert_eq!(pairs(16 * MIB), rounds, "a large block is not kept twice");
    assert_eq!(pools.driver().reserved(), grown);
}

#[test]
fn a_lazy_reuse_prefers_what_needs_no_fence() {
    let pools = pools("order:lazy");
    let [early, late, other] = [(); 3].map(|()| pools.allocate(MIB).unwrap());
    pools.free(early).unwrap();
    pools.free(other).unwrap();
    assert_eq!(pools.allocate(MIB), Ok(other), "and a fence orders both");
    pools.free(late).unwrap();
    assert_eq!(pools.allocate(MIB), Ok(early));
    assert_eq!(pools.driver().count("context_waits"), 1);
}

/// While one thread is in the middle of the backing's books, the hits of others go on.
#[test]
fn hits_wait_for_no_other_thread() {
    // Only one that waits takes that long, also under Miri.
    let (pairs, patience) = if cfg!(miri) { (40, 300) } else { (100, 60) };
    for conf in ["order:fence", "order:lazy", "order:strict", "order:fence,backing:exact"] {
        let pools = pools_on(with_vmm(), conf);
        let pair = |bytes| pools.free(pools.allocate(bytes).unwrap()).unwrap();
        let (go, wait) = std::sync::mpsc::channel();
        let (ready, prepared) = std::sync::mpsc::channel();
        let (done, result) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let hits = scope.spawn(|| {
                let (wait, ready, done) = (wait, ready, done);
                // In lazy order a few blocks more are asked for in the first rounds.
                (0..pairs).for_each(|_| pair(4096));
                ready.send(()).unwrap();
                wait.recv().unwrap();
                (0..pairs).for_each(|_| pair(4096));
                done.send(()).unwrap();
            });
            prepared.recv().unwrap();
            let pool = pools.table.all().pop().unwrap();
            pool.backing().count(&mut |_| {
                go.send(()).unwrap();
                let done = result.recv_timeout(std::time::Duration::from_secs(patience));
                assert!(done.is_ok(), "{conf}: it waits for the backing");
            });
            hits.join().unwrap();
        });
    }
}
