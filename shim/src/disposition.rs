//! The program's own disposition of our signal, which it keeps and sees.
//!
//! Other tools want SIGUSR1 too (PyTorch Lightning on Slurm, for one). So the kernel knows our
//! handler, and this module what the program has asked for: `sigaction` and `signal` are exported,
//! and act for that one signal as if ours were not there. What the program installed is called
//! after ours. The rest goes to the C library.
//!
//! - `SIG_IGN` goes to the kernel, since it would be inherited by what the program executes: then
//!   the signal is not ours either.
//! - A child between `vfork` and `exec` shares this memory, but not the disposition. So only the
//!   process that installed our handler changes anything here; in others the kernel decides.
//! - What a program installs without the C library, as Go does, simply replaces ours.

use std::ffi::{c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use libc::{
    SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_SIGINFO, SIG_DFL, SIG_ERR, SIG_IGN, sighandler_t,
    siginfo_t,
};

use crate::signal;

type Action = libc::sigaction;

unsafe extern "C" {
    /// `sigaction` under a name that is not exported here.
    fn __sigaction(number: c_int, new: *const Action, old: *mut Action) -> c_int;
    /// `signal` under a name that is not exported here.
    fn ssignal(number: c_int, handler: sighandler_t) -> sighandler_t;
}

/// Our signal; 0 while we have none.
static OURS: AtomicI32 = AtomicI32::new(0);

/// The process that has installed our handler.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// The program's handler: its address, which leaves the two highest bits free on every
/// architecture, and there [`TAKES_INFO`] and [`ONCE`]. `SIG_DFL` is 0.
///
/// One word, since a signal may come while the program changes it.
static HANDLER: AtomicU64 = AtomicU64::new(SIG_DFL as u64);

/// `SA_SIGINFO`
const TAKES_INFO: u64 = 1 << 63;
/// `SA_RESETHAND`
const ONCE: u64 = 1 << 62;

/// The flags that the program set, only to be told back.
static FLAGS: AtomicI32 = AtomicI32::new(0);

/// Handles `number` with our handler from now on, before the program's. Tells whether it does: a
/// signal that is ignored stays ignored.
pub fn install(number: c_int) -> bool {
    let Some(present) = present(number) else { return false };
    if present.sa_sigaction == SIG_IGN {
        return false;
    }
    OURS.store(number, Ordering::Relaxed);
    PROCESS.store(std::process::id().cast_signed(), Ordering::Relaxed);
    // After a fork our handler is there already.
    is_ours(&present) || put_behind_ours(number, &present) == 0
}

/// Calls the program's handler for `number`, if it has one. Async-signal-safe.
///
/// # Safety
/// To be called by our handler, with its arguments.
pub unsafe fn pass_on(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let handler = HANDLER.load(Ordering::Acquire);
    if handler == SIG_DFL as u64 || number != OURS.load(Ordering::Relaxed) {
        return;
    }
    if handler & ONCE != 0 {
        let none = SIG_DFL as u64;
        let _ = HANDLER.compare_exchange(handler, none, Ordering::Relaxed, Ordering::Relaxed);
    }
    let address = (handler & !(TAKES_INFO | ONCE)) as *const ();
    if handler & TAKES_INFO != 0 {
        // SAFETY: the program installed it as a handler of this type.
        unsafe {
            let handler: extern "C-unwind" fn(c_int, *mut siginfo_t, *mut c_void) =
                mem::transmute(address);
            handler(number, info, context);
        }
    } else {
        // SAFETY: as above.
        unsafe {
            let handler: extern "C-unwind" fn(c_int) = mem::transmute(address);
            handler(number);
        }
    }
}

/// # Safety
/// As the C library's: both pointers are null or valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(number: c_int, new: *const Action, old: *mut Action) -> c_int {
    if number == 0 || number != OURS.load(Ordering::Relaxed) {
        // SAFETY: the caller's promise.
        return unsafe { __sigaction(number, new, old) };
    }
    let Some(mut seen) = present(number) else { return -1 };
    if is_ours(&seen) {
        seen = as_the_program_set_it(&seen);
    }
    if !new.is_null() {
        // SAFETY: not null, so as the caller promises.
        let wanted = unsafe { new.read() };
        let elsewhere = std::process::id().cast_signed() != PROCESS.load(Ordering::Relaxed);
        let status = if wanted.sa_sigaction == SIG_IGN || elsewhere {
            // SAFETY: the action is a local, and what the program wants.
            unsafe { __sigaction(number, &raw const wanted, ptr::null_mut()) }
        } else {
            put_behind_ours(number, &wanted)
        };
        if status != 0 {
            return status;
        }
    }
    if !old.is_null() {
        // SAFETY: not null, so as the caller promises.
        unsafe { old.write(seen) };
    }
    0
}

