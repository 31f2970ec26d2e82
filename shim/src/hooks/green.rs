//! Green contexts: parts of a primary context.
//!
//! Memory is the primary context's whichever is current, and what is recorded of a context that was
//! made from a green one stands for that one alone (measured, driver 580). So for the pools the
//! primary context is current wherever one of its green ones is.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use cupool::order::Sign;
use parking_lot::Mutex;

use super::{SUCCESS, Status, context, pooled_if_made, reclaim, sign};
use crate::driver;

/// A green context.
struct Green {
    /// The program's handle.
    handle: usize,
    device: c_int,
    /// The context that it was converted to, and the primary one; 0 if it was not.
    context: usize,
    primary: usize,
}

/// Those that there are. Looked at only while there are pools, so never in a forked child, where
/// another thread may have held the lock.
static GREEN: Mutex<Vec<Green>> = Mutex::new(Vec::new());

/// Whether one was ever converted, and so can be current.
static CONVERTED: AtomicBool = AtomicBool::new(false);

/// The context whose memory is allocated while `context` is current.
#[inline]
pub fn owner(context: usize) -> usize {
    if CONVERTED.load(Ordering::Acquire) { primary_of(context) } else { context }
}

#[cold]
fn primary_of(context: usize) -> usize {
    let green = GREEN.lock();
    let found = green.iter().find(|green| green.context == context);
    found.map_or(context, |green| green.primary)
}

/// `cuGreenCtxCreate`, which retains the primary context.
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn create(real: impl Fn() -> Status, out: *mut usize, device: c_int) -> Status {
    let create = || {
        context::alone(&real, device, |_, call, _| {
            let status = call();
            if status == SUCCESS && !out.is_null() {
                // SAFETY: not null, and the driver has just written it.
                let handle = unsafe { *out };
                GREEN.lock().push(Green { handle, device, context: 0, primary: 0 });
            }
            status
        })
    };
    // SAFETY: a call that failed for lack of memory has made no context.
    unsafe { reclaim::retry_after(create, Sign::GreenContext) }
}

/// `cuCtxFromGreenCtx`
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn convert(real: impl Fn() -> Status, out: *mut usize, handle: usize) -> Status {
    sign(Sign::GreenContext);
    let Some(device) = device_of(handle) else { return real() };
    context::alone(real, device, |_, call, _| {
        let status = call();
        if status == SUCCESS
            && !out.is_null()
            && let Some(primary) = driver::primary_context(device)
            && let Some(green) = GREEN.lock().iter_mut().find(|green| green.handle == handle)
        {
            // SAFETY: not null, and the driver has just written it.
            (green.context, green.primary) = (unsafe { *out }, primary.0);
            CONVERTED.store(true, Ordering::Release);
        }
        status
    })
}

/// `cuGreenCtxDestroy`, which releases the primary context.
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn destroy(real: impl Fn() -> Status, handle: usize) -> Status {
    let Some(device) = device_of(handle) else { return real() };
    context::alone(real, device, |pools, call, _| {
        // Taken off the list before the driver can give its handles to another context.
        let green: Vec<_> = GREEN.lock().extract_if(.., |green| green.handle == handle).collect();
        let remains = || driver::has_primary_context(device);
        let status = context::end_primary(pools, call, device, remains);
        if status != SUCCESS {
            GREEN.lock().extend(green);
        }
        status
    })
}

/// The device of a green context that was seen to be made.
fn device_of(handle: usize) -> Option<c_int> {
    let of_handle = |green: &&Green| green.handle == handle;
    pooled_if_made(|_| GREEN.lock().iter().find(of_handle).map(|green| green.device)).flatten()
}
