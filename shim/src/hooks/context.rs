//! Contexts: which are in use, and when one ends.

use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use cupool::driver::Context;

use super::{SUCCESS, Status, around, pooled};
use crate::driver;

/// How often the program has retained the primary context of each device, as far as is seen here:
/// a library may retain it by a way of its own. The driver ends the context with the last release,
/// and does not tell which that is.
static RETAINED: [AtomicI32; 128] = [const { AtomicI32::new(0) }; 128];

/// Retains that have begun: one during a release may have made a new context.
static RETAINS: AtomicU32 = AtomicU32::new(0);

fn retained(device: c_int) -> Option<&'static AtomicI32> {
    RETAINED.get(usize::try_from(device).ok()?)
}

/// `cuCtxSetCurrent`, `cuCtxPushCurrent`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn make_current(real: impl Fn() -> Status, context: usize) -> Status {
    let status = real();
    if status == SUCCESS {
        in_use(context);
    }
    status
}

/// `cuCtxCreate`, `cuCtxAttach`: the new context is current.
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn create(real: impl Fn() -> Status, out: *mut usize) -> Status {
    let status = real();
    if status == SUCCESS && !out.is_null() {
        // SAFETY: not null, and the driver has just written it.
        in_use(unsafe { *out });
    }
    status
}

fn in_use(context: usize) {
    if context != 0 {
        pooled(|pools| pools.context_in_use(Context(context)));
    }
}

/// `cuCtxDestroy`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn destroy(real: impl Fn() -> Status, context: usize) -> Status {
    if context == 0 {
        return real();
    }
    around(real, |pools, call| pools.end_context(Context(context), call, || false))
}

/// `cuDevicePrimaryCtxRetain`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn retain_primary(real: impl Fn() -> Status, device: c_int) -> Status {
    RETAINS.fetch_add(1, Ordering::SeqCst);
    let status = real();
    if status == SUCCESS
        && let Some(retained) = retained(device)
    {
        retained.fetch_add(1, Ordering::Relaxed);
    }
    status
}

/// `cuDevicePrimaryCtxRelease`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn release_primary(real: impl Fn() -> Status, device: c_int) -> Status {
    let last = retained(device).is_none_or(|count| count.load(Ordering::Relaxed) <= 1);
    let before = RETAINS.load(Ordering::SeqCst);
    let remains =
        || driver::has_primary_context(device) && RETAINS.load(Ordering::SeqCst) == before;
    let status = if last { end_primary(real, device, remains) } else { real() };
    if status == SUCCESS
        && let Some(count) = retained(device)
    {
        let less = |count: i32| (count > 0).then(|| count - 1);
        let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
    status
}

/// `cuDevicePrimaryCtxReset`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn reset_primary(real: impl Fn() -> Status, device: c_int) -> Status {
    end_primary(real, device, || false)
}

/// Makes a call that ends the primary context of `device`, if there is one and unless it `remains`.
fn end_primary(real: impl Fn() -> Status, device: c_int, remains: impl Fn() -> bool) -> Status {
    match driver::primary_context(device) {
        Some(context) => around(real, |pools, call| pools.end_context(context, call, &remains)),
        None => real(),
    }
}
