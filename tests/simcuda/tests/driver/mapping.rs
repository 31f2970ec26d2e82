//! Virtual memory management.

use crate::child::passes;
use crate::cuda::Cuda;

/// The granularity, in bytes.
pub const PAGE: usize = 2 << 20;
const INVALID_VALUE: u32 = 1;
const PINNED_ON_DEVICE_0: [u32; 8] = [1, 0, 1, 0, 0, 0, 0, 0];
const READ_WRITE: [u32; 3] = [1, 0, 3];

/// Reserves, creates and maps: the address, and the handle of the last page.
pub fn mapped(cuda: &Cuda, pages: usize) -> (u64, u64) {
    let (mut address, mut handle) = (0, 0);
    assert_eq!(cuda.cuMemAddressReserve(&mut address, pages * PAGE, 0, 0, 0), 0);
    for page in 0..pages {
        assert_eq!(cuda.cuMemCreate(&mut handle, PAGE, &PINNED_ON_DEVICE_0, 0), 0);
        assert_eq!(cuda.cuMemMap(address + (page * PAGE) as u64, PAGE, 0, handle, 0), 0);
    }
    assert_eq!(cuda.cuMemSetAccess(address, pages * PAGE, &READ_WRITE, 1), 0);
    (address, handle)
}

#[test]
fn one_memory_at_two_addresses() {
    passes(&[], |cuda| {
        cuda.context();
        let (first, handle) = mapped(cuda, 1);
        let mut second = 0;
        assert_eq!(cuda.cuMemAddressReserve(&mut second, PAGE, 0, 0, 0), 0);
        assert_eq!(cuda.cuMemMap(second, PAGE, 0, handle, 0), 0);
        assert_eq!(cuda.cuMemSetAccess(second, PAGE, &READ_WRITE, 1), 0);
        let stream = cuda.stream();
        cuda.fill(first, 5, stream);
        assert_eq!(cuda.ends(second, stream), (5, 5));
    });
}

#[test]
fn a_use_may_span_mappings() {
    passes(&[], |cuda| {
        cuda.context();
        let (address, _) = mapped(cuda, 2);
        let stream = cuda.stream();
        let across = address + PAGE as u64 - 8;
        cuda.fill(across, 5, stream);
        assert_eq!(cuda.ends(across, stream), (5, 5));
    });
}

#[test]
fn errors() {
    passes(&[], |cuda| {
        cuda.context();
        let (address, handle) = mapped(cuda, 2);
        assert_eq!(cuda.cuMemMap(address, PAGE, 0, handle, 0), 208);
        assert_eq!(cuda.cuMemUnmap(address, PAGE / 2), INVALID_VALUE);
        assert_eq!(cuda.cuMemAddressFree(address, 2 * PAGE), INVALID_VALUE);
        assert_eq!(cuda.cuMemCreate(&mut 0, PAGE + 4096, &PINNED_ON_DEVICE_0, 0), INVALID_VALUE);
        assert_eq!(cuda.cuMemUnmap(address, 2 * PAGE), 0);
        assert_eq!(cuda.cuMemAddressFree(address, 2 * PAGE), 0);
        assert_eq!(cuda.cuMemRelease(handle), 0);
        assert_eq!(cuda.cuMemRelease(handle), INVALID_VALUE);
    });
}

#[test]
fn memory_lasts_until_it_is_unmapped_and_released() {
    passes(&[("SIMCUDA_MEMORY", "2097152")], |cuda| {
        cuda.context();
        let (address, handle) = mapped(cuda, 1);
        assert_eq!(cuda.cuMemRelease(handle), 0);
        assert_eq!(cuda.cuMemCreate(&mut 0, PAGE, &PINNED_ON_DEVICE_0, 0), 2);
        assert_eq!(cuda.cuMemUnmap(address, PAGE), 0);
        assert_eq!(cuda.cuMemCreate(&mut 0, PAGE, &PINNED_ON_DEVICE_0, 0), 0);
    });
}

#[test]
fn a_device_without() {
    passes(&[("SIMCUDA_NO_VMM", "1")], |cuda| {
        cuda.context();
        assert_eq!(cuda.cuMemAddressReserve(&mut 0, PAGE, 0, 0, 0), 801);
        assert_eq!(cuda.cuMemCreate(&mut 0, PAGE, &PINNED_ON_DEVICE_0, 0), 801);
        cuda.alloc();
    });
}
