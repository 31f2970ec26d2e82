//! The default memory pool: what it keeps, and what trimming gives back.

use crate::child::passes;
use crate::cuda::Cuda;

const MIB: usize = 1 << 20;
const RELEASE_THRESHOLD: u32 = 4;
const RESERVED: u32 = 5;

/// What is taken from the device.
fn used(cuda: &Cuda) -> usize {
    let (mut free, mut total) = (0, 0);
    assert_eq!(cuda.cuMemGetInfo_v2(&mut free, &mut total), 0);
    total - free
}

/// What the pool has taken, and what is taken from the device.
fn taken(cuda: &Cuda, pool: usize) -> (u64, usize) {
    let mut reserved = 0;
    assert_eq!(cuda.cuMemPoolGetAttribute(pool, RESERVED, &mut reserved), 0);
    (reserved, used(cuda))
}

fn allocate_and_free(cuda: &Cuda, bytes: usize) {
    let (mut pointer, stream) = (0, cuda.stream());
    assert_eq!(cuda.cuMemAllocAsync(&mut pointer, bytes, stream), 0);
    assert_eq!(cuda.cuMemFreeAsync(pointer, stream), 0);
    assert_eq!(cuda.cuStreamSynchronize(stream), 0);
}

#[test]
fn freed_memory_is_kept_up_to_the_threshold() {
    passes(&[], |cuda| {
        cuda.context();
        let mut pool = 0;
        assert_eq!(cuda.cuDeviceGetDefaultMemPool(&mut pool, 0), 0);
        allocate_and_free(cuda, 8 * MIB);
        assert_eq!(taken(cuda, pool), (0, 0), "natively the threshold is 0");
        let threshold = 6 * MIB as u64;
        assert_eq!(cuda.cuMemPoolSetAttribute(pool, RELEASE_THRESHOLD, &threshold), 0);
        allocate_and_free(cuda, 8 * MIB);
        assert_eq!(taken(cuda, pool), (6 << 20, 6 * MIB));
        allocate_and_free(cuda, 4 * MIB);
        assert_eq!(taken(cuda, pool), (6 << 20, 6 * MIB), "taken from what is kept");
        assert_eq!(cuda.cuMemPoolTrimTo(pool, 2 * MIB), 0);
        assert_eq!(taken(cuda, pool), (2 << 20, 2 * MIB));
        assert_eq!(cuda.cuMemPoolTrimTo(pool, 0), 0);
        assert_eq!(taken(cuda, pool), (0, 0));
    });
}

#[test]
fn what_is_in_use_is_not_trimmed() {
    passes(&[], |cuda| {
        cuda.context();
        let (mut pool, mut pointer, stream) = (0, 0, cuda.stream());
        assert_eq!(cuda.cuDeviceGetDefaultMemPool(&mut pool, 0), 0);
        assert_eq!(cuda.cuMemAllocAsync(&mut pointer, 8 * MIB, stream), 0);
        assert_eq!(cuda.cuMemPoolTrimTo(pool, 0), 0);
        assert_eq!(taken(cuda, pool), (8 << 20, 8 * MIB));
    });
}

#[test]
fn only_pools_that_exist() {
    passes(&[], |cuda| {
        cuda.context();
        assert_ne!(cuda.cuDeviceGetDefaultMemPool(&mut 0, 1), 0);
        assert_ne!(cuda.cuMemPoolTrimTo(0x1234, 0), 0);
    });
}
