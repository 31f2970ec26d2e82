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

/// The `sival_ptr` of a marked request: `cupool` in ASCII, then the version of this protocol.
pub const MARK: usize = 0x6375_706f_6f6c_0001;
