//! Contexts: which are in use, and when one ends.

use std::ffi::c_int;

use cupool::driver::Context;
use cupool::order::Sign;
use parking_lot::Mutex;

use super::{AnyPools, SUCCESS, Status, around, pooled, reclaim, sign};
use crate::driver;

/// How often the program has retained the primary context of each device, as far as is seen here:
/// a library may retain it by a way of its own. The driver ends the context with the last release,
/// and does not tell which that is.
///
/// Locked across the driver's calls that make, keep and end that context. Only so does its state after
/// a release tell whether *this* one has ended, or the next one at the same handle is there already;
/// and nobody uses the next before the pool of this one is forgotten. Looked at only while there are
/// pools, so never in a forked child, where another thread may have held the lock.
static RETAINED: [Mutex<u32>; 128] = [const { Mutex::new(0) }; 128];

/// A context for each use beyond the first: `cuCtxAttach` adds one, `cuCtxDetach` takes one away,
/// and ends a context that has no other. Looked at only while there are pools, so never in a forked
/// child, where another thread may have held the lock.
static ATTACHED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

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
        let context = unsafe { *out };
        pooled(|pools| pools.context_given(Context(context)));
        in_use(context);
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
    pools.end_context(context, call, || {
        let remains = remains();
        if !remains {
            ATTACHED.lock().retain(|&other| other != context.0);
        }
        remains
    })
}

/// [`around`] for a call that makes, keeps or ends the primary context of `device`, alone among those.
/// `body` also gets how often it is retained.
pub(super) fn alone(
    real: impl Fn() -> Status,
    device: c_int,
    body: impl Fn(&'static AnyPools, &dyn Fn() -> Status, &mut u32) -> Status,
) -> Status {
    let retained = usize::try_from(device).ok().and_then(|device| RETAINED.get(device));
    // The driver knows no such device.
    let Some(retained) = retained else { return real() };
    around(real, |pools, call| body(pools, call, &mut retained.lock()))
}

/// `cuDevicePrimaryCtxRetain`
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn retain_primary(real: impl Fn() -> Status, out: *mut usize, device: c_int) -> Status {
    let retain = || {
        alone(&real, device, |pools, call, retained| {
            let status = call();
            if status == SUCCESS && !out.is_null() {
                *retained += 1;
                // SAFETY: not null, and the driver has just written it.
                pools.context_given(Context(unsafe { *out }));
            }
            status
        })
    };
    // SAFETY: a call that failed for lack of memory has retained nothing.
    unsafe { reclaim::retry(retain) }
}

/// `cuDevicePrimaryCtxRelease`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn release_primary(real: impl Fn() -> Status, device: c_int) -> Status {
    alone(real, device, |pools, call, retained| {
        let status = match *retained {
            0 | 1 => end_primary(pools, call, device, || driver::has_primary_context(device)),
            _ => call(),
        };
        if status == SUCCESS {
            *retained = retained.saturating_sub(1);
        }
        status
    })
}

/// `cuDevicePrimaryCtxReset`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn reset_primary(real: impl Fn() -> Status, device: c_int) -> Status {
    alone(real, device, |pools, call, _| end_primary(pools, call, device, || false))
}

/// Makes a call that ends the primary context of `device`, if there is one and unless it `remains`.
/// To be called [`alone`].
pub(super) fn end_primary(
    pools: &AnyPools,
    call: &dyn Fn() -> Status,
    device: c_int,
    remains: impl Fn() -> bool,
) -> Status {
    match driver::primary_context(device) {
        Some(context) => end(pools, context, call, remains),
        None => call(),
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
