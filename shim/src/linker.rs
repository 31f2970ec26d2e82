//! The C library's own `dlsym` and `dlvsym`.

use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::elf;

/// The C library's `dlsym`; null until first needed. The trampoline reads it.
pub static REAL_DLSYM: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
/// The C library's `dlvsym`.
pub static REAL_DLVSYM: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
type Dlvsym = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;

/// Finds the C library's `dlsym`.
pub extern "C" fn find_dlsym() -> *mut c_void {
    locate(c"dlsym", &REAL_DLSYM)
}

/// Finds the C library's `dlvsym`.
pub extern "C" fn find_dlvsym() -> *mut c_void {
    locate(c"dlvsym", &REAL_DLVSYM)
}

fn locate(name: &CStr, cache: &AtomicPtr<c_void>) -> *mut c_void {
    let mut found = cache.load(Ordering::Relaxed);
    if found.is_null() {
        found = elf::libc_function(name).cast_mut();
        if found.is_null() {
            found = nothing as *mut c_void;
        }
        cache.store(found, Ordering::Relaxed);
    }
    found
}

/// In the place of a `dlsym` that could not be found.
extern "C" fn nothing() -> *mut c_void {
    ptr::null_mut()
}

/// `dlsym` as the C library has it, with this library as its caller.
pub fn find(handle: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: the C library's `dlsym` has this type.
    let dlsym = unsafe { transmute::<*mut c_void, Dlsym>(find_dlsym()) };
    // SAFETY: the handle is one that the program or this library uses now.
    unsafe { dlsym(handle, name.as_ptr()) }
}

/// `dlvsym` as the C library has it, with this library as its caller; `dlsym` without a version.
pub fn find_versioned(handle: *mut c_void, name: &CStr, version: Option<&CStr>) -> *mut c_void {
    let Some(version) = version else { return find(handle, name) };
    // SAFETY: the C library's `dlvsym` has this type.
    let dlvsym = unsafe { transmute::<*mut c_void, Dlvsym>(find_dlvsym()) };
    // SAFETY: as in `find`.
    unsafe { dlvsym(handle, name.as_ptr(), version.as_ptr()) }
}
