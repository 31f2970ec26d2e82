//! What programs ask and say about a pointer: its attributes, and its memory's handles.
//!
//! A block of ours looks like the allocation that it would be natively, and freed memory like
//! freed memory, although the pool still has it. What concerns sharing is told as it is, so that a
//! library chooses a way that works.

use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use cupool::driver::{DevicePtr, DriverError};
use cupool::order::Sign;
use cupool::pools::{Held, Resident};

use super::{SUCCESS, Status, pooled_if_made, sign};
use crate::{driver, notice};

/// `CUpointer_attribute`
mod attributes {
    use std::ffi::c_int;

    pub const CONTEXT: c_int = 1;
    pub const P2P_TOKENS: c_int = 5;
    pub const SYNC_MEMOPS: c_int = 6;
    pub const BUFFER_ID: c_int = 7;
    pub const RANGE_START_ADDR: c_int = 11;
    pub const RANGE_SIZE: c_int = 12;
}
use attributes::{BUFFER_ID, CONTEXT, P2P_TOKENS, RANGE_SIZE, RANGE_START_ADDR, SYNC_MEMOPS};

/// What the driver says of memory that is not allocated.
const INVALID_VALUE: Status = DriverError::INVALID_VALUE.code();

fn resident(ptr: u64) -> Option<Resident> {
    pooled_if_made(|pools| pools.resident(DevicePtr(ptr))).flatten()
}

fn pin(ptr: u64, bytes: usize) {
    pooled_if_made(|pools| pools.pin(DevicePtr(ptr), bytes as u64));
}

/// The attributes of a block that the driver does not know, or not as the program does; all are 64
/// bits wide. `None`: the driver's answer is right.
fn attribute_of(block: &Held, attribute: c_int) -> Option<u64> {
    match attribute {
        CONTEXT if !block.native => Some(block.context.0 as u64),
        BUFFER_ID => pooled_if_made(|pools| pools.buffer_id(block.start)).flatten(),
        RANGE_START_ADDR => Some(block.start.0),
        RANGE_SIZE => Some(block.bytes),
        _ => None,
    }
}

/// `cuPointerGetAttribute`
///
/// # Safety
/// `data` is null or can hold the attribute.
pub unsafe fn attribute(
    real: impl Fn() -> Status,
    data: *mut c_void,
    attribute: c_int,
    ptr: u64,
) -> Status {
    if attribute == P2P_TOKENS {
        sign(Sign::P2pToken);
    }
    let known = match resident(ptr) {
        Some(Resident::Block(block)) if !data.is_null() => attribute_of(&block, attribute),
        Some(Resident::Nothing { .. }) => {
            // SAFETY: as the caller says.
            return unsafe { driver::attribute_of_nothing(data, attribute) };
        }
        _ => None,
    };
    if let Some(value) = known {
        // SAFETY: not null, so as the caller says, and the attribute is 64 bits wide.
        unsafe { data.cast::<u64>().write_unaligned(value) };
        return SUCCESS;
    }
    let status = real();
    if status == SUCCESS && attribute == P2P_TOKENS {
        // Another device may use the memory as long as it likes.
        pin(ptr, 1);
    }
    status
}

/// `cuPointerGetAttributes`
///
/// # Safety
/// `attributes` is null or points to `count` attributes, `data` to as many places for them.
pub unsafe fn attributes(
    real: impl Fn() -> Status,
    count: c_uint,
    attributes: *const c_int,
    data: *const *mut c_void,
    ptr: u64,
) -> Status {
    if attributes.is_null() {
        return real();
    }
    let indices = 0..count as usize;
    // SAFETY: not null, so as the caller says.
    let tokens = indices.clone().any(|index| unsafe { *attributes.add(index) } == P2P_TOKENS);
    if tokens {
        sign(Sign::P2pToken);
    }
    if data.is_null() {
        return real();
    }
    // SAFETY: neither is null, so as the caller says.
    let wanted = indices.map(|index| unsafe { (*attributes.add(index), *data.add(index)) });
    let block = match resident(ptr) {
        Some(Resident::Block(block)) => Some(block),
        Some(Resident::Nothing { .. }) => {
            // SAFETY: as the caller says.
            return unsafe { driver::attributes_of_nothing(count, attributes, data, ptr) };
        }
        None => None,
    };
    let status = real();
    if let (SUCCESS, Some(block)) = (status, block) {
        for (attribute, place) in wanted.filter(|(_, place)| !place.is_null()) {
            if let Some(value) = attribute_of(&block, attribute) {
                // SAFETY: not null, so as the caller says, and the attribute is 64 bits wide.
                unsafe { place.cast::<u64>().write_unaligned(value) };
            }
        }
        if tokens {
            pin(ptr, 1);
        }
    }
    status
}

/// `cuPointerSetAttribute`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn set_attribute(real: impl Fn() -> Status, attribute: c_int, ptr: u64) -> Status {
    static TOLD: AtomicBool = AtomicBool::new(false);
    if attribute != SYNC_MEMOPS {
        return real();
    }
    sign(Sign::SyncMemops);
    share("cuPointerSetAttribute(SYNC_MEMOPS)", &TOLD, real, ptr, 1)
}

/// `cuMemGetHandleForAddressRange`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn range_handle(real: impl Fn() -> Status, ptr: u64, bytes: usize) -> Status {
    static TOLD: AtomicBool = AtomicBool::new(false);
    sign(Sign::DmaBuf);
    share("cuMemGetHandleForAddressRange", &TOLD, real, ptr, bytes)
}

/// `cuMemRetainAllocationHandle`: what `cuMemAlloc` gives has no such handle, and a handle of ours
/// would lead to other blocks too.
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn retain_handle(real: impl Fn() -> Status, ptr: u64) -> Status {
    match resident(ptr) {
        Some(Resident::Block(Held { native: false, .. }) | Resident::Nothing { native: false }) => {
            INVALID_VALUE
        }
        // A native allocation has none, in use or not.
        _ => real(),
    }
}

/// Runs a call that lets others reach the block at `ptr`, which is then not recycled. Where only a
/// native allocation could do that, says once how to get one.
pub(super) fn share(
    call: &str,
    told: &AtomicBool,
    real: impl Fn() -> Status,
    ptr: u64,
    bytes: usize,
) -> Status {
    let native = match resident(ptr) {
        Some(Resident::Nothing { .. }) => return INVALID_VALUE,
        Some(Resident::Block(block)) => block.native,
        None => return real(),
    };
    let status = real();
    if status == SUCCESS {
        pin(ptr, bytes);
    } else if !native && !told.swap(true, Ordering::Relaxed) {
        let moved = pooled_if_made(|pools| pools.moved_to_native()).unwrap_or(false);
        let cure = if moved {
            "what is allocated from now on can, and with CUPOOL_CONF=backing:exact all"
        } else {
            "CUPOOL_CONF=backing:exact can"
        };
        notice::warn(&format_args!(
            "{call} failed ({status}): memory of the arena cannot do it; {cure}"
        ));
    }
    status
}
