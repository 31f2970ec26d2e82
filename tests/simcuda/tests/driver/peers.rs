//! What a device may use of another's memory.

use crate::child::{aborts_with, passes};
use crate::cuda::{Cuda, WORDS};

const TWO: &[(&str, &str)] = &[("SIMCUDA_DEVICES", "2"), ("SIMCUDA_PEERS", "1")];
const WITHOUT: &str = "without access to it";

/// A block of the first device, and the context of the second, which is current.
fn block_of_another(cuda: &Cuda) -> (u64, usize) {
    let first = cuda.context();
    let block = cuda.alloc();
    let mut second = 0;
    assert_eq!(cuda.cuDevicePrimaryCtxRetain(&mut second, 1), 0);
    assert_eq!(cuda.cuCtxSetCurrent(second), 0);
    (block, first)
}

fn fill(cuda: &Cuda, block: u64) {
    assert_eq!(cuda.cuMemsetD32_v2(block, 1, WORDS as usize), 0);
    assert_eq!(cuda.cuCtxSynchronize(), 0);
}

#[test]
fn access_must_be_enabled() {
    aborts_with(TWO, WITHOUT, |cuda| {
        let (block, _) = block_of_another(cuda);
        fill(cuda, block);
    });
}

#[test]
fn and_ends_when_it_is_disabled() {
    aborts_with(TWO, WITHOUT, |cuda| {
        let (block, first) = block_of_another(cuda);
        assert_eq!(cuda.cuCtxEnablePeerAccess(first, 0), 0);
        fill(cuda, block);
        assert_eq!(cuda.cuCtxDisablePeerAccess(first), 0);
        fill(cuda, block);
    });
}

#[test]
fn access_to_what_is_mapped_is_by_device() {
    aborts_with(TWO, WITHOUT, |cuda| {
        let (_, first) = block_of_another(cuda);
        assert_eq!(cuda.cuCtxEnablePeerAccess(first, 0), 0);
        let (mut start, mut handle, bytes) = (0, 0, 2 << 20);
        assert_eq!(cuda.cuMemAddressReserve(&mut start, bytes, 0, 0, 0), 0);
        assert_eq!(cuda.cuMemCreate(&mut handle, bytes, &[1, 0, 1, 0, 0, 0, 0, 0], 0), 0);
        assert_eq!(cuda.cuMemMap(start, bytes, 0, handle, 0), 0);
        assert_eq!(cuda.cuMemSetAccess(start, bytes, &[1, 1, 3], 1), 0);
        fill(cuda, start);
        assert_eq!(cuda.cuMemSetAccess(start, bytes, &[1, 1, 0], 1), 0);
        assert_eq!(cuda.cuMemSetAccess(start, bytes, &[1, 0, 3], 1), 0);
        fill(cuda, start);
    });
}

#[test]
fn copies_need_none() {
    passes(TWO, |cuda| {
        let (block, first) = block_of_another(cuda);
        let own = cuda.alloc();
        fill(cuda, own);
        assert_eq!(cuda.cuMemcpyDtoD_v2(block, own, 4), 0);
        assert_eq!(cuda.cuCtxEnablePeerAccess(first, 1), 1);
        assert_eq!(cuda.cuCtxEnablePeerAccess(first, 0), 0);
        assert_eq!(cuda.cuCtxEnablePeerAccess(first, 0), 704);
        assert_eq!(cuda.cuCtxDisablePeerAccess(first), 0);
        assert_eq!(cuda.cuCtxDisablePeerAccess(first), 705);
        let mut own = 0;
        assert_eq!(cuda.cuCtxGetCurrent(&mut own), 0);
        assert_eq!(cuda.cuCtxEnablePeerAccess(own, 0), 217);
    });
}
