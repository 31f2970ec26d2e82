//! The functions that programs find instead of the driver's.
//!
//! Each is a few lines: the guard, one call of the pools, one mapping to a `CUresult`. Whenever
//! there is nobody to ask (no pools, a call from inside the pools, a panic) the real function runs.

pub mod capture;
mod context;
mod global;
mod lookup;
mod memory;
mod pointer;
mod real;
pub mod reclaim;

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use cupool::order::Sign;
use cupool::pools::Pools;

use capture::per_thread;
pub use real::Real;
use real::hooks;
pub(crate) use real::symbol;

use crate::cancel::Uncancelled;
use crate::driver::{RealDriver, real_driver};
use crate::state;
use crate::table::What;

/// A `CUresult`.
type Status = c_int;
const SUCCESS: Status = 0;

type AnyPools = Pools<RealDriver>;

thread_local! {
    /// The calling thread is inside the pools, whose own driver calls are none of the program's.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is inside the pools while this lives. A call that comes in meanwhile is the
/// driver's own, or that of a signal handler which has interrupted the pools: it stays outside.
pub struct Guard(());

impl Guard {
    /// `None` if it already is.
    #[inline]
    pub fn enter() -> Option<Self> {
        // A thread that is being torn down has no flag any more, and goes to the driver.
        let outside = INSIDE.try_with(|inside| !inside.replace(true)).unwrap_or(false);
        outside.then_some(Self(()))
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.set(false));
    }
}

