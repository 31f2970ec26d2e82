//! The subcommands, one file or folder each.
//!
//! Exit status: 0; 1 if nothing was found; 2 for an error or a call that cannot be understood.
//! `run` and `record` have those of a wrapper, 125 for such a call among them. What fails is told in one line on standard error, with
//! what to do about it.

mod ask;
mod check;
mod flush;
mod generate;
mod gpus;
mod mask;
mod plot;
mod preload;
mod processes;
mod record;
mod replay;
mod run;
mod snapshot;
mod stats;
mod top;
mod units;
mod usage;

use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A caching pool in front of an unmodified CUDA program.
#[derive(Parser)]
#[command(name = "cupool", version, arg_required_else_help = true, after_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Examples:
  cupool check python3           would it work here?
  cupool run -- python train.py  run a program under cupool
  cupool top                     watch all that run
  cupool flush --all             have them give their idle memory back";

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Top(top::Arguments),
    Stats(stats::Arguments),
    Flush(flush::Arguments),
    Check(check::Arguments),
    Record(record::Arguments),
    Replay(replay::Arguments),
    Snapshot(snapshot::Arguments),
    Plot(plot::Arguments),
    #[command(hide = true)]
    Generate(generate::Arguments),
}

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    match Arguments::try_parse() {
        Ok(arguments) => obey(arguments.command),
        Err(error) => usage::tell(&error),
    }
}

fn obey(command: Command) -> ExitCode {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Flush(arguments) => flush::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Record(arguments) => record::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Snapshot(arguments) => snapshot::run(&arguments),
        Command::Plot(arguments) => plot::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
    }
}

/// Nothing was found.
const NOTHING: u8 = 1;
/// Something failed, or the call is a mistake.
const FAILURE: u8 = 2;

/// Tells what went wrong.
fn complain(message: &dyn Display) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(io::stderr(), "cupool: {message}");
}

/// Whether a user means standard output by this path.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes `contents` to the file at `path`, or to standard output. A terminal gets nothing that is not
/// text.
///
/// # Errors
/// One line with what to do.
fn put(path: &Path, contents: &[u8]) -> Result<(), String> {
    if !is_stdout(path) {
        return fs::write(path, contents)
            .map_err(|error| format!("{}: {error}; choose another place with -o", path.display()));
    }
    if io::stdout().is_terminal() && std::str::from_utf8(contents).is_err() {
        return Err("this is not for a terminal; name a file with -o, or pass it on".to_owned());
    }
    let mut stdout = io::stdout().lock();
    match stdout.write_all(contents).and_then(|()| stdout.flush()) {
        // A reader who has seen enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: {error}; make room or write elsewhere"))
        }
        _ => Ok(()),
    }
}

/// The outcome of writing to standard output: a reader that has seen enough is no failure.
fn written(outcome: io::Result<()>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => true,
        Err(error) => {
            complain(&format_args!("standard output: {error}; make room or write elsewhere"));
            false
        }
    }
}
