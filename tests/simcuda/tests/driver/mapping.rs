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
fn what_is_exported_is_the_memory_itself() {
    const SHAREABLE_ON_DEVICE_0: [u32; 8] = [1, 1, 1, 0, 0, 0, 0, 0];
    passes(&[], |cuda| {
        cuda.context();
        let (mut address, mut handle, mut imported) = (0, 0, 0);
        let mut descriptor = -1;
        assert_eq!(cuda.cuMemAddressReserve(&mut address, 2 * PAGE, 0, 0, 0), 0);
        assert_eq!(cuda.cuMemCreate(&mut handle, PAGE, &SHAREABLE_ON_DEVICE_0, 0), 0);
        assert_eq!(cuda.cuMemMap(address, PAGE, 0, handle, 0), 0);
        assert_eq!(cuda.cuMemSetAccess(address, PAGE, &READ_WRITE, 1), 0);
        let stream = cuda.stream();
        cuda.fill(address, 5, stream);
        assert_eq!(cuda.cuStreamSynchronize(stream), 0);
        assert_eq!(cuda.cuMemExportToShareableHandle(&mut descriptor, handle, 1, 0), 0);
        let number = descriptor as usize;
        assert_eq!(cuda.cuMemImportFromShareableHandle(&mut imported, number, 1), 0);
        let second = address + PAGE as u64;
        assert_eq!(cuda.cuMemMap(second, PAGE, 0, imported, 0), 0);
        assert_eq!(cuda.cuMemSetAccess(second, PAGE, &READ_WRITE, 1), 0);
        assert_eq!(cuda.ends(second, stream), (5, 5), "what was there before");
        cuda.fill(second, 6, stream);
        assert_eq!(cuda.ends(address, stream), (6, 6), "and what is written later");
        assert_eq!(cuda.cuMemExportToShareableHandle(&mut descriptor, 999, 1, 0), INVALID_VALUE);
        assert_eq!(cuda.cuMemImportFromShareableHandle(&mut imported, 9999, 1), INVALID_VALUE);
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

/// What is mapped keeps its memory, but the handle is gone with its release.
#[test]
fn a_handle_is_released_once() {
    passes(&[], |cuda| {
        cuda.context();
        let (address, handle) = mapped(cuda, 1);
        assert_eq!(cuda.cuMemRelease(handle), 0);
        assert_eq!(cuda.cuMemRelease(handle), INVALID_VALUE);
        let mut second = 0;
        assert_eq!(cuda.cuMemAddressReserve(&mut second, PAGE, 0, 0, 0), 0);
        assert_eq!(cuda.cuMemMap(second, PAGE, 0, handle, 0), INVALID_VALUE);
        let mut again = 0;
        assert_eq!(cuda.cuMemRetainAllocationHandle(&mut again, address), 0);
        assert_eq!(cuda.cuMemMap(second, PAGE, 0, again, 0), 0);
        assert_eq!(cuda.cuMemRelease(again), 0);
    });
}

#[test]
fn a_mapping_is_unmapped_once_and_whole() {
    passes(&[], |cuda| {
        cuda.context();
        let (mut address, mut handle) = (0, 0);
        assert_eq!(cuda.cuMemAddressReserve(&mut address, 4 * PAGE, 0, 0, 0), 0);
        assert_eq!(cuda.cuMemCreate(&mut handle, 2 * PAGE, &PINNED_ON_DEVICE_0, 0), 0);
        assert_eq!(cuda.cuMemMap(address, 2 * PAGE, 0, handle, 0), 0);
        for (at, bytes) in [(0, PAGE), (PAGE, PAGE), (0, 3 * PAGE), (2 * PAGE, PAGE)] {
            assert_eq!(cuda.cuMemUnmap(address + at as u64, bytes), INVALID_VALUE);
        }
        assert_eq!(cuda.cuMemUnmap(address, 2 * PAGE), 0);
        assert_eq!(cuda.cuMemUnmap(address, 2 * PAGE), INVALID_VALUE);
    });
}

#[test]
fn allocations_keep_out_of_reservations() {
    passes(&[], |cuda| {
        cuda.context();
        let (mut address, bytes) = (0, 8 * PAGE);
        assert_eq!(cuda.cuMemAddressReserve(&mut address, bytes, 0, 0, 0), 0);
        let reserved = address..address + bytes as u64;
        for _ in 0..32 {
            let mut block = 0;
            assert_eq!(cuda.cuMemAlloc_v2(&mut block, PAGE), 0);
            assert!(!reserved.contains(&block), "{block:#x} in {reserved:x?}");
        }
    });
}

/// The context's end takes no mapping along, and unmapping needs no context.
#[test]
fn mappings_outlive_contexts() {
    passes(&[], |cuda| {
        cuda.context();
        let (address, handle) = mapped(cuda, 2);
        assert_eq!(cuda.cuDevicePrimaryCtxReset_v2(0), 0);
        assert_eq!(cuda.cuCtxSetCurrent(0), 0);
        assert_eq!(cuda.cuMemUnmap(address, 2 * PAGE), 0);
        assert_eq!(cuda.cuMemRelease(handle), 0);
        assert_eq!(cuda.cuMemAddressFree(address, 2 * PAGE), 0);
    });
}

/// What a program asks before it shares memory.
#[test]
fn pointer_attributes() {
    const CONTEXT: u32 = 1;
    const BUFFER_ID: u32 = 7;
    const LEGACY_IPC: u32 = 10;
    const RANGE_START: u32 = 11;
    const RANGE_SIZE: u32 = 12;
    passes(&[], |cuda| {
        let context = cuda.context() as u64;
        let (address, _) = mapped(cuda, 2);
        let block = cuda.alloc();
        let ask = |attribute, pointer| {
            let mut value = 0_u64;
            (cuda.cuPointerGetAttribute(&mut value, attribute, pointer) == 0).then_some(value)
        };
        let inside = address + PAGE as u64 + 7;
        assert_eq!(ask(CONTEXT, inside), Some(0));
        assert_eq!(ask(CONTEXT, block + 7), Some(context));
        assert_eq!(ask(RANGE_START, inside), Some(address));
        assert_eq!(ask(RANGE_SIZE, inside), Some(2 * PAGE as u64));
        assert_eq!(ask(LEGACY_IPC, inside), Some(0));
        assert_eq!(ask(LEGACY_IPC, block), Some(1));
        let first = ask(BUFFER_ID, block);
        assert_eq!(cuda.cuMemFree_v2(block), 0);
        assert_eq!(ask(CONTEXT, block), None);
        assert_eq!(cuda.alloc(), block);
        assert_ne!(ask(BUFFER_ID, block), first, "another allocation at the same address");
        let (mut handle, mut ipc) = (0, [0; 8]);
        assert_eq!(cuda.cuMemRetainAllocationHandle(&mut handle, block), INVALID_VALUE);
        assert_eq!(cuda.cuIpcGetMemHandle(&mut ipc, address), INVALID_VALUE);
        assert_eq!(cuda.cuIpcGetMemHandle(&mut ipc, block), 0);
    });
}

/// What is left at the end is told.
#[test]
fn leftovers_are_counted() {
    let path = std::env::temp_dir().join(format!("simcuda-left-{}", std::process::id()));
    passes(&[("SIMCUDA_LEFT", path.to_str().expect("a plain path"))], |cuda| {
        cuda.context();
        let (address, handle) = mapped(cuda, 3);
        assert_eq!(cuda.cuMemUnmap(address, PAGE), 0);
        assert_eq!(cuda.cuMemRelease(handle), 0);
    });
    if std::env::var_os("SIMCUDA_LEFT").is_some() {
        return; // the child, which writes it as it ends
    }
    let text = std::fs::read_to_string(&path).expect("the child has written it");
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(text, "mappings 2\nmemory 3\nreservations 1\n");
}
