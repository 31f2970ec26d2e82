//! Variables of modules.

use cupool::order::Sign;

use super::{SUCCESS, Status, reclaim, sign};
use crate::driver;

/// `cuModuleGetGlobal`: through the address of a `__managed__` variable the host sees what kernels
/// write.
///
/// # Safety
/// `out` is null or can be written.
pub unsafe fn find(real: impl Fn() -> Status, out: *mut u64) -> Status {
    // The module may be loaded only now. SAFETY: a call that failed for lack of memory found nothing.
    let status = unsafe { reclaim::retry(real) };
    // SAFETY: not null, and the driver has just written it.
    if status == SUCCESS && !out.is_null() && driver::is_managed(unsafe { *out }) {
        sign(Sign::ManagedMemory);
    }
    status
}
