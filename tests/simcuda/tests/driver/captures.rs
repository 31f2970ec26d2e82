//! Captures: what they record, and what disturbs them. Results as measured on an H200.

use crate::child::passes;
use crate::cuda::{BYTES, Cuda};

const UNSUPPORTED: u32 = 900;
const INVALIDATED: u32 = 901;
const MODES: [u32; 3] = [0, 1, 2];
const RELAXED: u32 = 2;

/// A graph that fills a block with 9.
pub fn captured_fill(cuda: &Cuda, block: u64, stream: usize) -> usize {
    let (mut graph, mut executable) = (0, 0);
    assert_eq!(cuda.cuStreamBeginCapture_v2(stream, 0), 0);
    cuda.fill(block, 9, stream);
    assert_eq!(cuda.cuStreamEndCapture(stream, &mut graph), 0);
    assert_eq!(cuda.cuGraphInstantiateWithFlags(&mut executable, graph, 0), 0);
    executable
}

/// Begins a capture, makes a call, ends it: both results.
fn during(cuda: &Cuda, mode: u32, call: impl FnOnce(usize) -> u32) -> (u32, u32) {
    let (stream, mut graph) = (cuda.stream(), 0);
    assert_eq!(cuda.cuStreamBeginCapture_v2(stream, mode), 0);
    let result = call(stream);
    (result, cuda.cuStreamEndCapture(stream, &mut graph))
}

#[test]
fn nothing_runs_until_the_launch() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, stream) = (cuda.alloc(), cuda.stream());
        cuda.cuMemsetD32Async(block, 1, 1024, stream);
        let executable = captured_fill(cuda, block, stream);
        assert_eq!(cuda.ends(block, stream), (1, 1));
        assert_eq!(cuda.cuGraphLaunch(executable, stream), 0);
        assert_eq!(cuda.ends(block, stream), (9, 9));
    });
}

#[test]
fn streams_fork_and_join() {
    passes(&[], |cuda| {
        cuda.context();
        let (one, two) = (cuda.alloc(), cuda.alloc());
        let (stream, side, mut graph, mut executable) = (cuda.stream(), cuda.stream(), 0, 0);
        assert_eq!(cuda.cuStreamBeginCapture_v2(stream, 0), 0);
        let fork = cuda.recorded(stream);
        cuda.cuStreamWaitEvent(side, fork, 0);
        cuda.fill(one, 3, side);
        let join = cuda.recorded(side);
        cuda.cuStreamWaitEvent(stream, join, 0);
        cuda.copy(two, one, stream);
        assert_eq!(cuda.cuStreamEndCapture(stream, &mut graph), 0);
        assert_eq!(cuda.cuGraphInstantiateWithFlags(&mut executable, graph, 0), 0);
        assert_eq!(cuda.cuGraphLaunch(executable, stream), 0);
        assert_eq!(cuda.cuGraphLaunch(executable, stream), 0);
        assert_eq!(cuda.ends(two, stream), (3, 3));
    });
}

#[test]
fn allocations_and_frees() {
    passes(&[], |cuda| {
        cuda.context();
        for mode in MODES {
            let (mut made, old) = (0, cuda.alloc());
            let expected = if mode == RELAXED { (0, 0) } else { (UNSUPPORTED, INVALIDATED) };
            assert_eq!(during(cuda, mode, |_| cuda.cuMemAlloc_v2(&mut made, BYTES)), expected);
            assert_eq!(during(cuda, mode, |_| cuda.cuMemFree_v2(old)), expected);
            let ordered = |_| cuda.cuMemAllocAsync(&mut made, BYTES, cuda.stream());
            assert_eq!(during(cuda, mode, ordered), expected);
        }
    });
}

