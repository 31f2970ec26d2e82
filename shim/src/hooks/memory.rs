//! Allocation, free, and what is asked about a block.

use cupool::driver::{DevicePtr, DriverError};

use super::{SUCCESS, Status, around, pooled, pooled_if_made};

/// `cuMemAlloc`
///
/// # Safety
/// `out` is null or can be written.
#[inline]
pub unsafe fn allocate(real: impl Fn() -> Status, out: *mut u64, bytes: usize) -> Status {
    if out.is_null() {
        return real();
    }
    match pooled(|pools| pools.allocate(bytes as u64)) {
        Some(Ok(ptr)) => {
            // SAFETY: not null, so as the caller says.
            unsafe { out.write(ptr.0) };
            SUCCESS
        }
        Some(Err(error)) => {
            if error == DriverError::OUT_OF_MEMORY {
                // As the driver does (measured, driver 580).
                // SAFETY: not null, so as the caller says.
                unsafe { out.write(0) };
            }
            error.code()
        }
        None => real(),
    }
}

/// `cuMemFree`
///
/// # Safety
/// None beyond the driver's own.
#[inline]
pub unsafe fn free(real: impl Fn() -> Status, ptr: u64) -> Status {
    match pooled_if_made(|pools| pools.free(DevicePtr(ptr))) {
        Some(Ok(())) => SUCCESS,
        Some(Err(error)) => error.code(),
        None => real(),
    }
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
