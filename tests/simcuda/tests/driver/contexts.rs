//! Contexts, their ends, and faults. Results as measured on an H200.

use crate::child::passes;
use crate::cuda::BYTES;

const INVALID_CONTEXT: u32 = 201;
const ILLEGAL_ADDRESS: u32 = 700;
const DESTROYED: u32 = 709;

#[test]
fn a_reset_takes_everything_but_mappings() {
    passes(&[], |cuda| {
        let context = cuda.context();
        let block = cuda.alloc();
        let (address, handle) = crate::mapping::mapped(cuda, 1);
        assert_eq!(cuda.cuDevicePrimaryCtxReset_v2(0), 0);
        let mut current = 0;
        assert_eq!(cuda.cuCtxGetCurrent(&mut current), 0);
        assert_eq!(current, context);
        assert_eq!(cuda.cuMemFree_v2(block), DESTROYED);
        assert_eq!(cuda.cuMemAlloc_v2(&mut 0, BYTES), DESTROYED);
        let mut active = 7;
        cuda.cuDevicePrimaryCtxGetState(0, &mut 0, &mut active);
        assert_eq!(active, 0);

        assert_eq!(cuda.context(), context);
        assert_eq!(cuda.alloc(), block, "the same address comes again");
        assert_eq!(cuda.cuMemUnmap(address, crate::mapping::PAGE), 0);
        assert_eq!(cuda.cuMemRelease(handle), 0);
    });
}

#[test]
fn a_reset_leaves_the_retains() {
    passes(&[], |cuda| {
        cuda.context();
        cuda.cuDevicePrimaryCtxReset_v2(0);
        cuda.context();
        assert_eq!(cuda.cuDevicePrimaryCtxRelease_v2(0), 0);
        cuda.alloc();
        assert_eq!(cuda.cuDevicePrimaryCtxRelease_v2(0), 0);
        assert_eq!(cuda.cuMemAlloc_v2(&mut 0, BYTES), DESTROYED);
        assert_eq!(cuda.cuDevicePrimaryCtxRelease_v2(0), INVALID_CONTEXT);
    });
}

#[test]
fn two_devices() {
    passes(&[("SIMCUDA_DEVICES", "2")], |cuda| {
        let first = cuda.context();
        let block = cuda.alloc();
        let (mut second, mut free, mut total) = (0, 0, 0);
        assert_eq!(cuda.cuDevicePrimaryCtxRetain(&mut second, 1), 0);
        assert_ne!(first, second);
        assert_eq!(cuda.cuCtxSetCurrent(second), 0);
        cuda.cuMemGetInfo_v2(&mut free, &mut total);
        assert_eq!(free, total);
        let other = cuda.alloc();
        assert_ne!(block, other);
        assert_eq!(cuda.cuMemFree_v2(block), 0, "from whichever context is current");
        cuda.cuMemGetInfo_v2(&mut free, &mut total);
        assert_eq!(total - free, 4096);
        assert_eq!(cuda.cuDevicePrimaryCtxRetain(&mut second, 2), 101);
    });
}

#[test]
fn no_context() {
    passes(&[], |cuda| {
        assert_eq!(cuda.cuMemAlloc_v2(&mut 0, BYTES), 3);
        assert_eq!(cuda.cuInit(0), 0);
        assert_eq!(cuda.cuMemAlloc_v2(&mut 0, BYTES), INVALID_CONTEXT);
        assert_eq!(cuda.cuMemFree_v2(0), 0);
    });
}

#[test]
fn destruction_waits_and_frees() {
    passes(&[], |cuda| {
        let primary = cuda.context();
        let mut context = 0;
        assert_eq!(cuda.cuCtxCreate_v2(&mut context, 0, 0), 0);
        cuda.fill(cuda.alloc(), 1, cuda.stream());
        assert_eq!(cuda.cuCtxDestroy_v2(context), 0);
        let mut current = 0;
        cuda.cuCtxGetCurrent(&mut current);
        assert_eq!(current, primary);
        let (mut free, mut total) = (0, 0);
        cuda.cuMemGetInfo_v2(&mut free, &mut total);
        assert_eq!(free, total);
    });
}

#[test]
fn a_fault_shows_at_the_next_wait_and_stays() {
    passes(&[], |cuda| {
        cuda.context();
        let (block, stream) = (cuda.alloc(), cuda.stream());
        let before = cuda.recorded(stream);
        assert_eq!(cuda.launch(c"fault", stream, &[]), 0);
        assert_eq!(cuda.cuEventQuery(before), 0);
        assert_eq!(cuda.cuMemAlloc_v2(&mut 0, BYTES), 0);
        assert_eq!(cuda.cuMemFree_v2(block), ILLEGAL_ADDRESS);
        assert_eq!(cuda.cuEventQuery(before), ILLEGAL_ADDRESS);
        assert_eq!(cuda.cuMemAlloc_v2(&mut 0, BYTES), ILLEGAL_ADDRESS);
        assert_eq!(cuda.cuCtxSynchronize(), ILLEGAL_ADDRESS);
        assert_eq!(cuda.cuMemAddressReserve(&mut 0, crate::mapping::PAGE, 0, 0, 0), 0);
    });
}

fn print(cuda: &crate::cuda::Cuda) {
    let (number, delay) = (41_i32, 0_i64);
    let parameters = [(&raw const number).cast(), (&raw const delay).cast()];
    assert_eq!(cuda.launch(c"print", cuda.stream(), &parameters), 0);
}

#[test]
fn a_print_shows_at_a_wait() {
    let text = passes(&[], |cuda| {
        cuda.context();
        let block = cuda.alloc();
        print(cuda);
        cuda.cuMemFree_v2(block);
    });
    assert!(text.is_empty() || text.contains("device says 41\n"), "{text}");
}

#[test]
fn a_print_nobody_waits_for_is_lost() {
    let text = passes(&[], |cuda| {
        cuda.context();
        print(cuda);
    });
    assert!(!text.contains("device says"), "{text}");
}

#[test]
fn a_forked_child_is_not_initialised() {
    passes(&[], |cuda| {
        cuda.context();
        // SAFETY: the child makes one call of a library that is good for that, and leaves.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let result = cuda.cuMemAlloc_v2(&mut 0, BYTES);
            // SAFETY: leaves without running anything of the parent's.
            unsafe { libc::_exit(result as i32) };
        }
        let mut status = 0;
        // SAFETY: the status has room.
        unsafe { libc::waitpid(child, &mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 3);
    });
}
