//! The calls by which a program hears of a fault of the device: what they answer is passed on.
//!
//! They run as they are. Nothing of ours is held meanwhile, and nothing has to be cleaned up behind
//! them.

use std::ffi::c_void;

use super::real::hooks;
use super::{Real, SUCCESS, Status, fault, pooled_if_made};
use crate::entry;
use crate::table::What;

/// Runs a function that waits for the device.
///
/// # Safety
/// None beyond the driver's own.
#[inline]
pub unsafe fn hear(real: impl Fn() -> Status) -> Status {
    let status = real();
    if status != SUCCESS {
        tell(status);
    }
    status
}

/// Runs a function by which the host looks at the device without waiting for it: what is owed is paid
/// first.
///
/// # Safety
/// None beyond the driver's own.
#[inline]
pub unsafe fn look(real: impl Fn() -> Status) -> Status {
    /// The usual answer besides success.
    const NOT_READY: Status = cupool::driver::DriverError::NOT_READY.code();
    entry::settle();
    let status = real();
    if status != SUCCESS && status != NOT_READY {
        tell(status);
    }
    status
}

/// A call of the program has failed.
#[cold]
pub fn tell(status: Status) {
    pooled_if_made(|pools| pools.answered(status));
}

hooks! { ROWS of What::Retried, "C-unwind";
    cuCtxSynchronize since 2000 () = fault::hear();
    cuCtxSynchronize_v2 since 13000 (context: usize) = fault::hear();
    cuStreamSynchronize since 2000 (stream: usize) = fault::hear();
    cuStreamSynchronize_ptsz since 7000 (stream: usize) = fault::hear();
    cuEventSynchronize since 2000 (event: usize) = fault::hear();

    cuMemcpy since 4000 (to: u64, from: u64, bytes: usize) = fault::hear();
    cuMemcpy_ptds since 7000 (to: u64, from: u64, bytes: usize) = fault::hear();
    cuMemcpyHtoD_v2 since 3020 (to: u64, from: *const c_void, bytes: usize) = fault::hear();
    cuMemcpyHtoD_v2_ptds since 7000 (to: u64, from: *const c_void, bytes: usize) = fault::hear();
    cuMemcpyDtoH_v2 since 3020 (to: *mut c_void, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoH_v2_ptds since 7000 (to: *mut c_void, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoD_v2 since 3020 (to: u64, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoD_v2_ptds since 7000 (to: u64, from: u64, bytes: usize) = fault::hear();
}

pub mod looks {
    //! Those that do not wait: without the wait that is owed, more would be seen than natively.

    use super::super::real::hooks;
    use super::super::{Real, Status, fault};
    use crate::table::What;

    hooks! { ROWS of What::Hook, "C-unwind";
        cuEventQuery since 2000 (event: usize) = fault::look();
        cuStreamQuery since 2000 (stream: usize) = fault::look();
        cuStreamQuery_ptsz since 7000 (stream: usize) = fault::look();
    }
}
