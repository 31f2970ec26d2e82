//! `cupool run`

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use cupool::config::Options;
use cupool::request::BLOCKED;

use super::check::program;
use super::{complain, mask, preload};

/// Run a program under cupool
///
/// The program replaces this command: its pid and its exit status are its own.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Options, added to those in CUPOOL_CONF; later ones count
    #[arg(long, value_name = "K:V,…", default_value = "", hide_default_value = true)]
    conf: String,
    /// What cupool tells on standard error: error, warn, info or debug
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    #[command(flatten)]
    start: preload::Start,
}

#[cfg(test)]
impl Arguments {
    /// The program and its arguments.
    pub fn program(&self) -> &[OsString] {
        &self.start.program
    }
}

const HELP: &str = "\
What is in LD_PRELOAD stays there, behind libcupool.so. What the program starts runs under cupool
too. PLATFORM.md lists the options.

Exit status: the program's own; 125 if it was not started, 126 if it cannot be executed, 127 if it
does not exist.

Examples:
  cupool run -- python train.py
  cupool run --conf max_idle:4GiB --log info -- ./simulate --steps 1000
  cupool check ./simulate";

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    // As early as can be: a request that comes before the library is loaded waits, and ends nothing.
    let was_free = mask::block(libc::SIGUSR1);
    match prepare(arguments, was_free) {
        Ok((library, variables)) => {
            let conf = arguments.conf.as_ref();
            preload::exec(&arguments.start.program, &library, conf, &variables)
        }
        Err(message) => {
            complain(&message);
            ExitCode::from(preload::FAILED)
        }
    }
}

type Variables = Vec<(&'static str, String)>;

/// The library, and the variables to set beside its options.
fn prepare(arguments: &Arguments, was_free: bool) -> Result<(PathBuf, Variables), String> {
    let library = preload::library(arguments.start.lib.as_deref())?;
    let (_, warnings) = Options::parse(&arguments.conf, false);
    if let Some(warning) = warnings.first() {
        return Err(warning.refusal());
    }
    let mut variables = Variables::new();
    if let Some(level) = &arguments.log {
        if !Options::parse(&format!("log:{level}"), false).1.is_empty() {
            return Err(format!("--log {level}: use error, warn, info or debug"));
        }
        variables.push(("CUPOOL_LOG", level.clone()));
    }
    let conf = preload::conf(arguments.conf.as_ref());
    let (options, _) = Options::parse(&conf.to_string_lossy(), true);
    let early = options.signal.number().filter(|_| options.signal_early);
    if let Some(signal) = block(early, was_free, &arguments.start.program[0]) {
        // The library in this process, and in no child of it, unblocks the signal again.
        variables.push((BLOCKED, format!("{}:{signal}", std::process::id())));
    }
    Ok((library, variables))
}

/// Blocks the signal until the library is there to handle it. Gives it, unless it was blocked before
/// or the library will not be there; then all is as it was.
fn block(signal: Option<i32>, was_free: bool, name: &OsString) -> Option<i32> {
    let loads = program::find(name).is_some_and(|path| program::loads_libraries(&path));
    if was_free && (signal != Some(libc::SIGUSR1) || !loads) {
        mask::unblock(libc::SIGUSR1);
    }
    let signal = signal.filter(|_| loads)?;
    let was_free = if signal == libc::SIGUSR1 { was_free } else { mask::block(signal) };
    was_free.then_some(signal)
}
