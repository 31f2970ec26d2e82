//! What is in order must not be reported, and must run in that order.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::child::passes;
use crate::cuda::{BYTES, LATE};

const NOT_READY: u32 = 600;

#[test]
fn one_stream() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, stream) = (cuda.alloc(), cuda.stream());
        cuda.fill(block, 1, stream);
        cuda.fill(block, 2, stream);
        assert_eq!(cuda.ends(block, stream), (2, 2));
    });
}

#[test]
fn reads_beside_reads() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, one, two) = (cuda.alloc(), cuda.alloc(), cuda.alloc());
        cuda.copy(one, block, cuda.stream());
        cuda.copy(two, block, cuda.stream());
        assert_eq!(cuda.cuCtxSynchronize(), 0);
    });
}

#[test]
fn an_event_between_two_streams() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, first, second) = (cuda.alloc(), cuda.stream(), cuda.stream());
        cuda.fill(block, 5, first);
        let event = cuda.recorded(first);
        assert_eq!(cuda.cuStreamWaitEvent(second, event, 0), 0);
        assert_eq!(cuda.ends(block, second), (5, 5));
    });
}

#[test]
fn events_in_a_chain() {
    passes(&[], |cuda| {
        cuda.context();
        let block = cuda.alloc();
        let mut stream = cuda.stream();
        for value in 0..5 {
            cuda.fill(block, value, stream);
            let event = cuda.recorded(stream);
            stream = cuda.stream();
            cuda.cuStreamWaitEvent(stream, event, 0);
        }
        assert_eq!(cuda.ends(block, stream), (4, 4));
    });
}

#[test]
fn a_fence_holds_streams_old_and_new() {
    passes(&[], |cuda| {
        let context = cuda.context();
        let (block, old) = (cuda.alloc(), cuda.stream());
        cuda.fill(block, 5, cuda.stream());
        cuda.fence(context);
        assert_eq!(cuda.ends(block, cuda.stream()), (5, 5));
        cuda.fill(block, 6, cuda.stream());
        cuda.fence(context);
        assert_eq!(cuda.ends(block, old), (6, 6));
        cuda.fill(block, 7, cuda.stream());
        cuda.fence(context);
        let mut word = 0;
        assert_eq!(cuda.cuMemcpyDtoH_v2(&mut word, block, 4), 0);
        assert_eq!(word, 7);
    });
}

#[test]
fn the_legacy_stream_and_blocking_streams() {
    passes(&[], |cuda| {
        cuda.context();
        let block = cuda.alloc();
        cuda.fill(block, 1, cuda.blocking_stream());
        cuda.fill(block, 2, 0);
        cuda.fill(block, 3, cuda.blocking_stream());
        let mut word = 0;
        assert_eq!(cuda.cuMemcpyDtoH_v2(&mut word, block, 4), 0);
        assert_eq!(word, 3);
    });
}

#[test]
fn the_hosts_waits_and_successful_queries() {
    passes(&[], |cuda| {
        cuda.context();
        let block = cuda.alloc();
        let one = cuda.stream();
        cuda.fill(block, 1, one);
        assert_eq!(cuda.cuStreamSynchronize(one), 0);
        let two = cuda.stream();
        cuda.fill(block, 2, two);
        assert_eq!(cuda.cuEventSynchronize(cuda.recorded(two)), 0);
        cuda.fill(block, 3, cuda.stream());
        assert_eq!(cuda.cuCtxSynchronize(), 0);
        let three = cuda.stream();
        cuda.fill(block, 4, three);
        let event = cuda.recorded(three);
        assert_eq!(cuda.cuEventQuery(event), NOT_READY);
        while cuda.cuEventQuery(event) == NOT_READY {}
        assert_eq!(cuda.ends(block, cuda.stream()), (4, 4));
    });
}

/// Native `cudaFree` waits for everything and so orders everything.
#[test]
fn a_free_of_something_else() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, other) = (cuda.alloc(), cuda.alloc());
        let began = Instant::now();
        cuda.fill(block, 1, cuda.stream());
        assert_eq!(cuda.cuMemFree_v2(other), 0);
        assert!(began.elapsed() >= Duration::from_micros(LATE as u64));
        assert_eq!(cuda.ends(block, cuda.stream()), (1, 1));
    });
}

#[test]
fn an_allocation_does_not_wait() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, stream) = (cuda.alloc(), cuda.stream());
        cuda.fill(block, 1, stream);
        cuda.alloc();
        assert_eq!(cuda.cuStreamQuery(stream), NOT_READY);
    });
}

