//! `cuGetProcAddress`, both forms.

use std::ffi::{CStr, c_char};
use std::panic::catch_unwind;

use super::{SUCCESS, Status};
use crate::lookup;

/// Looks up as the driver does, then replaces what was found if it is a function of ours.
///
/// # Safety
/// `name` is null or a C string; `found` is null or can be written.
pub unsafe fn look_up(real: impl Fn() -> Status, name: *const c_char, found: *mut usize) -> Status {
    let status = real();
    if status != SUCCESS || name.is_null() || found.is_null() {
        return status;
    }
    // SAFETY: neither is null, so as the caller says; the driver has written what it found.
    let (name, address) = unsafe { (CStr::from_ptr(name), *found) };
    if address != 0
        && let Ok(substitute) = catch_unwind(|| lookup::substitute_proc(name, address))
    {
        // SAFETY: as before.
        unsafe { found.write(substitute) };
    }
    status
}
