//! Allocation, free, and what is asked about a block.

use std::cell::Cell;

use cupool::driver::{DevicePtr, DriverError};

use super::{NO_ANSWER, SUCCESS, Status, answer, around, pooled_if_made};
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
