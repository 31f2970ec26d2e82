//! The subcommands, one file each.
//!
//! Exit status: 0, 1 for a failure, 2 for a call that cannot be understood; `record` has those of
//! a wrapper. What fails is told in one line on standard error, with what to do about it.

mod preload;
mod record;
mod replay;

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A caching pool in front of an unmodified CUDA program.
#[derive(Parser)]
#[command(name = "cupool", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Record(record::Arguments),
    Replay(replay::Arguments),
}

/// Does what the command line asks for.
pub fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Record(arguments) => record::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
    }
}

/// A mistake in the call.
const USAGE: u8 = 2;

/// Tells what went wrong.
fn complain(message: &dyn Display) {
    eprintln!("cupool: {message}");
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
