//! Waiting for a 32-bit word, without a descriptor and without a heap.

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Waits while `word` is `value`, at most for `timeout`. May return early for no reason.
pub fn wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    wait_as(libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, word, value, timeout);
}

/// [`wait`] for a word that may be shared with other processes.
pub fn wait_shared(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    wait_as(libc::FUTEX_WAIT, word, value, timeout);
}

fn wait_as(operation: c_int, word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    let limit = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the word lives across the call, and `limit` is null or points to a local.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, limit) };
}

/// Waits until `word` is no longer `value`, at most for `timeout`. Tells whether that came true.
pub fn wait_until_not(word: &AtomicU32, value: u32, timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    loop {
        if word.load(Ordering::Acquire) != value {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        wait(word, value, Some(left));
    }
}

/// Wakes everyone who waits for `word`. Async-signal-safe; may change `errno`.
pub fn wake_all(word: &AtomicU32) {
    wake_as(libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, word);
}

/// [`wake_all`] for a word that may be shared with other processes.
pub fn wake_all_shared(word: &AtomicU32) {
    wake_as(libc::FUTEX_WAKE, word);
}

fn wake_as(operation: c_int, word: &AtomicU32) {
    // SAFETY: waking only compares the word's address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX) };
}
