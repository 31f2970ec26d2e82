//! The life of a process that is not ours: load, first use of CUDA, fork, exit.

use std::ffi::{CStr, c_char, c_int};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use std::{env, process};

use cupool::config::Options;
use cupool::driver::{Driver, DriverError};
use cupool::files::Target;
use cupool::log::{self, Sink};
use cupool::pools::Pools;
use cupool::report::ProcessFacts;

use crate::cancel::Uncancelled;
use crate::driver::{RealDriver, real_driver};
use crate::guard::Guard;
use crate::state::{self, Made};
use crate::{
    disposition, dump, frameworks, ipc, live, notice, signal, surroundings, tools, worker, wrapped,
};

/// The process that `begin` ran in. A child made behind the C library's back has another one.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// How long exit waits for the worker and the last stats file.
const WORKER_PATIENCE: Duration = Duration::from_secs(5);
/// The same where it has interrupted the pools.
const INTERRUPTED_PATIENCE: Duration = Duration::from_millis(500);
/// How long exit waits for a process that is just being served with memory of this one.
const IPC_PATIENCE: Duration = Duration::from_secs(2);

unsafe extern "C" {
    /// `at_quick_exit(3)`
    fn at_quick_exit(handler: extern "C" fn()) -> c_int;
}

/// Runs when the library is loaded, before the program's `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static LOAD: extern "C" fn() = {
    extern "C" fn load() {
        if must_stay_inert() || panic::catch_unwind(is_left_alone).unwrap_or(false) {
            state::turn_off();
            wrapped::unblock();
            return;
        }
        notice::begin();
        // A request that comes before CUDA is in use must not kill the process: see `signal`.
        let _ = panic::catch_unwind(|| {
            let early = match env::var_os("CUPOOL_CONF") {
                None => Some(libc::SIGUSR1),
                Some(_) => {
                    let (options, _) = parse();
                    options.signal.number().filter(|_| options.signal_early)
                }
            };
            if let Some(number) = early {
                disposition::install(number);
            }
        });
        wrapped::unblock();
    }
    load
};

/// Whether cupool is to do nothing in this process: a set-uid program, or `CUPOOL_DISABLE`.
fn must_stay_inert() -> bool {
    // SAFETY: getauxval has no preconditions. getenv's result is read before anything can change
    // the environment, as far as a library can know.
    let (secure, disable) = unsafe {
        let value = libc::getenv(c"CUPOOL_DISABLE".as_ptr());
        let value = (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes());
        (libc::getauxval(libc::AT_SECURE) != 0, value)
    };
    secure || disable.is_some_and(is_true)
}

/// Whether the options `only` and `except` leave this program alone. Costs nothing where no options are
/// set.
fn is_left_alone() -> bool {
    if env::var_os("CUPOOL_CONF").is_none() {
        return false;
    }
    let (options, _) = parse();
    if options.only.is_empty() && options.except.is_empty() {
        return false;
    }
    // The name that it was started by may be a link's, such as that of an interpreter.
    // SAFETY: getauxval has no preconditions; what it gives is null or a string that stays.
    let started_as = unsafe {
        let name = libc::getauxval(libc::AT_EXECFN) as *const c_char;
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    let executable = std::fs::read_link("/proc/self/exe").ok();
    let executable = executable.map(|path| path.to_string_lossy().into_owned());
    let paths: Vec<_> = started_as.into_iter().chain(executable).collect();
    !options.serves(&paths)
}

/// Whether the text of a variable that is on or off says on.
fn is_true(text: &[u8]) -> bool {
    const OFF: [&[u8]; 5] = [b"", b"0", b"false", b"no", b"off"];
    !OFF.iter().any(|off| text.eq_ignore_ascii_case(off))
}

/// The pools, made now if this is the process's first use of CUDA. `None`: call the driver.
#[cold]
pub fn start() -> Option<&'static Pools<RealDriver>> {
    state::start(make, started)
}

/// As long as the driver says that it is not initialised, nothing starts: what is registered here
/// for the process's exit has to run before what `cuInit` registered.
fn make() -> Made {
    if must_stay_inert() {
        return Made::Never;
    }
    let Some(driver) = real_driver() else { return Made::Never };
    if driver.current_context() == Err(DriverError::NOT_INITIALIZED) {
        return Made::NotYet;
    }
    let options = begin();
    if let Some(tool) = tools::in_the_way(options.under_tools) {
        tracing::info!(tool, "left to the driver (under_tools)");
        return Made::Never;
    }
    let pools = Pools::new(driver, options).among(surroundings::look).beside(live::neighbours);
    Made::Pools(Box::new(pools), options)
}

