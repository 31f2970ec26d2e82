//! What the exported `dlsym` and `dlvsym` do about the names of ours.
//!
//! The answer is the one the program would get without this library, replaced if it is a function
//! of the driver that we watch. Names that are not ours never get here, and look-ups by
//! `RTLD_NEXT` neither.

use std::ffi::{CStr, c_char, c_void};
use std::panic::catch_unwind;
use std::ptr;

use crate::{cudart, linker, lookup, object, table};

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
    let found = linker::find_versioned(handle, name, version);
    if found.is_null() && handle == libc::RTLD_DEFAULT {
        // This library is not in the global scope, so the caller's own scopes decide.
        return None;
    }
    if found.is_null() || !object::is_ours(found) {
        return Some(found);
    }
    let next = || linker::find_versioned(libc::RTLD_NEXT, name, version);
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