#[test]
fn the_same_in_a_relaxed_thread() {
    passes(&[], |cuda| {
        cuda.context();
        for mode in MODES {
            let mut made = 0;
            let call = |_| {
                let mut thread_mode = RELAXED;
                cuda.cuThreadExchangeStreamCaptureMode(&mut thread_mode);
                let result = cuda.cuMemAlloc_v2(&mut made, BYTES) | cuda.cuMemFree_v2(made);
                cuda.cuThreadExchangeStreamCaptureMode(&mut thread_mode);
                assert_eq!(thread_mode, RELAXED);
                result
            };
            assert_eq!(during(cuda, mode, call), (0, 0));
        }
    });
}

#[test]
fn fences_and_synchronisation_in_every_mode() {
    passes(&[], |cuda| {
        let context = cuda.context();
        let disturbed = (UNSUPPORTED, INVALIDATED);
        for mode in MODES {
            let event = cuda.event();
            assert_eq!(during(cuda, mode, |_| cuda.cuCtxRecordEvent(context, event)), disturbed);
            assert_eq!(during(cuda, mode, |_| cuda.cuCtxWaitEvent(context, event)), disturbed);
            assert_eq!(during(cuda, mode, |_| cuda.cuCtxSynchronize()), disturbed);
            assert_eq!(during(cuda, mode, |stream| cuda.cuStreamQuery(stream)), disturbed);
        }
    });
}

#[test]
fn queries_of_other_events() {
    passes(&[], |cuda| {
        cuda.context();
        let event = cuda.recorded(cuda.stream());
        let disturbed = (UNSUPPORTED, INVALIDATED);
        assert_eq!(during(cuda, 0, |_| cuda.cuEventQuery(event)), disturbed);
        assert_eq!(during(cuda, 1, |_| cuda.cuEventQuery(event)), disturbed);
        assert_eq!(during(cuda, RELAXED, |_| cuda.cuEventQuery(event)), (0, 0));
    });
}

#[test]
fn another_thread() {
    passes(&[], |cuda| {
        let context = cuda.context();
        let elsewhere = || {
            std::thread::scope(|scope| {
                let call = || {
                    cuda.cuCtxSetCurrent(context);
                    cuda.cuMemAlloc_v2(&mut 0, BYTES)
                };
                scope.spawn(call).join().expect("no panic")
            })
        };
        assert_eq!(during(cuda, 0, |_| elsewhere()), (UNSUPPORTED, INVALIDATED));
        assert_eq!(during(cuda, 1, |_| elsewhere()), (0, 0));
        assert_eq!(during(cuda, RELAXED, |_| elsewhere()), (0, 0));
    });
}

#[test]
fn memory_management_does_not_disturb() {
    passes(&[], |cuda| {
        cuda.context();
        for mode in MODES {
            let call = |_| {
                let (address, handle) = crate::mapping::mapped(cuda, 1);
                cuda.cuMemUnmap(address, crate::mapping::PAGE) | cuda.cuMemRelease(handle)
            };
            assert_eq!(during(cuda, mode, call), (0, 0));
        }
    });
}

#[test]
fn the_legacy_stream_beside_a_capturing_blocking_stream() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, stream, mut graph) = (cuda.alloc(), cuda.blocking_stream(), 0);
        assert_eq!(cuda.cuStreamBeginCapture_v2(stream, RELAXED), 0);
        assert_eq!(cuda.cuMemsetD32_v2(block, 1, 4), 906);
        assert_eq!(cuda.cuStreamEndCapture(stream, &mut graph), INVALIDATED);
        assert_eq!(during(cuda, 0, |_| cuda.cuMemsetD32_v2(block, 1, 4)), (0, 0));
    });
}

#[test]
fn a_fork_that_is_not_joined() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, side) = (cuda.alloc(), cuda.stream());
        let fork = |stream| {
            let event = cuda.recorded(stream);
            cuda.cuStreamWaitEvent(side, event, 0);
            cuda.fill(block, 1, side);
            0
        };
        assert_eq!(during(cuda, 0, fork), (0, 904));
        let mut status = 7;
        assert_eq!(cuda.cuStreamIsCapturing(side, &mut status), 0);
        assert_eq!(status, 0);
    });
}
