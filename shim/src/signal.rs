//! The signal on which idle memory is given back and the stats file is written.
//!
//! The handler runs in any thread of a program that is not ours, between any two instructions, on
//! whatever stack that thread has for signals. So:
//!
//! 1. It counts in one atomic and makes one system call, `futex(FUTEX_WAKE)`; then the program's
//!    own handler runs, if there is one. It takes no lock, allocates nothing, and looks at nothing
//!    but static memory.
//! 2. It leaves `errno` as it was.
//! 3. `SA_RESTART`, unless the program's own handler is without: blocking calls like `read` carry
//!    on (`poll`, `select` and sleeps end with `EINTR` on Linux whatever the flags). `SA_ONSTACK`,
//!    unless the program's own handler is without: threads with small stacks have provided for it.
//!    `SA_SIGINFO`: the program's handler may want what comes with it.
//! 4. A request that carries the [mark](cupool::request) of another process's cupool is not passed
//!    on to the program.
//! 5. A request is never lost: it stays counted until [`requests`] differs from what was served,
//!    also from before the process used CUDA. Those that come while one is served become one.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cupool::request::MARK;

use crate::{disposition, futex};

/// The requests so far.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

/// What the worker waits for: twice the number of reasons so far to look, plus one once it is to end.
///
/// Exactly 2³¹ of them between two looks of the worker would be missed.
static WORD: AtomicU32 = AtomicU32::new(0);

const REASON: u32 = 2;
const END: u32 = 1;

extern "C-unwind" fn handle(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: errno's address is valid as long as the thread runs.
    let errno = unsafe { *libc::__errno_location() };
    REQUESTS.fetch_add(1, Ordering::Release);
    look();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    // SAFETY: the kernel has filled what the pointer is to, for a handler with `SA_SIGINFO`.
    if !unsafe { is_marked(&*info) } {
        // SAFETY: these are the arguments of this handler.
        unsafe { disposition::pass_on(number, info, context) };
    }
}

fn is_marked(info: &libc::siginfo_t) -> bool {
    // SAFETY: what `sigqueue` has sent comes with a value.
    info.si_code == libc::SI_QUEUE && unsafe { info.si_value() }.sival_ptr.addr() == MARK
}

/// The handler, as `sigaction` takes it.
pub fn handler() -> libc::sighandler_t {
    handle as extern "C-unwind" fn(_, _, _) as libc::sighandler_t
}

/// The worker is to look at what there is to do. Async-signal-safe; may change `errno`.
pub fn look() {
    WORD.fetch_add(REASON, Ordering::Release);
    futex::wake_all(&WORD);
}

/// The requests so far: to be compared with what was served, nothing else.
pub fn requests() -> u32 {
    REQUESTS.load(Ordering::Acquire)
}

/// The reasons so far to look, for [`wait`].
pub fn reasons() -> u32 {
    WORD.load(Ordering::Acquire) & !END
}

/// Whether the worker is to end.
pub fn ending() -> bool {
    WORD.load(Ordering::Acquire) & END != 0
}

/// The worker is to end.
pub fn end() {
    WORD.fetch_or(END, Ordering::Release);
    futex::wake_all(&WORD);
}

/// Waits until there is a reason to look that is not in `seen`, the end has come, or `timeout` is
/// over.
pub fn wait(seen: u32, timeout: Option<Duration>) {
    // The word is `seen` exactly while there is neither.
    futex::wait(&WORD, seen, timeout);
}
