//! Everything else that takes device memory: cached memory must not make it fail.
//!
//! These functions run as they are. Only where one fails for lack of memory, the pools give back
//! what they hold idle, and it runs again; and once more when the device is done with the rest. And who asks how much memory is free hears of it.

use std::ffi::{c_char, c_int, c_uint, c_void};

use cupool::driver::DriverError;
use cupool::order::Sign;

use super::real::hooks;
use super::{Real, SUCCESS, Status, fault, memory, pooled_if_made, reclaim, sign};
use crate::predicate;
use crate::table::What;

/// Runs a function that takes memory, again if that helps.
///
/// # Safety
/// None beyond the driver's own. A function that failed for lack of memory has done nothing.
#[inline]
pub unsafe fn retry(real: impl Fn() -> Status) -> Status {
    let status = real();
    if status == SUCCESS { SUCCESS } else { failed(status, real) }
}

#[cold]
fn failed(mut status: Status, real: impl Fn() -> Status) -> Status {
    for wait in [false, true] {
        if status == DriverError::OUT_OF_MEMORY.code() && give_back(wait) {
            status = real();
        }
    }
    fault::tell(status);
    status
}

/// The same for a function that is a sign as well.
///
/// # Safety
/// As for [`retry`].
pub unsafe fn retry_after(real: impl Fn() -> Status, told: Sign) -> Status {
    sign(told);
    // SAFETY: as the caller says.
    unsafe { retry(real) }
}

/// `cuMemCreate`, which can also create memory that the host shares.
///
/// # Safety
/// `properties` is null or points to a `CUmemAllocationProp`.
pub unsafe fn create(real: impl Fn() -> Status, properties: *const c_void) -> Status {
    // SAFETY: as the caller says.
    if unsafe { predicate::is_host_memory(properties as u64) } {
        sign(Sign::HostLocatedMemory);
    }
    // SAFETY: as in the driver.
    unsafe { retry(real) }
}

/// Whether the pools gave anything back, which may `wait` for the device.
#[cold]
fn give_back(wait: bool) -> bool {
    pooled_if_made(|pools| pools.make_room(wait)).unwrap_or(false)
}

