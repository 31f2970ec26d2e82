//! The signal on which idle memory is given back and the stats file is written.
//!
//! The handler runs in any thread of a program that is not ours, between any two instructions, on
//! whatever stack that thread has for signals. So:
//!
//! 1. It counts in one atomic and makes one system call, `futex(FUTEX_WAKE)`; nothing else. It
//!    takes no lock, allocates nothing, and looks at nothing but static memory.
//! 2. It leaves `errno` as it was.
//! 3. `SA_RESTART`: blocking calls like `read` carry on (`poll`, `select` and sleeps end with
//!    `EINTR` on Linux whatever the flags). `SA_ONSTACK`: threads with small stacks have
//!    provided for it. `SA_SIGINFO`: what runtimes that inspect handlers expect.
//! 4. A request is never lost: it stays counted until [`requests`] differs from what was served,
//!    also from before the process used CUDA. Those that come while one is served become one.
//! 5. A disposition that is not the default belongs to the program, and stays.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::futex;

/// What the worker waits for: twice the number of requests so far, plus one once it is to end.
///
/// Half a word of requests between two looks of the worker would be missed; a signal takes longer
/// than the look.
static WORD: AtomicU32 = AtomicU32::new(0);

const REQUEST: u32 = 2;
const END: u32 = 1;

extern "C" fn handle(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: errno's address is valid as long as the thread runs.
    let errno = unsafe { *libc::__errno_location() };
    WORD.fetch_add(REQUEST, Ordering::Release);
    futex::wake_all(&WORD);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Handles `number` from now on, if its disposition is the default one or already ours. Tells
/// whether it does.
pub fn install(number: libc::c_int) -> bool {
    let mut present = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only asks; an all-zero sigaction is one (the default disposition).
    let present = unsafe {
        if libc::sigaction(number, ptr::null(), present.as_mut_ptr()) != 0 {
            return false;
        }
        present.assume_init()
    };
    if present.sa_sigaction == handler() {
        return true;
    }
    if present.sa_sigaction != libc::SIG_DFL {
        return false;
    }
    // SAFETY: an all-zero sigaction is one, with an empty mask.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: the handler keeps the rules at the top of this file.
    unsafe { libc::sigaction(number, &action, ptr::null_mut()) == 0 }
}

fn handler() -> libc::sighandler_t {
    handle as extern "C" fn(_, _, _) as libc::sighandler_t
}

/// The requests so far: to be compared with what was served, nothing else.
pub fn requests() -> u32 {
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

/// Waits until there is a request that is not in `served`, the end has come, or `timeout` is over.
pub fn wait(served: u32, timeout: Option<std::time::Duration>) {
    // The word is `served` exactly while there is neither.
    futex::wait(&WORD, served, timeout);
}
