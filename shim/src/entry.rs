//! The way into the pools, for everything that stands in front of the driver.
//!
//! Whenever there is nobody to ask (no pools, a call from inside the pools, a panic) the caller is
//! told so, and calls the real function.

use std::cell::Cell;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cupool::order::Sign;
use cupool::pools::Pools;

use crate::cancel::Uncancelled;
use crate::driver::RealDriver;
use crate::guard::Guard;
use crate::{life, state};

/// A `CUresult`.
pub type Status = c_int;
/// `CUDA_SUCCESS`
pub const SUCCESS: Status = 0;

/// The pools of this process.
pub type AnyPools = Pools<RealDriver>;

/// Runs `body` on the pools, which are made if this is the process's first use of CUDA. `None`: the
/// real function is to be called.
///
/// After a panic the pools retire, and `body` runs once more on the retired pools: they still know
/// what is theirs.
#[inline]
pub fn pooled<T>(body: impl Fn(&'static AnyPools) -> T) -> Option<T> {
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
pub const NO_ANSWER: Status = -1;

/// [`pooled`] for the calls that programs make by the million. Only a status comes out of the catch
/// of a panic, which hands its result on in memory: one word is read as it was written, while more
/// of them, written apart and read together, hold up the processor.
#[inline]
pub fn answer(body: impl Fn(&'static AnyPools) -> Status) -> Status {
    let Some(_guard) = Guard::enter() else { return NO_ANSWER };
    let once = || catch_unwind(AssertUnwindSafe(|| pools().map_or(NO_ANSWER, &body)));
    once().unwrap_or_else(|_| {
        retire();
        once().unwrap_or(NO_ANSWER)
    })
}

/// [`pooled`] for what does not need pools to be made for it.
pub fn pooled_if_made<T>(body: impl Fn(&'static AnyPools) -> T) -> Option<T> {
    state::pools()?;
    pooled(body)
}

/// Runs `body` on the pools, with the real call to make at the right moment, and gives its answer;
/// without pools, or after a panic, that of the call. The call is never made twice.
pub fn around(
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
    state::pools().or_else(life::start)
}

#[cold]
fn retire() {
    state::retire("a panic was caught");
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