#[test]
fn ordered_memory() {
    passes(&[], |cuda| {
        cuda.context();
        let stream = cuda.stream();
        for value in 0..20 {
            let mut block = 0;
            assert_eq!(cuda.cuMemAllocAsync(&mut block, BYTES, stream), 0);
            assert_eq!(cuda.cuMemsetD32Async(block, value, 4, stream), 0);
            assert_eq!(cuda.cuMemFreeAsync(block, stream), 0);
        }
        assert_eq!(cuda.cuStreamSynchronize(stream), 0);
        let (mut free, mut total) = (0, 0);
        assert_eq!(cuda.cuMemGetInfo_v2(&mut free, &mut total), 0);
        assert_eq!(free, total);
    });
}

#[test]
fn a_plain_free_of_ordered_memory_does_not_wait() {
    passes(&[], |cuda| {
        cuda.context();
        let (stream, mut block) = (cuda.stream(), 0);
        assert_eq!(cuda.cuMemAllocAsync(&mut block, BYTES, stream), 0);
        cuda.fill(block, 1, stream);
        assert_eq!(cuda.cuMemFree_v2(block), 0);
        assert_eq!(cuda.cuStreamQuery(stream), NOT_READY);
        assert_eq!(cuda.cuCtxSynchronize(), 0);
        let (mut free, mut total) = (0, 0);
        assert_eq!(cuda.cuMemGetInfo_v2(&mut free, &mut total), 0);
        assert_eq!(free, total);
    });
}

/// A kernel that spins until another thread submits something, while `cuMemFree` waits for it.
#[test]
fn a_free_stops_only_its_own_thread() {
    passes(&[], |cuda| {
        let context = cuda.context();
        let (flag, other) = (cuda.alloc(), cuda.alloc());
        cuda.cuMemsetD32_v2(flag, 0, 1);
        cuda.cuCtxSynchronize();
        cuda.wait_flag(flag, 1, cuda.stream());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                cuda.cuCtxSetCurrent(context);
                let word = 1;
                assert_eq!(cuda.cuMemcpyHtoDAsync_v2(flag, &word, 4, cuda.stream()), 0);
            });
            assert_eq!(cuda.cuMemFree_v2(other), 0);
        });
    });
}

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: *mut c_void) {
    std::thread::sleep(Duration::from_millis(20));
    CALLS.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn host_functions_run_in_their_place() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, stream) = (cuda.alloc(), cuda.stream());
        assert_eq!(cuda.cuLaunchHostFunc(stream, count, std::ptr::null_mut()), 0);
        let event = cuda.recorded(stream);
        cuda.fill(block, 1, stream);
        assert_eq!(cuda.cuEventQuery(event), NOT_READY);
        assert_eq!(cuda.cuEventSynchronize(event), 0);
        assert_eq!(CALLS.load(Ordering::SeqCst), 1);
        assert_eq!(cuda.cuStreamQuery(stream), NOT_READY);
    });
}

#[test]
fn time_between_two_events() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, stream) = (cuda.alloc(), cuda.stream());
        let start = cuda.recorded(stream);
        cuda.fill(block, 1, stream);
        let end = cuda.recorded(stream);
        let mut milliseconds = 0.0;
        assert_eq!(cuda.cuEventElapsedTime(&mut milliseconds, start, end), NOT_READY);
        assert_eq!(cuda.cuStreamSynchronize(stream), 0);
        assert_eq!(cuda.cuEventElapsedTime(&mut milliseconds, start, end), 0);
        assert!(milliseconds >= LATE as f32 / 1000.0, "{milliseconds} ms");
    });
}

/// The record of uses does not grow with the number of operations.
#[test]
fn many_operations_without_a_wait() {
    passes(&[], |cuda| {
        let context = cuda.context();
        let block = cuda.alloc();
        let (one, two) = (cuda.stream(), cuda.stream());
        let began = Instant::now();
        for value in 0..20_000 {
            assert_eq!(cuda.cuMemsetD32Async(block, value, 4, one), 0);
            cuda.fence(context);
            assert_eq!(cuda.cuMemsetD32Async(block, value, 4, two), 0);
            cuda.fence(context);
        }
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_eq!(cuda.ends(block, one).0, 19_999);
    });
}

#[test]
fn many_threads_at_once() {
    passes(&[], |cuda| {
        let context = cuda.context();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    cuda.cuCtxSetCurrent(context);
                    let stream = cuda.stream();
                    for round in 0..100 {
                        let (value, block) = (thread * 1000 + round, cuda.alloc());
                        assert_eq!(cuda.cuMemsetD32Async(block, value, 1024, stream), 0);
                        assert_eq!(cuda.ends(block, stream), (value, value));
                        assert_eq!(cuda.cuMemFree_v2(block), 0);
                    }
                });
            }
        });
    });
}

#[test]
fn a_thread_has_a_default_stream_of_its_own() {
    passes(&[], |cuda| {
        cuda.context();
        let block = cuda.alloc();
        // 2 is CU_STREAM_PER_THREAD, which is a blocking stream.
        cuda.fill(block, 1, 2);
        cuda.fill(block, 2, 0);
        assert_eq!(cuda.ends(block, 2), (2, 2));
    });
}
