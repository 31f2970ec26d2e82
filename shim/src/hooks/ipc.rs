//! CUDA IPC: handles of ours for memory that the driver has none for.

use std::cell::Cell;
use std::ffi::c_uint;
use std::sync::atomic::{AtomicBool, Ordering};

use cupool::driver::{DevicePtr, Driver, DriverError};
use cupool::ipc::{Handle, Parsed};
use cupool::order::Sign;

use super::{AnyPools, SUCCESS, Status, around, pointer, pooled, pooled_if_made, sign};
use crate::{ipc, notice};

/// `CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS`, the only flags that there are.
const LAZY_ENABLE_PEER_ACCESS: c_uint = 1;

/// `CUipcMemHandle`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MemoryHandle(pub [u8; Handle::BYTES]);

/// `cuIpcGetMemHandle`
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn memory_handle(real: impl Fn() -> Status, out: *mut MemoryHandle, ptr: u64) -> Status {
    static TOLD: AtomicBool = AtomicBool::new(false);
    sign(Sign::Ipc);
    let ours = |pools: &'static AnyPools| {
        // Without a context the driver says so, whatever the pointer.
        matches!(pools.driver().current_context(), Ok(Some(_))).then(|| ipc::handle(pools, ptr))
    };
    if !out.is_null()
        && let Some(bytes) = pooled_if_made(ours).flatten().flatten()
    {
        // SAFETY: not null, so as the caller says.
        unsafe { out.write_unaligned(MemoryHandle(bytes)) };
        return SUCCESS;
    }
    pointer::share("cuIpcGetMemHandle", &TOLD, real, ptr, 1)
}

/// `cuIpcOpenMemHandle`, both versions.
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn open_memory(
    real: impl Fn() -> Status,
    out: *mut u64,
    handle: MemoryHandle,
    flags: c_uint,
) -> Status {
    sign(Sign::Ipc);
    let handle = match Handle::parse(&handle.0) {
        Parsed::Ours(handle) if !out.is_null() && flags == LAZY_ENABLE_PEER_ACCESS => handle,
        Parsed::OtherVersion(version) => {
            static TOLD: AtomicBool = AtomicBool::new(false);
            if TOLD.swap(true, Ordering::Relaxed) {
                return real();
            }
            notice::warn(&format_args!(
                "a CUDA IPC handle of another version of cupool (format {version}) cannot be opened"
            ));
            return real();
        }
        // The driver refuses what is no handle of its own.
        Parsed::Ours(_) => return real(),
        Parsed::Foreign => {
            let status = real();
            if status == SUCCESS {
                pooled(AnyPools::opened_foreign_handle);
            }
            return status;
        }
    };
    let found = Cell::new(0);
    let status = around(real, |pools, _| {
        if matches!(pools.driver().current_context(), Ok(Some(_))) && ipc::is_own(&handle) {
            return DriverError::INVALID_CONTEXT.code();
        }
        match pools.open(&handle, |descriptor| pools.driver().import_memory(descriptor)) {
            Ok(start) => {
                found.set(start.0);
                SUCCESS
            }
            Err(error) => error.code(),
        }
    });
    if status == SUCCESS && found.get() != 0 {
        // SAFETY: not null, so as the caller says.
        unsafe { out.write(found.get()) };
    }
    status
}

/// `cuIpcCloseMemHandle`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn close_memory(real: impl Fn() -> Status, ptr: u64) -> Status {
    around(real, |pools, call| match pools.close_import(DevicePtr(ptr)) {
        Some(closed) => closed.map_or_else(DriverError::code, |()| SUCCESS),
        None => call(),
    })
}
