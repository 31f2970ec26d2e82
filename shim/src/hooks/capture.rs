//! Stream capture: while one is open, nothing of ours may disturb it.

use std::sync::atomic::{AtomicUsize, Ordering};

use cupool::driver::Stream;

use super::{SUCCESS, Status, around};

/// Captures that were begun and not ended. One whose stream is destroyed stays counted, so this is
/// never too low.
pub static OPEN: AtomicUsize = AtomicUsize::new(0);

/// The stream that the per-thread variant of a function means by 0: `CU_STREAM_PER_THREAD`.
pub fn per_thread(stream: usize) -> usize {
    if stream == 0 { 2 } else { stream }
}

/// `cuStreamBeginCapture` and its relatives
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn begin(real: impl Fn() -> Status, stream: usize) -> Status {
    let status = around(real, |pools, call| pools.begin_capture(Stream(stream), call));
    if status == SUCCESS {
        OPEN.fetch_add(1, Ordering::Relaxed);
    }
    status
}

/// `cuStreamEndCapture` and its relative
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn end(real: impl Fn() -> Status, stream: usize) -> Status {
    let status = around(real, |pools, call| pools.end_capture(Stream(stream), call));
    if status == SUCCESS {
        // A capture that was begun before this library knew of it was not counted.
        let less = |open: usize| open.checked_sub(1);
        let _ = OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
    status
}

/// `cuStreamDestroy`
///
/// # Safety
/// None beyond the driver's own.
pub unsafe fn destroy_stream(real: impl Fn() -> Status, stream: usize) -> Status {
    around(real, |pools, call| pools.destroy_stream(Stream(stream), call))
}
