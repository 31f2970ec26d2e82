//! Lines on standard error that do not depend on `CUPOOL_LOG`: mistakes in the configuration, and
//! the first failure of each kind.

use std::fmt::Display;
use std::mem::MaybeUninit;
use std::{process, ptr};

/// Something was left out or does not work; the program goes on.
pub fn warn(message: &dyn Display) {
    line("WARN", message);
}

/// The program does not go on.
pub fn error(message: &dyn Display) {
    line("ERROR", message);
}

/// What the user asked to be told.
pub fn info(message: &dyn Display) {
    line("INFO", message);
}

fn line(level: &str, message: &dyn Display) {
    // SAFETY: gettid has no preconditions.
    let thread = unsafe { libc::gettid() };
    let line = format!("cupool: {} {thread} {level} {message}\n", process::id());
    without_sigpipe(|| {
        // One call per line keeps lines whole. Nothing can be said about a failure.
        // SAFETY: the bytes are those of a live string.
        unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
    });
}

/// Runs `f`, which writes where nobody may read any more, without the calling thread being killed
/// for it: the program had no reason to expect that.
fn without_sigpipe(f: impl FnOnce()) {
    let mut pipe = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut before = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut pending = MaybeUninit::<libc::sigset_t>::zeroed();
    let nothing = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: all sets are locals that live across the calls; an all-zero set is a set.
    unsafe {
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        libc::sigpending(pending.as_mut_ptr());
        let was_pending = libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1;
        libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), before.as_mut_ptr());
        f();
        if !was_pending {
            // Takes the signal away if there is one.
            libc::sigtimedwait(pipe.as_ptr(), ptr::null_mut(), &nothing);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
}
