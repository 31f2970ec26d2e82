//! Lines on standard error that do not depend on `CUPOOL_LOG`: mistakes in the configuration, and
//! the first failure of each kind.
//!
//! A program may close descriptor 2, and the next file it opens then gets that number. So only what
//! was standard error when the library was loaded is written to, or what standard output is too: a
//! program that sends its output elsewhere sends both.

use std::fmt::Display;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

use cupool::log::Sink;
use tracing::Level;

/// Device and inode of standard error at load; both 0 if it was closed.
static AT_LOAD: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Remembers what standard error is. One system call.
pub fn begin() {
    if let Some((device, inode)) = file(libc::STDERR_FILENO) {
        AT_LOAD[0].store(device, Ordering::Relaxed);
        AT_LOAD[1].store(inode, Ordering::Relaxed);
    }
}

/// Standard error, if it can be written to now; nowhere otherwise.
pub fn stderr() -> Sink {
    let at_load = (AT_LOAD[0].load(Ordering::Relaxed), AT_LOAD[1].load(Ordering::Relaxed));
    match file(libc::STDERR_FILENO) {
        Some(now) if now == at_load || Some(now) == file(libc::STDOUT_FILENO) => Sink::Stderr,
        _ => Sink::Nowhere,
    }
}

/// Something was left out or does not work; the program goes on.
pub fn warn(message: &dyn Display) {
    stderr().write(Level::WARN, message);
}

/// cupool, or the program, does not go on.
pub fn error(message: &dyn Display) {
    stderr().write(Level::ERROR, message);
}

/// What the user asked to be told.
pub fn info(message: &dyn Display) {
    stderr().write(Level::INFO, message);
}

/// Device and inode of an open descriptor.
pub fn file(descriptor: libc::c_int) -> Option<(u64, u64)> {
    let mut facts = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the pointer is to a local; `fstat` has filled it if it returns 0.
    unsafe {
        let found = libc::fstat(descriptor, facts.as_mut_ptr()) == 0;
        found.then(|| facts.assume_init()).map(|facts| (facts.st_dev, facts.st_ino))
    }
}
