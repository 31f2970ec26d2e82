//! The signal on which idle memory is given back and the stats file is written.
//!
//! The handler runs in any thread of a program that is not ours, between any two instructions, on
//! whatever stack that thread has for signals. So:
//!
//! 1. It counts in one atomic and makes one system call, `futex(FUTEX_WAKE)`; then the program's
//!    own handler runs, if there is one. It takes no lock, allocates nothing, and looks at nothing
//!    but static memory and the live page, which stays mapped.
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
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use cupool::request::MARK;

use crate::{disposition, futex};

/// The requests so far.
static REQUESTS: AtomicU32 = AtomicU32::new(0);

/// What the worker waits for while it has no live page: another value with each reason to look.
///
/// Exactly 2³² of them between two looks of the worker would be missed.
static WORD: AtomicU32 = AtomicU32::new(0);

/// The word that the worker waits for. One in the live page can be changed by other processes too:
/// it tells that there may be something to do, never what.
///
/// Sequentially consistent, as are the things to do: who has changed the old word has noted before
/// what the worker looks for once it waits for the new one.
static PLACE: AtomicPtr<AtomicU32> = AtomicPtr::new((&raw const WORD).cast_mut());

/// The worker is to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// The word that the worker waits for.
fn word() -> &'static AtomicU32 {
    // SAFETY: it points to `WORD` or to the word given to `wait_there`, both there for ever.
    unsafe { &*PLACE.load(Ordering::SeqCst) }
}

/// The worker waits for `word` from now on. To be called by the worker.
pub fn wait_there(word: &'static AtomicU32) {
    PLACE.store(ptr::from_ref(word).cast_mut(), Ordering::SeqCst);
}

/// In a forked child: the live page is the parent's.
pub fn in_child() {
    PLACE.store((&raw const WORD).cast_mut(), Ordering::SeqCst);
}

extern "C-unwind" fn handle(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: errno's address is valid as long as the thread runs.
    let errno = unsafe { *libc::__errno_location() };
    REQUESTS.fetch_add(1, Ordering::SeqCst);
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
    let word = word();
    word.fetch_add(1, Ordering::Release);
    futex::wake_all_shared(word);
}

/// The requests so far: to be compared with what was served, nothing else.
pub fn requests() -> u32 {
    REQUESTS.load(Ordering::SeqCst)
}

/// What the word is now, for [`wait`]. To be read before looking at what there is to do.
pub fn reasons() -> u32 {
    word().load(Ordering::Acquire)
}

/// Whether the worker is to end.
pub fn ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// The worker is to end.
pub fn end() {
    ENDING.store(true, Ordering::SeqCst);
    look();
}

/// Waits until the word is no longer `seen`, or `timeout` is over.
pub fn wait(seen: u32, timeout: Option<Duration>) {
    futex::wait_shared(word(), seen, timeout);
}