/// # Safety
/// As the C library's: `handler` is a handler or one of the constants.
#[unsafe(no_mangle)]
unsafe extern "C" fn signal(number: c_int, handler: sighandler_t) -> sighandler_t {
    if number == 0 || number != OURS.load(Ordering::Relaxed) || handler == SIG_ERR {
        // SAFETY: the caller's promise.
        return unsafe { ssignal(number, handler) };
    }
    let mut wanted = default_action();
    wanted.sa_sigaction = handler;
    wanted.sa_flags = SA_RESTART;
    let mut old = default_action();
    // SAFETY: all pointers are to locals.
    let status = unsafe {
        libc::sigaddset(&raw mut wanted.sa_mask, number);
        sigaction(number, &raw const wanted, &raw mut old)
    };
    if status == 0 { old.sa_sigaction } else { SIG_ERR }
}

/// Gives the kernel our handler with what `wanted` asks for beside its own.
fn put_behind_ours(number: c_int, wanted: &Action) -> c_int {
    let before = (HANDLER.load(Ordering::Relaxed), FLAGS.load(Ordering::Relaxed));
    let mut handler = wanted.sa_sigaction as u64;
    let mut action = *wanted;
    if wanted.sa_sigaction == SIG_DFL {
        action.sa_flags = SA_RESTART | SA_ONSTACK;
    } else {
        // A handler runs on the stack that it was written for: another may be too small for it.
        action.sa_flags &= !SA_RESETHAND;
        if wanted.sa_flags & SA_SIGINFO != 0 {
            handler |= TAKES_INFO;
        }
        if wanted.sa_flags & SA_RESETHAND != 0 {
            handler |= ONCE;
        }
    }
    action.sa_sigaction = signal::handler();
    action.sa_flags |= SA_SIGINFO;
    // Known before the first signal can come.
    FLAGS.store(wanted.sa_flags, Ordering::Relaxed);
    HANDLER.store(handler, Ordering::Release);
    // SAFETY: our handler keeps the rules of its module.
    let status = unsafe { __sigaction(number, &raw const action, ptr::null_mut()) };
    if status != 0 {
        FLAGS.store(before.1, Ordering::Relaxed);
        HANDLER.store(before.0, Ordering::Release);
    }
    status
}

fn as_the_program_set_it(ours: &Action) -> Action {
    let handler = HANDLER.load(Ordering::Relaxed) & !(TAKES_INFO | ONCE);
    Action {
        sa_sigaction: handler as sighandler_t,
        sa_flags: FLAGS.load(Ordering::Relaxed),
        ..*ours
    }
}

/// What the kernel has for `number`; `None` for a number that is no signal.
fn present(number: c_int) -> Option<Action> {
    let mut action = default_action();
    // SAFETY: a null new action only asks.
    let status = unsafe { __sigaction(number, ptr::null(), &raw mut action) };
    (status == 0).then_some(action)
}

fn is_ours(action: &Action) -> bool {
    action.sa_sigaction == signal::handler()
}

/// The default disposition.
fn default_action() -> Action {
    // SAFETY: all zeros are an action: `SIG_DFL`, no flags, an empty mask.
    unsafe { MaybeUninit::zeroed().assume_init() }
}
