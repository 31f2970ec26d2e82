//! What the exported `dlsym` and `dlvsym` do about the names of ours.
//!
//! The answer is the one the program would get without this library, replaced if it is a function
//! of the driver that we watch. Names that are not ours never get here, and look-ups by
//! `RTLD_NEXT` neither.

use std::ffi::{CStr, c_char, c_void};
use std::mem::transmute;
use std::panic::catch_unwind;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::{cudart, elf, lookup, object, table};

/// The C library's `dlsym`; null until first needed. The trampoline reads it.
pub static REAL_DLSYM: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
/// The C library's `dlvsym`.
pub static REAL_DLVSYM: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
type Dlvsym = unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;

/// Finds the C library's `dlsym`.
pub extern "C" fn find_dlsym() -> *mut c_void {
    find(c"dlsym", &REAL_DLSYM)
}

/// Finds the C library's `dlvsym`.
pub extern "C" fn find_dlvsym() -> *mut c_void {
    find(c"dlvsym", &REAL_DLVSYM)
}

fn find(name: &CStr, cache: &AtomicPtr<c_void>) -> *mut c_void {
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
pub fn real(handle: *mut c_void, name: &CStr) -> *mut c_void {
    // SAFETY: the C library's `dlsym` has this type.
    let dlsym = unsafe { transmute::<*mut c_void, Dlsym>(find_dlsym()) };
    // SAFETY: the handle is one that the program or this library uses now.
    unsafe { dlsym(handle, name.as_ptr()) }
}

fn real_versioned(handle: *mut c_void, name: &CStr, version: Option<&CStr>) -> *mut c_void {
    let Some(version) = version else { return real(handle, name) };
    // SAFETY: the C library's `dlvsym` has this type.
    let dlvsym = unsafe { transmute::<*mut c_void, Dlvsym>(find_dlvsym()) };
    // SAFETY: as in `real`.
    unsafe { dlvsym(handle, name.as_ptr(), version.as_ptr()) }
}

/// What a trampoline gets: an answer, or the order to jump on to the real function.
#[repr(C)]
pub struct Answer {
    answered: usize,
    pointer: *mut c_void,
}

impl Answer {
    const JUMP_ON: Self = Self { answered: 0, pointer: ptr::null_mut() };

    const fn with(pointer: *mut c_void) -> Self {
        Self { answered: 1, pointer }
    }
}

/// Answers a look-up of a name that begins with `cu`, made at the return address `caller`.
///
/// # Safety
/// As for `dlsym`, or for `dlvsym` if `version` is not null.
pub unsafe extern "C" fn resolve(
    handle: *mut c_void,
    name: *const c_char,
    version: *const c_char,
    caller: usize,
) -> Answer {
    // SAFETY: the program passes C strings.
    let name = unsafe { CStr::from_ptr(name) };
    // SAFETY: as before.
    let version = (!version.is_null()).then(|| unsafe { CStr::from_ptr(version) });
    let of_driver = table::knows(name);
    if !of_driver && !cudart::exports(name) {
        return Answer::JUMP_ON;
    }
    let answer = catch_unwind(|| {
        let found = native(handle, name, version, caller)?;
        let ours = of_driver && !found.is_null();
        Some(if ours { lookup::substitute_symbol(name, found) } else { found })
    });
    answer.ok().flatten().map_or(Answer::JUMP_ON, Answer::with)
}

/// What the program would find without this library; null and an error for `dlerror` if nothing.
/// `None`: ask on its own account.
fn native(
    handle: *mut c_void,
    name: &CStr,
    version: Option<&CStr>,
    caller: usize,
) -> Option<*mut c_void> {
    let found = real_versioned(handle, name, version);
    if found.is_null() && handle == libc::RTLD_DEFAULT {
        // This library is not in the global scope, so the caller's own scopes decide.
        return None;
    }
    if found.is_null() || !object::is_ours(found) {
        return Some(found);
    }
    let next = || real_versioned(libc::RTLD_NEXT, name, version);
    let mut found = next();
    if found.is_null() && handle == libc::RTLD_DEFAULT {
        found = object::find_in_scope_of(caller, name);
        if found.is_null() {
            // Once more, for the error that `dlerror` is to tell.
            found = next();
        }
    }
    Some(found)
}
