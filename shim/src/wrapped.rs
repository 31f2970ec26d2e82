//! The other half of `cupool run`, which blocks the signal until this library can handle it.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

use cupool::request::BLOCKED;

/// Unblocks the signal that `cupool run` has blocked for this process. To be called while the program
/// has no thread yet; what it starts inherits the mask that it would have without the wrapper.
pub fn unblock() {
    const NAME: &CStr = c"CUPOOL_BLOCKED";
    debug_assert_eq!(NAME.to_str(), Ok(BLOCKED));
    // SAFETY: nobody else looks at the environment yet, and the value is read before it is unset.
    let signal = unsafe {
        let value = libc::getenv(NAME.as_ptr());
        if value.is_null() {
            return;
        }
        let signal = CStr::from_ptr(value).to_str().ok().and_then(of_this_process);
        // What the program executes next under this pid has a mask of its own.
        libc::unsetenv(NAME.as_ptr());
        signal
    };
    let Some(signal) = signal else { return };
    // SAFETY: the set is a local, and an all-zero set is a set.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed().assume_init();
        if libc::sigaddset(&raw mut set, signal) == 0 {
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut());
        }
    }
}

/// The signal in `<pid>:<signal>`, if the pid is this one.
fn of_this_process(value: &str) -> Option<i32> {
    let (pid, signal) = value.split_once(':')?;
    (pid.parse() == Ok(std::process::id())).then(|| signal.parse().ok())?
}
