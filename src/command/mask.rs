//! Which signals this process blocks.

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// Blocks `signal` in the calling thread, and so in what it executes. Tells whether it was free.
pub fn block(signal: i32) -> bool {
    // SAFETY: the sets are locals, and an all-zero set is a set.
    unsafe {
        let mut before = MaybeUninit::<libc::sigset_t>::zeroed().assume_init();
        libc::pthread_sigmask(libc::SIG_BLOCK, &only(signal), &raw mut before);
        libc::sigismember(&raw const before, signal) == 0
    }
}

/// Takes that back.
pub fn unblock(signal: i32) {
    // SAFETY: the set is a local.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &only(signal), ptr::null_mut()) };
}

fn only(signal: i32) -> libc::sigset_t {
    // SAFETY: the set is a local, and an all-zero set is a set.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed().assume_init();
        libc::sigaddset(&raw mut set, signal);
        set
    }
}
