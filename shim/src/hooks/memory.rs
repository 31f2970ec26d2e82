//! Allocation, free, and what is asked about a block.

use std::cell::Cell;
use std::ffi::c_uint;

use cupool::driver::{DevicePtr, DriverError};
use cupool::pools::Rows;

use super::{NO_ANSWER, SUCCESS, Status, answer, around, pooled, pooled_if_made, reclaim};
use crate::state;

/// `CUDA_ERROR_OUT_OF_MEMORY`
const OUT_OF_MEMORY: Status = DriverError::OUT_OF_MEMORY.code();
/// `CUDA_ERROR_INVALID_CONTEXT`
const INVALID_CONTEXT: Status = DriverError::INVALID_CONTEXT.code();

/// `cuMemAlloc`
///
/// # Safety
/// `out` is null or can be written.
#[inline]
pub unsafe fn allocate(real: impl Fn() -> Status, out: *mut u64, bytes: usize) -> Status {
    if out.is_null() {
        return real();
    }
    let found = Cell::new(0);
    let status = answer(|pools| match pools.allocate(bytes as u64) {
        Ok(ptr) => {
            found.set(ptr.0);
            SUCCESS
        }
        Err(error) => error.code(),
    });
    match status {
        NO_ANSWER => return real(),
        // For the errors as the driver does: null (measured, driver 580).
        // SAFETY: not null, so as the caller says.
        SUCCESS | OUT_OF_MEMORY | INVALID_CONTEXT => unsafe { out.write(found.get()) },
        _ => {}
    }
    status
}

/// `cuMemAllocPitch`: what the pools do not know the pitch of, or do not have, is the driver's.
///
/// # Safety
/// `out` and `pitch` are null or can be written.
pub unsafe fn allocate_rows(
    real: impl Fn() -> Status,
    out: *mut u64,
    pitch: *mut usize,
    width: usize,
    height: usize,
    element: c_uint,
) -> Status {
    if out.is_null() || pitch.is_null() {
        return real();
    }
    let rows = Rows { width: width as u64, height: height as u64, element };
    if let Some((ptr, found)) = pooled(|pools| pools.allocate_rows(rows)).flatten() {
        // SAFETY: not null, so as the caller says.
        unsafe {
            out.write(ptr.0);
            pitch.write(found as usize);
        }
        return SUCCESS;
    }
    // SAFETY: a call that failed for lack of memory has done nothing.
    let status = unsafe { reclaim::retry(real) };
    if status == SUCCESS {
        // SAFETY: not null, and the driver has just written it.
        let found = unsafe { *pitch };
        pooled(|pools| pools.learn_pitch(rows, found as u64));
    }
    status
}

/// `cuMemFree`
///
/// # Safety
/// None beyond the driver's own.
#[inline]
pub unsafe fn free(real: impl Fn() -> Status, ptr: u64) -> Status {
    // What was allocated before there were pools is the driver's.
    if state::pools().is_none() {
        return real();
    }
    let status = answer(|pools| match pools.free(DevicePtr(ptr)) {
        Ok(()) => SUCCESS,
        Err(error) => error.code(),
    });
    if status == NO_ANSWER { real() } else { status }
}

/// `cuMemFreeAsync`, which also takes what `cuMemAlloc` gave.
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn free_in_stream(real: impl Fn() -> Status, ptr: u64) -> Status {
    around(real, |pools, call| pools.free_by(DevicePtr(ptr), call))
}

/// `cuMemGetInfo`: what the pools hold idle is free to the program.
///
/// # Safety
/// `free` is null or can be written.
pub unsafe fn info(real: impl Fn() -> Status, free: *mut usize) -> Status {
    let status = real();
    if status == SUCCESS && !free.is_null() {
        // SAFETY: not null, and the driver has just written it.
        let told = unsafe { *free };
        if let Some(bytes) = pooled_if_made(|pools| pools.free_memory(told as u64)) {
            // SAFETY: the same.
            unsafe { free.write(bytes as usize) };
        }
    }
    status
}

/// `cuMemGetAddressRange`
///
/// # Safety
/// `base` and `size` are null or can be written.
pub unsafe fn address_range(
    real: impl Fn() -> Status,
    base: *mut u64,
    size: *mut usize,
    ptr: u64,
) -> Status {
    let range = pooled_if_made(|pools| pools.address_range(DevicePtr(ptr))).flatten();
    let (start, bytes) = match range {
        Some(Ok(range)) => range,
        Some(Err(error)) => return error.code(),
        None => return real(),
    };
    // SAFETY: written only if not null, so as the caller says.
    unsafe {
        if !base.is_null() {
            base.write(start.0);
        }
        if !size.is_null() {
            size.write(bytes as usize);
        }
    }
    SUCCESS
}
