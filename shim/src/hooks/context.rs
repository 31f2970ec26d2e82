//! Contexts: which are in use, and when one ends.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use cupool::driver::Context;
use cupool::order::Sign;
use parking_lot::Mutex;

use super::{AnyPools, SUCCESS, Status, around, pooled, reclaim, sign};
use crate::driver;

/// How often the program has retained the primary context of each device, as far as is seen here:
/// a library may retain it by a way of its own. The driver ends the context with the last release,
/// and does not tell which that is.
static RETAINED: [AtomicI32; 128] = [const { AtomicI32::new(0) }; 128];

/// Retains that have begun: one during a release may have made a new context.
static RETAINS: AtomicU32 = AtomicU32::new(0);

/// A context for each use beyond the first: `cuCtxAttach` adds one, `cuCtxDetach` takes one away,
/// and ends a context that has no other. Looked at only while there are pools, so never in a forked
/// child, where another thread may have held the lock.
static ATTACHED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

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

/// `cuCtxCreate`: the new context is current.
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn create(real: impl Fn() -> Status, out: *mut usize) -> Status {
    // SAFETY: a call that failed for lack of memory has made no context.
    let status = unsafe { reclaim::retry(real) };
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

/// `cuCtxAttach`: one more use of the current context.
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn attach(real: impl Fn() -> Status, out: *mut usize) -> Status {
    around(real, |pools, call| {
        let status = call();
        if status == SUCCESS && !out.is_null() {
            // SAFETY: not null, and the driver has just written it.
            let context = unsafe { *out };
            ATTACHED.lock().push(context);
            pools.context_in_use(Context(context));
        }
        status
    })
}

/// `cuCtxDetach`: one use less of the context. The last one ends it.
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn detach(real: impl Fn() -> Status, context: usize) -> Status {
    around(real, |pools, call| {
        if !ATTACHED.lock().contains(&context) {
            return pools.end_context(Context(context), call, || false);
        }
        let status = call();
        if status == SUCCESS {
            let mut attached = ATTACHED.lock();
            if let Some(at) = attached.iter().position(|&other| other == context) {
                attached.swap_remove(at);
            }
        }
        status
    })
}

/// `cuCtxDestroy`, however many uses the context has.
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn destroy(real: impl Fn() -> Status, context: usize) -> Status {
    if context == 0 {
        return real();
    }
    around(real, |pools, call| end(pools, Context(context), call, || false))
}

/// Makes a call that ends `context` unless it `remains`. Another one may get its handle.
fn end(
    pools: &AnyPools,
    context: Context,
    call: &dyn Fn() -> Status,
    remains: impl Fn() -> bool,
) -> Status {
    let ended = Cell::new(false);
    let status = pools.end_context(context, call, || {
        ended.set(!remains());
        !ended.get()
    });
    if ended.get() {
        ATTACHED.lock().retain(|&other| other != context.0);
    }
    status
}

/// `cuDevicePrimaryCtxRetain`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn retain_primary(real: impl Fn() -> Status, device: c_int) -> Status {
    RETAINS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: a call that failed for lack of memory has retained nothing.
    let status = unsafe { reclaim::retry(real) };
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
pub(super) fn end_primary(
    real: impl Fn() -> Status,
    device: c_int,
    remains: impl Fn() -> bool,
) -> Status {
    match driver::primary_context(device) {
        Some(context) => around(real, |pools, call| end(pools, context, call, &remains)),
        None => real(),
    }
}

/// `cuCtxEnablePeerAccess`: the current context's device may use the memory of `peer`.
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn enable_peer_access(real: impl Fn() -> Status, peer: usize) -> Status {
    sign(Sign::SecondDevice);
    around(real, |pools, call| {
        let undo = || driver::disable_peer_access(Context(peer));
        pools.enable_peer_access(Context(peer), call, undo)
    })
}