/// Runs `body` on the pools, which are made if this is the process's first use of CUDA. `None`: the
/// real function is to be called.
///
/// After a panic the pools retire, and `body` runs once more on the retired pools: they still know
/// what is theirs.
#[inline]
fn pooled<T>(body: impl Fn(&'static AnyPools) -> T) -> Option<T> {
    let _guard = Guard::enter()?;
    let once = || catch_unwind(AssertUnwindSafe(|| Some(body(pools()?))));
    match once() {
        Ok(done) => done,
        Err(_) => {
            retire();
            once().ok().flatten()
        }
    }
}

/// What [`answer`] gives where the pools have no answer: the real function is to be called. No
/// `CUresult` is negative.
const NO_ANSWER: Status = -1;

/// [`pooled`] for the calls that programs make by the million. Only a status comes out of the catch
/// of a panic, which hands its result on in memory: one word is read as it was written, while more
/// of them, written apart and read together, hold up the processor.
#[inline]
fn answer(body: impl Fn(&'static AnyPools) -> Status) -> Status {
    let Some(_guard) = Guard::enter() else { return NO_ANSWER };
    let once = || catch_unwind(AssertUnwindSafe(|| pools().map_or(NO_ANSWER, &body)));
    once().unwrap_or_else(|_| {
        retire();
        once().unwrap_or(NO_ANSWER)
    })
}

/// [`pooled`] for what does not need pools to be made for it.
fn pooled_if_made<T>(body: impl Fn(&'static AnyPools) -> T) -> Option<T> {
    state::pools()?;
    pooled(body)
}

/// Runs `body` on the pools, with the real call to make at the right moment, and gives its answer;
/// without pools, or after a panic, that of the call. The call is never made twice.
fn around(
    call: impl Fn() -> Status,
    body: impl Fn(&'static AnyPools, &dyn Fn() -> Status) -> Status,
) -> Status {
    let result = Cell::new(None);
    let once = || match result.get() {
        Some(result) => result,
        None => {
            let status = call();
            result.set(Some(status));
            status
        }
    };
    if let Some(_guard) = Guard::enter() {
        let _uncancelled = Uncancelled::enter();
        match catch_unwind(AssertUnwindSafe(|| pools().map(|pools| body(pools, &once)))) {
            Ok(Some(status)) => return status,
            Ok(None) => {}
            Err(_) => retire(),
        }
    }
    once()
}

#[inline]
fn pools() -> Option<&'static AnyPools> {
    state::pools().or_else(start)
}

#[cold]
fn start() -> Option<&'static AnyPools> {
    state::start(real_driver)
}

#[cold]
fn retire() {
    if let Some(pools) = state::pools() {
        // Retiring touches no memory of the program; if even that panics, the hooks go on asking.
        let _ = catch_unwind(AssertUnwindSafe(|| pools.retire("a panic was caught")));
    }
}

/// The host is about to look at the device without waiting for it.
pub fn settle() {
    // Without pools nothing is owed.
    pooled_if_made(AnyPools::settle);
}

/// Somebody could tell a fence from a wait.
pub fn sign(sign: Sign) {
    pooled(|pools| pools.sign(sign));
}

hooks! { ROWS of What::Hook;
    cuMemAlloc_v2 since 3020 (out: *mut u64, bytes: usize) = memory::allocate(out, bytes);
    cuMemFree_v2 since 3020 (ptr: u64) = memory::free(ptr);
    cuMemFreeAsync since 11020 (ptr: u64, stream: usize) = memory::free_in_stream(ptr);
    cuMemFreeAsync_ptsz since 11020 (ptr: u64, stream: usize) = memory::free_in_stream(ptr);
    cuMemGetAddressRange_v2 since 3020 (base: *mut u64, size: *mut usize, ptr: u64)
        = memory::address_range(base, size, ptr);

    cuPointerGetAttribute since 4000 (data: *mut c_void, attribute: c_int, ptr: u64)
        = pointer::attribute(data, attribute, ptr);
    cuPointerGetAttributes since 7000
        (count: c_uint, attributes: *const c_int, data: *const *mut c_void, ptr: u64)
        = pointer::attributes(count, attributes, data, ptr);
    cuPointerSetAttribute since 6000 (value: *const c_void, attribute: c_int, ptr: u64)
        = pointer::set_attribute(attribute, ptr);
    cuIpcGetMemHandle since 4010 (handle: *mut c_void, ptr: u64) = pointer::ipc_handle(ptr);
    cuMemRetainAllocationHandle since 11000 (handle: *mut u64, ptr: *const c_void)
        = pointer::retain_handle(ptr as u64);
    cuMemGetHandleForAddressRange since 11070
        (handle: *mut c_void, ptr: u64, bytes: usize, kind: c_int, flags: u64)
        = pointer::range_handle(ptr, bytes);

    cuModuleGetGlobal_v2 since 3020
        (out: *mut u64, bytes: *mut usize, module: usize, name: *const c_char)
        = global::find(out);

    cuGetProcAddress since 11030
        (name: *const c_char, found: *mut usize, version: c_int, flags: u64)
        = lookup::look_up(name, found);
    cuGetProcAddress_v2 since 12000
        (name: *const c_char, found: *mut usize, version: c_int, flags: u64, status: *mut c_int)
        = lookup::look_up(name, found);

    cuCtxSetCurrent since 4000 (context: usize) = context::make_current(context);
    cuCtxPushCurrent since 2000 (context: usize) = context::make_current(context);
    cuCtxPushCurrent_v2 since 4000 (context: usize) = context::make_current(context);
    cuCtxAttach since 2000 (out: *mut usize, flags: u32) = context::attach(out);
    cuCtxCreate since 2000 (out: *mut usize, flags: u32, device: c_int) = context::create(out);
    cuCtxCreate_v2 since 3020 (out: *mut usize, flags: u32, device: c_int) = context::create(out);
    cuCtxCreate_v3 since 11040
        (out: *mut usize, affinity: *mut c_void, count: c_int, flags: u32, device: c_int)
        = context::create(out);
    cuCtxCreate_v4 since 12050
        (out: *mut usize, parameters: *mut c_void, flags: u32, device: c_int)
        = context::create(out);
    cuCtxDestroy since 2000 (context: usize) = context::destroy(context);
    cuCtxDestroy_v2 since 4000 (context: usize) = context::destroy(context);
    cuCtxDetach since 2000 (context: usize) = context::detach(context);
    cuDevicePrimaryCtxRetain since 7000 (out: *mut usize, device: c_int)
        = context::retain_primary(device);
    cuDevicePrimaryCtxRelease since 7000 (device: c_int) = context::release_primary(device);
    cuDevicePrimaryCtxRelease_v2 since 11000 (device: c_int) = context::release_primary(device);
    cuDevicePrimaryCtxReset since 7000 (device: c_int) = context::reset_primary(device);
    cuDevicePrimaryCtxReset_v2 since 11000 (device: c_int) = context::reset_primary(device);

    cuStreamBeginCapture since 10000 (stream: usize) = capture::begin(stream);
    cuStreamBeginCapture_ptsz since 10000 (stream: usize) = capture::begin(per_thread(stream));
    cuStreamBeginCapture_v2 since 10010 (stream: usize, mode: c_int) = capture::begin(stream);
    cuStreamBeginCapture_v2_ptsz since 10010 (stream: usize, mode: c_int)
        = capture::begin(per_thread(stream));
    cuStreamBeginCaptureToGraph since 12030
        (stream: usize, graph: usize, dependencies: *mut c_void, data: *mut c_void,
         count: usize, mode: c_int) = capture::begin(stream);
    cuStreamBeginCaptureToGraph_ptsz since 12030
        (stream: usize, graph: usize, dependencies: *mut c_void, data: *mut c_void,
         count: usize, mode: c_int) = capture::begin(per_thread(stream));
    cuStreamBeginRecaptureToGraph since 13030
        (stream: usize, mode: c_int, graph: usize, callback: *mut c_void, data: *mut c_void)
        = capture::begin(stream);
    cuStreamBeginRecaptureToGraph_ptsz since 13030
        (stream: usize, mode: c_int, graph: usize, callback: *mut c_void, data: *mut c_void)
        = capture::begin(per_thread(stream));
    cuStreamBeginCaptureToCig since 13010 (stream: usize, parameters: *mut c_void)
        = capture::begin(stream);
    cuStreamBeginCaptureToCig_ptsz since 13010 (stream: usize, parameters: *mut c_void)
        = capture::begin(per_thread(stream));
    cuStreamEndCapture since 10000 (stream: usize, graph: *mut usize) = capture::end(stream);
    cuStreamEndCapture_ptsz since 10000 (stream: usize, graph: *mut usize)
        = capture::end(per_thread(stream));
    cuStreamEndCaptureToCig since 13010 (stream: usize) = capture::end(stream);
    cuStreamEndCaptureToCig_ptsz since 13010 (stream: usize) = capture::end(per_thread(stream));
    cuStreamDestroy since 2000 (stream: usize) = capture::destroy_stream(stream);
    cuStreamDestroy_v2 since 4000 (stream: usize) = capture::destroy_stream(stream);
}
