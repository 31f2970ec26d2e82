//! The caches above the pool: PyTorch's and CuPy's own, in a Python process.
//!
//! Before a flush somebody else asked for, the worker has them emptied, without the program's help, as
//! the program itself would: by `torch.cuda.empty_cache()` and by `free_all_blocks()` of CuPy's pools.
//! What they free lands in the pool, and the flush gives it back.
//!
//! A thread of its own does that, since who wants the interpreter's lock may have to wait for it: the
//! main thread runs Python code, or waits for input without it. Where the lock comes late, another
//! flush follows.
//!
//! 1. Nothing runs while the interpreter goes down: the first time, the thread registers a function
//!    with Python's `atexit` that stops what has not begun and waits for what has. Before that it
//!    keeps the lock from end to end.
//! 2. Nothing runs during a stream capture, of which the frameworks may hold memory.
//! 3. The code has a namespace of its own, and its mistakes are forgotten.

mod python;

use std::ffi::{CStr, c_int, c_long, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use cupool::pools::Pools;

use self::python::{Method, NO_ARGUMENTS, Object, Python};
use crate::driver::RealDriver;
use crate::worker::with_signals_blocked;
use crate::{futex, signal, state};

/// How long a flush waits for the frameworks. Python hands its lock on every 5 ms where it can.
pub const PATIENCE: Duration = Duration::from_millis(200);
/// How long the interpreter's end waits for what is under way, which may wait for the device.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// Nobody is at it.
const IDLE: u32 = 0;
/// A thread is.
const BUSY: u32 = 1;

/// Whether a thread is at it; also the futex for who waits for that.
static STATE: AtomicU32 = AtomicU32::new(IDLE);
/// Nobody waits for the thread any more: it is to tell when it is through.
static LATE: AtomicBool = AtomicBool::new(false);
/// The interpreter waits for us before it goes.
static GUARDED: AtomicBool = AtomicBool::new(false);
/// The interpreter is about to go.
static ENDING: AtomicBool = AtomicBool::new(false);
/// The devices in use, one bit each.
static DEVICES: AtomicU64 = AtomicU64::new(0);

const SOURCE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("empty.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("a zero in the source"),
    };
const REGISTER: &CStr = c"import atexit\natexit.register(guard)";

/// Has the frameworks' caches emptied, and returns once that is done, or after `patience`. To be called
/// by the worker alone.
pub fn empty(pools: &Pools<RealDriver>, patience: Duration) {
    let wanted = Python::find().is_some_and(|python| python.is_up()) && may_begin(pools);
    if !wanted {
        return;
    }
    if STATE.swap(BUSY, Ordering::SeqCst) == BUSY {
        // It still waits for the interpreter's lock.
        LATE.store(true, Ordering::SeqCst);
        return;
    }
    DEVICES.store(pools.devices(), Ordering::Relaxed);
    LATE.store(false, Ordering::SeqCst);
    if !start() {
        STATE.store(IDLE, Ordering::SeqCst);
    } else if !futex::wait_until_not(&STATE, BUSY, patience) {
        LATE.store(true, Ordering::SeqCst);
    }
}

/// Whether the frameworks' caches have been emptied after [`empty`] had given up on it.
pub fn emptied_late() -> bool {
    LATE.load(Ordering::SeqCst)
        && STATE.load(Ordering::SeqCst) == IDLE
        && LATE.swap(false, Ordering::SeqCst)
}

/// In a forked child, which has no such thread.
pub fn in_child() {
    STATE.store(IDLE, Ordering::SeqCst);
    LATE.store(false, Ordering::SeqCst);
}

fn may_begin(pools: &Pools<RealDriver>) -> bool {
    !ENDING.load(Ordering::SeqCst) && !pools.is_capturing()
}

unsafe extern "C" {
    fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        begin: unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> c_int;
}

/// Starts the thread. Not by the standard library, whose threads must not end in the middle, as
/// Python ends those that want its lock when it goes.
fn start() -> bool {
    let mut thread = MaybeUninit::uninit();
    with_signals_blocked(|| {
        // SAFETY: the first pointer is to a local; `run` takes no argument.
        let error =
            unsafe { pthread_create(thread.as_mut_ptr(), ptr::null(), run, ptr::null_mut()) };
        if error == 0 {
            // SAFETY: it has just been made, and nobody joins it.
            unsafe { libc::pthread_detach(thread.assume_init()) };
        }
        error == 0
    })
}

/// The thread. It owns nothing: it may end inside.
unsafe extern "C-unwind" fn run(_: *mut c_void) -> *mut c_void {
    // SAFETY: the name is short enough.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"cupool-python".as_ptr()) };
    if let Some(python) = Python::find()
        && let Some(pools) = state::pools()
        && python.is_up()
    {
        pools.exempt_thread();
        // SAFETY: it was up just now, and does not go down while this holds its lock or `at_exit`
        // waits.
        unsafe { python.locked(|python| work(python, pools)) };
    }
    STATE.store(IDLE, Ordering::SeqCst);
    futex::wake_all(&STATE);
    if LATE.load(Ordering::SeqCst) {
        signal::look();
    }
    ptr::null_mut()
}

/// With the interpreter's lock.
fn work(python: &Python, pools: &Pools<RealDriver>) {
    if !GUARDED.load(Ordering::Relaxed) {
        // SAFETY: the lock is held.
        let registered = unsafe { python.run(REGISTER, &[(c"guard", python.function(&AT_EXIT))]) };
        if !registered {
            return;
        }
        GUARDED.store(true, Ordering::Relaxed);
    }
    if may_begin(pools) {
        let devices = DEVICES.load(Ordering::Relaxed) as c_long;
        // SAFETY: the lock is held.
        unsafe { python.run(SOURCE, &[(c"bits", python.number(devices))]) };
    }
}

static AT_EXIT: Method = Method {
    name: c"cupool_at_exit".as_ptr(),
    function: at_exit,
    flags: NO_ARGUMENTS,
    documentation: ptr::null(),
};

/// Called by the interpreter, with its lock, when it begins to go.
unsafe extern "C-unwind" fn at_exit(_: *mut Object, _: *mut Object) -> *mut Object {
    ENDING.store(true, Ordering::SeqCst);
    let Some(python) = Python::find() else { return ptr::null_mut() };
    // SAFETY: who calls this holds the lock.
    unsafe {
        python.unlocked(|| {
            futex::wait_until_not(&STATE, BUSY, LAST_PATIENCE);
        });
        python.number(0)
    }
}
