//! What must be reported, although the timing might have been lucky.

use crate::child::aborts;
use crate::cuda::BYTES;

const REUSED: &str = "memory used again by unordered work";
const RELEASED: &str = "memory released while work that the host has not waited for uses it";
const ABSENT: &str = "memory used that is not allocated";

#[test]
fn two_writes_in_two_streams() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let block = cuda.alloc();
        cuda.fill(block, 1, cuda.stream());
        cuda.fill(block, 2, cuda.stream());
    });
}

#[test]
fn a_write_while_another_stream_reads() {
    aborts("copy(", |cuda| {
        cuda.context();
        let (block, other) = (cuda.alloc(), cuda.alloc());
        cuda.copy(other, block, cuda.stream());
        cuda.fill(block, 2, cuda.stream());
    });
}

#[test]
fn a_read_while_another_stream_writes() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let block = cuda.alloc();
        cuda.fill(block, 2, cuda.stream());
        cuda.ends(block, cuda.stream());
    });
}

#[test]
fn ranges_that_overlap_by_a_byte() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let mut block = 0;
        cuda.cuMemAlloc_v2(&mut block, 3 * BYTES);
        cuda.fill(block, 1, cuda.stream());
        cuda.fill(block + BYTES as u64 - 4, 2, cuda.stream());
    });
}

/// The first operation has long run when the second comes, but nothing has made that certain.
#[test]
fn luck_is_no_order() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let block = cuda.alloc();
        cuda.cuMemsetD32Async(block, 1, 4, cuda.stream());
        std::thread::sleep(std::time::Duration::from_millis(20));
        cuda.cuMemsetD32Async(block, 2, 4, cuda.stream());
    });
}

#[test]
fn the_legacy_stream_does_not_order_a_non_blocking_one() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let block = cuda.alloc();
        cuda.fill(block, 1, cuda.stream());
        cuda.cuMemcpyHtoD_v2(block, [7_u32; 4].as_ptr(), 16);
    });
}

/// A later wait of another stream does not help.
#[test]
fn an_event_of_another_stream() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let block = cuda.alloc();
        let (first, second, third) = (cuda.stream(), cuda.stream(), cuda.stream());
        cuda.fill(block, 1, first);
        let event = cuda.recorded(second);
        cuda.cuStreamWaitEvent(third, event, 0);
        cuda.fill(block, 2, third);
    });
}

/// The fence orders what comes after it, behind what came before it: not this.
#[test]
fn work_that_comes_after_the_fences_record() {
    aborts(REUSED, |cuda| {
        let context = cuda.context();
        let block = cuda.alloc();
        let (first, second) = (cuda.stream(), cuda.stream());
        let event = cuda.event();
        cuda.cuCtxRecordEvent(context, event);
        cuda.fill(block, 1, first);
        cuda.cuCtxWaitEvent(context, event);
        cuda.fill(block, 2, second);
    });
}

#[test]
fn unmapped_while_in_use() {
    aborts(RELEASED, |cuda| {
        cuda.context();
        let (address, _) = crate::mapping::mapped(cuda, 1);
        cuda.fill(address, 1, cuda.stream());
        cuda.cuMemUnmap(address, crate::mapping::PAGE);
    });
}

/// A fence orders work on the device; it does not tell the host anything.
#[test]
fn unmapped_behind_a_fence() {
    aborts(RELEASED, |cuda| {
        let context = cuda.context();
        let (address, _) = crate::mapping::mapped(cuda, 1);
        cuda.fill(address, 1, cuda.stream());
        cuda.fence(context);
        cuda.cuMemUnmap(address, crate::mapping::PAGE);
    });
}

#[test]
fn unmapped_while_polled() {
    aborts(RELEASED, |cuda| {
        cuda.context();
        let (address, _) = crate::mapping::mapped(cuda, 1);
        cuda.wait_flag(address, 1, cuda.stream());
        cuda.cuMemUnmap(address, crate::mapping::PAGE);
    });
}

#[test]
fn freed_in_the_wrong_stream() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let (stream, mut block) = (cuda.stream(), 0);
        cuda.cuMemAllocAsync(&mut block, BYTES, stream);
        cuda.fill(block, 1, stream);
        cuda.cuMemFreeAsync(block, cuda.stream());
    });
}

#[test]
fn used_after_free() {
    aborts(ABSENT, |cuda| {
        cuda.context();
        let block = cuda.alloc();
        cuda.cuMemFree_v2(block);
        cuda.fill(block, 1, cuda.stream());
    });
}

#[test]
fn used_beyond_its_end() {
    aborts(ABSENT, |cuda| {
        cuda.context();
        let mut block = 0;
        cuda.cuMemAlloc_v2(&mut block, BYTES - 4);
        cuda.fill(block, 1, cuda.stream());
    });
}

#[test]
fn used_without_access() {
    aborts(ABSENT, |cuda| {
        cuda.context();
        let (address, _) = crate::mapping::mapped(cuda, 1);
        cuda.cuMemSetAccess(address, crate::mapping::PAGE, &[1, 0, 0], 1);
        cuda.fill(address, 1, cuda.stream());
    });
}

#[test]
fn a_graph_beside_a_stream() {
    aborts(REUSED, |cuda| {
        cuda.context();
        let (block, stream) = (cuda.alloc(), cuda.stream());
        let executable = crate::captures::captured_fill(cuda, block, stream);
        cuda.cuGraphLaunch(executable, stream);
        cuda.fill(block, 2, cuda.stream());
    });
}
