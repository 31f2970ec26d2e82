//! The request by which one process asks another to give its idle memory back.
//!
//! It is the signal that the other's option `signal` names, sent by `sigqueue(3)` with [`MARK`] as
//! its value: the receiver then finds `SI_QUEUE` in `si_code` and the mark in `si_value`. Marked, it
//! is for cupool alone, and a handler that the program has for the same signal does not hear of it.
//! A plain signal, as of `kill(1)`, is for both.
//!
//! Where cupool's handler is not the one that the kernel calls (the signal is ignored, or blocked in
//! every thread and taken by `sigwait(3)` or `signalfd(2)`, or a handler was installed behind the C
//! library's back), the program gets the marked one as it gets any other.

use std::{io, ptr};

/// The `sival_ptr` of a marked request: `cupool` in ASCII, then the version of this protocol.
pub const MARK: usize = 0x6375_706f_6f6c_0001;

/// The variable by which `cupool run` tells the library that it has blocked the signal until the
/// library handles it: `<pid>:<signal>`, for that process and none of its children.
pub const BLOCKED: &str = "CUPOOL_BLOCKED";

/// Sends process `pid` a marked request by `signal`. It is to be one that the process catches: any
/// other would end it.
///
/// # Errors
/// Those of `sigqueue(3)`: there is no such process, it is another user's, or it has too many signals
/// waiting.
#[allow(unsafe_code)]
pub fn send(pid: u32, signal: i32) -> io::Result<()> {
    let pid = pid.try_into().map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?;
    let value = libc::sigval { sival_ptr: ptr::without_provenance_mut(MARK) };
    // SAFETY: plain values; the receiver does not follow the pointer.
    match unsafe { libc::sigqueue(pid, signal, value) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