/// First half of the start: reads the configuration and tells what is wrong with it. The options
/// live as long as the process.
fn begin() -> &'static Options {
    PROCESS.store(process::id().cast_signed(), Ordering::Relaxed);
    // Before anything that a forked child would have to know about.
    // SAFETY: the handler only stores to atomics.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    // This library's own hook: a program that is written in Rust has another.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = panic.payload();
        let what = what.downcast_ref::<&str>().copied().or(what.downcast_ref().map(String::as_str));
        notice::error(&format_args!("panic at {place}: {}", what.unwrap_or("no message")));
    }));
    let process = ProcessFacts::of_this_process();
    let (mut options, warnings) = parse();
    for warning in &warnings {
        notice::warn(warning);
    }
    if options.abort_conf && !warnings.is_empty() {
        notice::error(&"CUPOOL_CONF: abort_conf is set: the process ends with status 1");
        process::exit(1);
    }
    if let Some(level) = env::var_os("CUPOOL_LOG") {
        let level = level.to_string_lossy();
        match Options::parse(&format!("log:{level}"), false) {
            (Options { log, .. }, none) if none.is_empty() => options.log = log,
            _ => notice::warn(&format_args!(
                "CUPOOL_LOG={level} ignored; use error, warn, info, debug or none"
            )),
        }
    }
    if options.confirm_conf {
        for (key, value) in options.pairs() {
            notice::info(&format_args!("CUPOOL_CONF: {key}:{value}"));
        }
    }
    if let Some(level) = options.log {
        let sink = match Target::log(&options.log_file) {
            Some(file) => Sink::new(Some(file), &process),
            None => notice::stderr(),
        };
        if let Err(error) = sink.check() {
            notice::warn(&format_args!("no log: {error}"));
        }
        log::install(level, sink, options.log_format);
    }
    let options = Box::leak(Box::new(options));
    dump::begin(options, process);
    options
}

/// Second half of the start: from here on the process knows of the pools.
fn started(pools: &'static Pools<RealDriver>, options: &'static Options) {
    tracing::info!(
        "version {} serves this process, order {}",
        env!("CARGO_PKG_VERSION"),
        options.order.name(),
    );
    // Handlers run in reverse order of registration. The driver's was registered by `cuInit`, which
    // has returned, so ours runs before it, while the driver still works; those of objects that the
    // program constructed before it used CUDA run after it, and find the pools closed.
    // `quick_exit` ends nothing of the driver's.
    // SAFETY: the handler does not unwind.
    unsafe {
        libc::atexit(at_exit);
        at_quick_exit(at_exit);
    }
    if let Some(number) = options.signal.number()
        && !disposition::install(number)
    {
        tracing::info!(signal = number, "the signal is ignored, and stays so");
    }
    if let Err(error) = worker::start(pools, options) {
        notice::warn(&format_args!("no thread to serve the signal: {error}"));
    }
}

fn parse() -> (Options, Vec<cupool::config::Warning>) {
    let text = env::var_os("CUPOOL_CONF").unwrap_or_default();
    let testing = env::var_os("CUPOOL_TESTING").is_some_and(|value| value == "1");
    Options::parse(&text.to_string_lossy(), testing)
}

/// A forked child has no worker, and locks that other threads held stay locked: nothing of ours
/// happens in it. CUDA does not work in it either, and says so.
extern "C" fn in_child() {
    state::turn_off();
    signal::in_child();
    frameworks::in_child();
    ipc::in_child();
}

/// Pays what is owed (a kernel's output is printed by a wait), and writes the last stats file.
/// Other threads may go on allocating: the closed pools let them through.
extern "C" fn at_exit() {
    let _ = panic::catch_unwind(AssertUnwindSafe(|| {
        if process::id().cast_signed() != PROCESS.load(Ordering::Relaxed) {
            return;
        }
        let Some(pools) = state::pools() else { return };
        // A signal handler that calls `exit` may have interrupted the pools under a lock. If it is not
        // one that the last file needs, the worker can write that.
        let Some(_guard) = Guard::enter() else {
            worker::finish(pools, INTERRUPTED_PATIENCE);
            return;
        };
        let _uncancelled = Uncancelled::enter();
        pools.close();
        ipc::finish(IPC_PATIENCE);
        worker::finish(pools, WORKER_PATIENCE);
    }));
}
