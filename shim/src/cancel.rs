//! Thread cancellation kept out of this library.
//!
//! A thread that is cancelled in the middle of a blocking call is unwound from there, and no catch
//! of a panic lets that pass: the process would abort. So wherever a call below may block, or a
//! file is read, the cancellation waits until we are through.

use std::ffi::c_int;
use std::ptr;

unsafe extern "C" {
    fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
}

/// `PTHREAD_CANCEL_DISABLE`
const DISABLE: c_int = 1;

/// The calling thread is not cancelled while this lives.
pub struct Uncancelled {
    before: c_int,
}

impl Uncancelled {
    /// Puts off a cancellation of the calling thread.
    pub fn enter() -> Self {
        let mut before = 0;
        // SAFETY: the pointer is to a local.
        unsafe { pthread_setcancelstate(DISABLE, &raw mut before) };
        Self { before }
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        // SAFETY: the state is the one that the thread had; null asks for nothing.
        unsafe { pthread_setcancelstate(self.before, ptr::null_mut()) };
    }
}
