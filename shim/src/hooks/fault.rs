//! The calls by which a program hears of a fault of the device: what they answer is passed on. The
//! driver may tell with any call; those that wait and those that submit work are what programs look at.
//!
//! They run as they are. Nothing of ours is held meanwhile, and nothing has to be cleaned up behind
//! them.

use std::ffi::{c_uint, c_void};
use std::sync::atomic::Ordering;

use cupool::order::Sign;

use super::real::hooks;
use super::{Real, SUCCESS, Status, capture, fault, pooled_if_made, sign};
use crate::entry;
use crate::table::What;

/// Runs a function that waits for the device, or gives it something to do.
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

/// Runs a copy that may have a host operand, in a stream.
///
/// # Safety
/// None beyond the driver's own.
#[inline]
pub unsafe fn hear_copy(real: impl Fn() -> Status) -> Status {
    if capture::OPEN.load(Ordering::Relaxed) > 0 {
        sign(Sign::GraphHostCopy);
    }
    // SAFETY: as the caller says.
    unsafe { hear(real) }
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
    cuMemFreeHost since 2000 (ptr: *mut c_void) = fault::hear();
    cuMemHostUnregister since 4000 (ptr: *mut c_void) = fault::hear();

    cuMemcpy since 4000 (to: u64, from: u64, bytes: usize) = fault::hear();
    cuMemcpy_ptds since 7000 (to: u64, from: u64, bytes: usize) = fault::hear();
    cuMemcpyPeer since 4000
        (to: u64, there: usize, from: u64, here: usize, bytes: usize)
        = fault::hear();
    cuMemcpyPeer_ptds since 7000
        (to: u64, there: usize, from: u64, here: usize, bytes: usize)
        = fault::hear();
    cuMemcpyHtoD_v2 since 3020 (to: u64, from: *const c_void, bytes: usize) = fault::hear();
    cuMemcpyHtoD_v2_ptds since 7000 (to: u64, from: *const c_void, bytes: usize) = fault::hear();
    cuMemcpyDtoH_v2 since 3020 (to: *mut c_void, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoH_v2_ptds since 7000 (to: *mut c_void, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoD_v2 since 3020 (to: u64, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoD_v2_ptds since 7000 (to: u64, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoA_v2 since 3020 (to: usize, at: usize, from: u64, bytes: usize) = fault::hear();
    cuMemcpyDtoA_v2_ptds since 7000 (to: usize, at: usize, from: u64, bytes: usize) = fault::hear();
    cuMemcpyAtoD_v2 since 3020 (to: u64, from: usize, at: usize, bytes: usize) = fault::hear();
    cuMemcpyAtoD_v2_ptds since 7000 (to: u64, from: usize, at: usize, bytes: usize) = fault::hear();
    cuMemcpyHtoA_v2 since 3020
        (to: usize, at: usize, from: *const c_void, bytes: usize)
        = fault::hear();
    cuMemcpyHtoA_v2_ptds since 7000
        (to: usize, at: usize, from: *const c_void, bytes: usize)
        = fault::hear();
    cuMemcpyAtoH_v2 since 3020
        (to: *mut c_void, from: usize, at: usize, bytes: usize)
        = fault::hear();
    cuMemcpyAtoH_v2_ptds since 7000
        (to: *mut c_void, from: usize, at: usize, bytes: usize)
        = fault::hear();
    cuMemcpyAtoA_v2 since 3020
        (to: usize, at: usize, from: usize, start: usize, bytes: usize)
        = fault::hear();
    cuMemcpyAtoA_v2_ptds since 7000
        (to: usize, at: usize, from: usize, start: usize, bytes: usize)
        = fault::hear();
    cuMemcpy2D_v2 since 3020 (copy: *const c_void) = fault::hear();
    cuMemcpy2D_v2_ptds since 7000 (copy: *const c_void) = fault::hear();
    cuMemcpy2DUnaligned_v2 since 3020 (copy: *const c_void) = fault::hear();
    cuMemcpy2DUnaligned_v2_ptds since 7000 (copy: *const c_void) = fault::hear();
    cuMemcpy3D_v2 since 3020 (copy: *const c_void) = fault::hear();
    cuMemcpy3D_v2_ptds since 7000 (copy: *const c_void) = fault::hear();
    cuMemcpy3DPeer since 4000 (copy: *const c_void) = fault::hear();
    cuMemcpy3DPeer_ptds since 7000 (copy: *const c_void) = fault::hear();

    cuMemcpyDtoDAsync_v2 since 3020
        (to: u64, from: u64, bytes: usize, stream: usize)
        = fault::hear();
    cuMemcpyDtoDAsync_v2_ptsz since 7000
        (to: u64, from: u64, bytes: usize, stream: usize)
        = fault::hear();
    cuMemcpyPeerAsync since 4000
        (to: u64, there: usize, from: u64, here: usize, bytes: usize, stream: usize)
        = fault::hear();
    cuMemcpyPeerAsync_ptsz since 7000
        (to: u64, there: usize, from: u64, here: usize, bytes: usize, stream: usize)
        = fault::hear();

    cuMemsetD8_v2 since 3020 (ptr: u64, value: u8, count: usize) = fault::hear();
    cuMemsetD8_v2_ptds since 7000 (ptr: u64, value: u8, count: usize) = fault::hear();
    cuMemsetD16_v2 since 3020 (ptr: u64, value: u16, count: usize) = fault::hear();
    cuMemsetD16_v2_ptds since 7000 (ptr: u64, value: u16, count: usize) = fault::hear();
    cuMemsetD32_v2 since 3020 (ptr: u64, value: u32, count: usize) = fault::hear();
    cuMemsetD32_v2_ptds since 7000 (ptr: u64, value: u32, count: usize) = fault::hear();
    cuMemsetD2D8_v2 since 3020
        (ptr: u64, pitch: usize, value: u8, width: usize, height: usize)
        = fault::hear();
    cuMemsetD2D8_v2_ptds since 7000
        (ptr: u64, pitch: usize, value: u8, width: usize, height: usize)
        = fault::hear();
    cuMemsetD2D16_v2 since 3020
        (ptr: u64, pitch: usize, value: u16, width: usize, height: usize)
        = fault::hear();
    cuMemsetD2D16_v2_ptds since 7000
        (ptr: u64, pitch: usize, value: u16, width: usize, height: usize)
        = fault::hear();
    cuMemsetD2D32_v2 since 3020
        (ptr: u64, pitch: usize, value: u32, width: usize, height: usize)
        = fault::hear();
    cuMemsetD2D32_v2_ptds since 7000
        (ptr: u64, pitch: usize, value: u32, width: usize, height: usize)
        = fault::hear();
    cuMemsetD8Async since 3020 (ptr: u64, value: u8, count: usize, stream: usize) = fault::hear();
    cuMemsetD8Async_ptsz since 7000
        (ptr: u64, value: u8, count: usize, stream: usize)
        = fault::hear();
    cuMemsetD16Async since 3020 (ptr: u64, value: u16, count: usize, stream: usize) = fault::hear();
    cuMemsetD16Async_ptsz since 7000
        (ptr: u64, value: u16, count: usize, stream: usize)
        = fault::hear();
    cuMemsetD32Async since 3020 (ptr: u64, value: u32, count: usize, stream: usize) = fault::hear();
    cuMemsetD32Async_ptsz since 7000
        (ptr: u64, value: u32, count: usize, stream: usize)
        = fault::hear();
    cuMemsetD2D8Async since 3020
        (ptr: u64, pitch: usize, value: u8, width: usize, height: usize, stream: usize)
        = fault::hear();
    cuMemsetD2D8Async_ptsz since 7000
        (ptr: u64, pitch: usize, value: u8, width: usize, height: usize, stream: usize)
        = fault::hear();
    cuMemsetD2D16Async since 3020
        (ptr: u64, pitch: usize, value: u16, width: usize, height: usize, stream: usize)
        = fault::hear();
    cuMemsetD2D16Async_ptsz since 7000
        (ptr: u64, pitch: usize, value: u16, width: usize, height: usize, stream: usize)
        = fault::hear();
    cuMemsetD2D32Async since 3020
        (ptr: u64, pitch: usize, value: u32, width: usize, height: usize, stream: usize)
        = fault::hear();
    cuMemsetD2D32Async_ptsz since 7000
        (ptr: u64, pitch: usize, value: u32, width: usize, height: usize, stream: usize)
        = fault::hear();

    cuEventRecord since 2000 (event: usize, stream: usize) = fault::hear();
    cuEventRecord_ptsz since 7000 (event: usize, stream: usize) = fault::hear();
    cuEventRecordWithFlags since 11010 (event: usize, stream: usize, flags: c_uint) = fault::hear();
    cuEventRecordWithFlags_ptsz since 11010
        (event: usize, stream: usize, flags: c_uint)
        = fault::hear();
    cuStreamWaitEvent since 3020 (stream: usize, event: usize, flags: c_uint) = fault::hear();
    cuStreamWaitEvent_ptsz since 7000 (stream: usize, event: usize, flags: c_uint) = fault::hear();
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
        cuEventElapsedTime since 2000 (out: *mut f32, start: usize, end: usize) = fault::look();
        cuEventElapsedTime_v2 since 12080 (out: *mut f32, start: usize, end: usize) = fault::look();
    }
}

pub mod copies {
    //! Those that may have a host operand: captured, they become copies in a graph.

    use std::ffi::c_void;

    use super::super::real::hooks;
    use super::super::{Real, Status, fault};
    use crate::table::What;

    hooks! { ROWS of What::Hook, "C-unwind";
        cuMemcpyAsync since 4000 (to: u64, from: u64, bytes: usize, stream: usize) = fault::hear_copy();
        cuMemcpyAsync_ptsz since 7000
            (to: u64, from: u64, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyHtoDAsync_v2 since 3020
            (to: u64, from: *const c_void, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyHtoDAsync_v2_ptsz since 7000
            (to: u64, from: *const c_void, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyDtoHAsync_v2 since 3020
            (to: *mut c_void, from: u64, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyDtoHAsync_v2_ptsz since 7000
            (to: *mut c_void, from: u64, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyHtoAAsync_v2 since 3020
            (to: usize, at: usize, from: *const c_void, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyHtoAAsync_v2_ptsz since 7000
            (to: usize, at: usize, from: *const c_void, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyAtoHAsync_v2 since 3020
            (to: *mut c_void, from: usize, at: usize, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpyAtoHAsync_v2_ptsz since 7000
            (to: *mut c_void, from: usize, at: usize, bytes: usize, stream: usize)
            = fault::hear_copy();
        cuMemcpy2DAsync_v2 since 3020 (copy: *const c_void, stream: usize) = fault::hear_copy();
        cuMemcpy2DAsync_v2_ptsz since 7000 (copy: *const c_void, stream: usize) = fault::hear_copy();
        cuMemcpy3DAsync_v2 since 3020 (copy: *const c_void, stream: usize) = fault::hear_copy();
        cuMemcpy3DAsync_v2_ptsz since 7000 (copy: *const c_void, stream: usize) = fault::hear_copy();
        cuMemcpy3DPeerAsync since 4000 (copy: *const c_void, stream: usize) = fault::hear_copy();
        cuMemcpy3DPeerAsync_ptsz since 7000 (copy: *const c_void, stream: usize) = fault::hear_copy();
    }
}
