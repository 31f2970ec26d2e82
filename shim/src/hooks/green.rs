//! Green contexts: parts of a primary context.
//!
//! Memory is the primary context's whichever is current, and what is recorded of a context that was
//! made from a green one stands for that one alone (measured, driver 580). So for the pools the
//! primary context is current wherever one of its green ones is.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

use cupool::order::Sign;
use parking_lot::Mutex;

use super::{SUCCESS, Status, context, reclaim, sign};
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
    // SAFETY: a call that failed for lack of memory has made no context.
    let status = unsafe { reclaim::retry_after(real, Sign::GreenContext) };
    if status == SUCCESS && !out.is_null() {
        // SAFETY: not null, and the driver has just written it.
        let handle = unsafe { *out };
        GREEN.lock().push(Green { handle, device, context: 0, primary: 0 });
    }
    status
}

/// `cuCtxFromGreenCtx`
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn convert(real: impl Fn() -> Status, out: *mut usize, handle: usize) -> Status {
    sign(Sign::GreenContext);
    let status = real();
    if status == SUCCESS && !out.is_null() {
        // SAFETY: not null, and the driver has just written it.
        let context = unsafe { *out };
        let device = GREEN.lock().iter().find(|green| green.handle == handle).map(|g| g.device);
        let primary = device.and_then(driver::primary_context);
        let mut green = GREEN.lock();
        if let Some(green) = green.iter_mut().find(|green| green.handle == handle)
            && let Some(primary) = primary
        {
            (green.context, green.primary) = (context, primary.0);
            CONVERTED.store(true, Ordering::Release);
        }
    }
    status
}

/// `cuGreenCtxDestroy`, which releases the primary context.
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn destroy(real: impl Fn() -> Status, handle: usize) -> Status {
    let device = GREEN.lock().iter().find(|green| green.handle == handle).map(|g| g.device);
    let status = match device {
        Some(device) => context::end_primary(real, device, || driver::has_primary_context(device)),
        None => real(),
    };
    if status == SUCCESS {
        GREEN.lock().retain(|green| green.handle != handle);
    }
    status
}
