//! `cupool record`

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use cupool::config::Options;

use super::{complain, preload};

/// Run a program under cupool and write a trace of its allocations
///
/// The program replaces this command: its pid and its exit status are its own.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Where the trace goes; gzip if the name ends in .gz; %p is the pid, %e the program's name
    #[arg(short, long, value_name = "FILE", default_value = "cupool.%p.trace.gz")]
    output: PathBuf,
    /// Replace FILE if it exists
    #[arg(short, long)]
    force: bool,
    /// Further options, as in CUPOOL_CONF
    #[arg(long, value_name = "K:V,…")]
    conf: Option<String>,
    #[command(flatten)]
    start: preload::Start,
}

const HELP: &str = "\
Every process that the program starts records too if it uses CUDA, and each needs a file of its own:
keep %p in the name unless there is only one. A process that never uses CUDA writes none. What a
process does in its last second is lost if it is killed.

Exit status: the program's own; 125 if it was not started, 126 if it cannot be executed, 127 if it
does not exist.

Examples:
  cupool record -- python train.py
  cupool record -o resnet.trace.gz -- python resnet.py --epochs 1
  cupool replay resnet.trace.gz";

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    match prepare(arguments) {
        Ok((library, conf)) => {
            preload::exec(&arguments.start.program, &library, conf.as_ref(), &[])
        }
        Err(message) => {
            complain(&message);
            ExitCode::from(preload::FAILED)
        }
    }
}

/// The library, and the options to add.
fn prepare(arguments: &Arguments) -> Result<(PathBuf, String), String> {
    let library = preload::library(arguments.start.lib.as_deref())?;
    let trace = format!("trace:{}", pattern(&arguments.output)?);
    let conf = match &arguments.conf {
        Some(conf) => format!("{conf},{trace}"),
        None => trace,
    };
    let (_, warnings) = Options::parse(&conf, false);
    if let Some(warning) = warnings.first() {
        return Err(warning.refusal());
    }
    make_room(&arguments.output, arguments.force)?;
    Ok((library, conf))
}

/// The path from the root, since the program may change its directory before it uses CUDA. Codes
/// are codes only in what the user wrote.
fn pattern(output: &Path) -> Result<String, String> {
    let shown = output.display();
    let current = env::current_dir().map_err(|error| format!("the current directory: {error}"))?;
    let written = output.to_str();
    let around = if output.is_absolute() { Some("") } else { current.to_str() };
    let (Some(written), Some(around)) = (written, around) else {
        return Err(format!("{shown}: not UTF-8; choose another path"));
    };
    let path = match around {
        "" => written.to_owned(),
        around => format!("{}/{written}", around.replace('%', "%%")),
    };
    // The options have no way to write one.
    if path.contains(',') {
        return Err(format!("{shown}: a path of a trace has no comma; choose another"));
    }
    Ok(path)
}

/// The library only writes a file that does not exist. Tells so now, while the user looks.
fn make_room(output: &Path, force: bool) -> Result<(), String> {
    let written = output.to_string_lossy();
    let directory = match written.ends_with('/') {
        true => Some(output),
        false => output.parent().filter(|parent| !parent.as_os_str().is_empty()),
    };
    if let Some(directory) = directory
        && !directory.to_string_lossy().contains('%')
        && !directory.is_dir()
    {
        let shown = directory.display();
        return Err(format!("{shown}: no such directory; make it, or choose another"));
    }
    let Ok(present) = fs::symlink_metadata(output) else { return Ok(()) };
    if written.contains('%') || written.ends_with('/') {
        return Ok(());
    }
    let shown = output.display();
    if present.is_dir() {
        return Err(format!("{shown} is a directory; put / at its end, or choose another name"));
    }
    if !force {
        return Err(format!("{shown} exists; replace it with --force, or choose another name"));
    }
    if !present.is_file() {
        return Err(format!("{shown} is not a regular file; choose another name"));
    }
    fs::remove_file(output).map_err(|error| format!("{shown}: {error}; choose another name"))
}
