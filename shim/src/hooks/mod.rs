//! The functions that programs find instead of the driver's.
//!
//! Each is a few lines: one call of the pools ([`entry`](crate::entry)), one mapping to a
//! `CUresult`. Whenever there is nobody to ask, the real function runs.

pub mod capture;
mod context;
pub mod fault;
mod global;
pub mod green;
mod ipc;
mod lookup;
mod memory;
mod pointer;
mod real;
pub mod reclaim;

use std::ffi::{c_char, c_int, c_uint, c_void};

use cupool::order::Sign;

use capture::per_thread;
pub use real::Real;
use real::hooks;

use crate::entry::{
    AnyPools, NO_ANSWER, SUCCESS, Status, answer, around, pooled, pooled_if_made, sign,
};
use crate::table::What;

hooks! { ROWS of What::Hook, "C";
    cuMemAlloc_v2 since 3020 (out: *mut u64, bytes: usize) = memory::allocate(out, bytes);
    cuMemFree_v2 since 3020 (ptr: u64) = memory::free(ptr);
    cuMemFreeAsync since 11020 (ptr: u64, stream: usize) = memory::free_in_stream(ptr);
    cuMemFreeAsync_ptsz since 11020 (ptr: u64, stream: usize) = memory::free_in_stream(ptr);
    cuMemGetAddressRange_v2 since 3020 (base: *mut u64, size: *mut usize, ptr: u64)
        = memory::address_range(base, size, ptr);

    cuMemHostAlloc since 2020 (out: *mut *mut c_void, bytes: usize, flags: c_uint)
        = reclaim::retry_after(Sign::PinnedMemory);
    cuMemAllocHost since 2000 (out: *mut *mut c_void, bytes: c_uint)
        = reclaim::retry_after(Sign::PinnedMemory);
    cuMemAllocHost_v2 since 3020 (out: *mut *mut c_void, bytes: usize)
        = reclaim::retry_after(Sign::PinnedMemory);
    cuMemHostRegister since 4000 (ptr: *mut c_void, bytes: usize, flags: c_uint)
        = reclaim::retry_after(Sign::RegisteredMemory);
    cuMemHostRegister_v2 since 6050 (ptr: *mut c_void, bytes: usize, flags: c_uint)
        = reclaim::retry_after(Sign::RegisteredMemory);
    cuMemAllocManaged since 6000 (out: *mut u64, bytes: usize, flags: c_uint)
        = reclaim::retry_after(Sign::ManagedMemory);
    cuGreenCtxCreate since 12040
        (out: *mut usize, resources: usize, device: c_int, flags: c_uint)
        = green::create(out, device);
    cuGreenCtxDestroy since 12040 (green: usize) = green::destroy(green);
    cuCtxFromGreenCtx since 12040 (out: *mut usize, green: usize) = green::convert(out, green);
    cuGreenCtxStreamCreate since 12050
        (out: *mut usize, context: usize, flags: c_uint, priority: c_int)
        = reclaim::retry_after(Sign::GreenContext);

    cuPointerGetAttribute since 4000 (data: *mut c_void, attribute: c_int, ptr: u64)
        = pointer::attribute(data, attribute, ptr);
    cuPointerGetAttributes since 7000
        (count: c_uint, attributes: *const c_int, data: *const *mut c_void, ptr: u64)
        = pointer::attributes(count, attributes, data, ptr);
    cuPointerSetAttribute since 6000 (value: *const c_void, attribute: c_int, ptr: u64)
        = pointer::set_attribute(attribute, ptr);
    cuIpcGetMemHandle since 4010 (out: *mut ipc::MemoryHandle, ptr: u64)
        = ipc::memory_handle(out, ptr);
    cuIpcOpenMemHandle since 4010
        (out: *mut u64, handle: ipc::MemoryHandle, flags: c_uint)
        = ipc::open_memory(out, handle, flags);
    cuIpcOpenMemHandle_v2 since 11000
        (out: *mut u64, handle: ipc::MemoryHandle, flags: c_uint)
        = ipc::open_memory(out, handle, flags);
    cuIpcCloseMemHandle since 4010 (ptr: u64) = ipc::close_memory(ptr);
    cuMemRetainAllocationHandle since 11000 (handle: *mut u64, ptr: *const c_void)
        = pointer::retain_handle(ptr as u64);
    cuMemGetHandleForAddressRange since 11070
        (handle: *mut c_void, ptr: u64, bytes: usize, kind: c_int, flags: u64)
        = pointer::range_handle(ptr, bytes);

    cuModuleGetGlobal_v2 since 3020
        (out: *mut u64, bytes: *mut usize, module: usize, name: *const c_char)
        = global::find(out);

    cuGetProcAddress since 11030
        (name: *const c_char, found: *mut usize, version: c_int, flags: u64)
        = lookup::look_up(name, found);
    cuGetProcAddress_v2 since 12000
        (name: *const c_char, found: *mut usize, version: c_int, flags: u64, status: *mut c_int)
        = lookup::look_up(name, found);

    cuCtxSetCurrent since 4000 (context: usize) = context::make_current(context);
    cuCtxPushCurrent since 2000 (context: usize) = context::make_current(context);
    cuCtxPushCurrent_v2 since 4000 (context: usize) = context::make_current(context);
    cuCtxAttach since 2000 (out: *mut usize, flags: u32) = context::attach(out);
    cuCtxCreate since 2000 (out: *mut usize, flags: u32, device: c_int) = context::create(out);
    cuCtxCreate_v2 since 3020 (out: *mut usize, flags: u32, device: c_int) = context::create(out);
    cuCtxCreate_v3 since 11040
        (out: *mut usize, affinity: *mut c_void, count: c_int, flags: u32, device: c_int)
        = context::create(out);
    cuCtxCreate_v4 since 12050
        (out: *mut usize, parameters: *mut c_void, flags: u32, device: c_int)
        = context::create(out);
    cuCtxDestroy since 2000 (context: usize) = context::destroy(context);
    cuCtxDestroy_v2 since 4000 (context: usize) = context::destroy(context);
    cuCtxDetach since 2000 (context: usize) = context::detach(context);
    cuDevicePrimaryCtxRetain since 7000 (out: *mut usize, device: c_int)
        = context::retain_primary(out, device);
    cuDevicePrimaryCtxRelease since 7000 (device: c_int) = context::release_primary(device);
    cuDevicePrimaryCtxRelease_v2 since 11000 (device: c_int) = context::release_primary(device);
    cuDevicePrimaryCtxReset since 7000 (device: c_int) = context::reset_primary(device);
    cuDevicePrimaryCtxReset_v2 since 11000 (device: c_int) = context::reset_primary(device);

    cuCtxEnablePeerAccess since 4000 (peer: usize, flags: c_uint)
        = context::enable_peer_access(peer);

    cuStreamBeginCapture since 10000 (stream: usize) = capture::begin(stream);
    cuStreamBeginCapture_ptsz since 10000 (stream: usize) = capture::begin(per_thread(stream));
    cuStreamBeginCapture_v2 since 10010 (stream: usize, mode: c_int) = capture::begin(stream);
    cuStreamBeginCapture_v2_ptsz since 10010 (stream: usize, mode: c_int)
        = capture::begin(per_thread(stream));
    cuStreamBeginCaptureToGraph since 12030
        (stream: usize, graph: usize, dependencies: *mut c_void, data: *mut c_void,
         count: usize, mode: c_int) = capture::begin(stream);
    cuStreamBeginCaptureToGraph_ptsz since 12030
        (stream: usize, graph: usize, dependencies: *mut c_void, data: *mut c_void,
         count: usize, mode: c_int) = capture::begin(per_thread(stream));
    cuStreamBeginRecaptureToGraph since 13030
        (stream: usize, mode: c_int, graph: usize, callback: *mut c_void, data: *mut c_void)
        = capture::begin(stream);
    cuStreamBeginRecaptureToGraph_ptsz since 13030
        (stream: usize, mode: c_int, graph: usize, callback: *mut c_void, data: *mut c_void)
        = capture::begin(per_thread(stream));
    cuStreamBeginCaptureToCig since 13010 (stream: usize, parameters: *mut c_void)
        = capture::begin(stream);
    cuStreamBeginCaptureToCig_ptsz since 13010 (stream: usize, parameters: *mut c_void)
        = capture::begin(per_thread(stream));
    cuStreamEndCapture since 10000 (stream: usize, graph: *mut usize) = capture::end(stream);
    cuStreamEndCapture_ptsz since 10000 (stream: usize, graph: *mut usize)
        = capture::end(per_thread(stream));
    cuStreamEndCaptureToCig since 13010 (stream: usize) = capture::end(stream);
    cuStreamEndCaptureToCig_ptsz since 13010 (stream: usize) = capture::end(per_thread(stream));
    cuStreamDestroy since 2000 (stream: usize) = capture::destroy_stream(stream);
    cuStreamDestroy_v2 since 4000 (stream: usize) = capture::destroy_stream(stream);
}