hooks! { ROWS of What::Retried, "C-unwind";
    cuMemGetInfo_v2 since 3020 (free: *mut usize, total: *mut usize) = memory::info(free);
    cuMemCreate since 10020
        (out: *mut u64, bytes: usize, properties: *const c_void, flags: u64)
        = reclaim::create(properties);
    cuMemAllocPitch_v2 since 3020
        (out: *mut u64, pitch: *mut usize, width: usize, height: usize, element: c_uint)
        = memory::allocate_rows(out, pitch, width, height, element);
    cuMemMap since 10020 (ptr: u64, bytes: usize, offset: usize, memory: u64, flags: u64)
        = reclaim::retry();
    cuMemSetAccess since 10020
        (ptr: u64, bytes: usize, access: *const c_void, count: usize) = reclaim::retry();
    cuMemAllocAsync since 11020 (out: *mut u64, bytes: usize, stream: usize) = reclaim::retry();
    cuMemAllocAsync_ptsz since 11020 (out: *mut u64, bytes: usize, stream: usize)
        = reclaim::retry();
    cuMemAllocFromPoolAsync since 11020
        (out: *mut u64, bytes: usize, pool: usize, stream: usize) = reclaim::retry();
    cuMemAllocFromPoolAsync_ptsz since 11020
        (out: *mut u64, bytes: usize, pool: usize, stream: usize) = reclaim::retry();
    cuArrayCreate_v2 since 3020 (out: *mut usize, descriptor: *const c_void) = reclaim::retry();
    cuArray3DCreate_v2 since 3020 (out: *mut usize, descriptor: *const c_void) = reclaim::retry();
    cuMipmappedArrayCreate since 5000
        (out: *mut usize, descriptor: *const c_void, levels: c_uint) = reclaim::retry();

    cuCtxSetLimit since 3010 (limit: c_int, value: usize) = reclaim::retry();
    cuStreamCreate since 2000 (out: *mut usize, flags: c_uint) = reclaim::retry();
    cuStreamCreateWithPriority since 5050 (out: *mut usize, flags: c_uint, priority: c_int)
        = reclaim::retry();
    cuEventCreate since 2000 (out: *mut usize, flags: c_uint) = reclaim::retry();

    cuModuleLoad since 2000 (out: *mut usize, file: *const c_char) = reclaim::retry();
    cuModuleLoadData since 2000 (out: *mut usize, image: *const c_void) = reclaim::retry();
    cuModuleLoadDataEx since 2010
        (out: *mut usize, image: *const c_void, count: c_uint, options: *mut c_int,
         values: *mut c_void) = reclaim::retry();
    cuModuleLoadFatBinary since 2000 (out: *mut usize, binary: *const c_void) = reclaim::retry();
    cuModuleGetFunction since 2000 (out: *mut usize, module: usize, name: *const c_char)
        = reclaim::retry();
    cuLibraryLoadData since 12000
        (out: *mut usize, code: *const c_void, options: *mut c_int, values: *mut c_void,
         count: c_uint, library_options: *mut c_int, library_values: *mut c_void,
         library_count: c_uint) = reclaim::retry();
    cuLibraryLoadFromFile since 12000
        (out: *mut usize, file: *const c_char, options: *mut c_int, values: *mut c_void,
         count: c_uint, library_options: *mut c_int, library_values: *mut c_void,
         library_count: c_uint) = reclaim::retry();
    cuLibraryGetModule since 12000 (out: *mut usize, library: usize) = reclaim::retry();
    cuLibraryGetGlobal since 12000
        (out: *mut u64, bytes: *mut usize, library: usize, name: *const c_char)
        = reclaim::retry();
    cuKernelGetFunction since 12000 (out: *mut usize, kernel: usize) = reclaim::retry();
    cuFuncLoad since 12040 (function: usize) = reclaim::retry();

    cuGraphInstantiate since 10000
        (out: *mut usize, graph: usize, node: *mut usize, log: *mut c_char, bytes: usize)
        = reclaim::retry();
    cuGraphInstantiate_v2 since 11000
        (out: *mut usize, graph: usize, node: *mut usize, log: *mut c_char, bytes: usize)
        = reclaim::retry();
    cuGraphInstantiateWithFlags since 11040 (out: *mut usize, graph: usize, flags: u64)
        = reclaim::retry();
    cuGraphInstantiateWithParams since 12000
        (out: *mut usize, graph: usize, parameters: *mut c_void) = reclaim::retry();
    cuGraphInstantiateWithParams_ptsz since 12000
        (out: *mut usize, graph: usize, parameters: *mut c_void) = reclaim::retry();
    cuGraphUpload since 11010 (executable: usize, stream: usize) = reclaim::retry();
    cuGraphUpload_ptsz since 11010 (executable: usize, stream: usize) = reclaim::retry();
    cuGraphLaunch since 10000 (executable: usize, stream: usize) = reclaim::retry();
    cuGraphLaunch_ptsz since 10000 (executable: usize, stream: usize) = reclaim::retry();
    cuLaunch since 2000 (function: usize) = reclaim::retry();
    cuLaunchGrid since 2000 (function: usize, width: c_int, height: c_int) = reclaim::retry();
    cuLaunchGridAsync since 2000
        (function: usize, width: c_int, height: c_int, stream: usize) = reclaim::retry();
    cuLaunchKernel since 4000
        (function: usize, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint,
         block_y: c_uint, block_z: c_uint, shared: c_uint, stream: usize,
         parameters: *mut c_void, extra: *mut c_void) = reclaim::retry();
    cuLaunchKernel_ptsz since 7000
        (function: usize, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint,
         block_y: c_uint, block_z: c_uint, shared: c_uint, stream: usize,
         parameters: *mut c_void, extra: *mut c_void) = reclaim::retry();
    cuLaunchKernelEx since 11060
        (config: *const c_void, function: usize, parameters: *mut c_void, extra: *mut c_void)
        = reclaim::retry();
    cuLaunchKernelEx_ptsz since 11060
        (config: *const c_void, function: usize, parameters: *mut c_void, extra: *mut c_void)
        = reclaim::retry();
    cuLaunchCooperativeKernel since 9000
        (function: usize, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint,
         block_y: c_uint, block_z: c_uint, shared: c_uint, stream: usize,
         parameters: *mut c_void) = reclaim::retry();
    cuLaunchCooperativeKernel_ptsz since 9000
        (function: usize, grid_x: c_uint, grid_y: c_uint, grid_z: c_uint, block_x: c_uint,
         block_y: c_uint, block_z: c_uint, shared: c_uint, stream: usize,
         parameters: *mut c_void) = reclaim::retry();
    cuLaunchCooperativeKernelMultiDevice since 9000
        (parameters: *mut c_void, count: c_uint, flags: c_uint) = reclaim::retry();
}
