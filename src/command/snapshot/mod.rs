//! `cupool snapshot`

mod consistent;
mod torch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use cupool::live::{Control, Listed, State};
use cupool::snapshot::{SCHEMA, Snapshot};

use super::{FAILURE, NOTHING, complain, processes, put};

/// Write down every block of a process, for PyTorch's memory viewer
///
/// It shows the memory of any CUDA program as PyTorch shows its own. Nothing in the program is
/// interrupted: cupool's own thread in it does the work.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// The process, or a snapshot in either form, such as one that `oom_snapshot` has written
    #[arg(value_name = "PID|FILE")]
    source: String,
    /// Where it goes: cupool's own form if the name ends in .json, else a pickle; - is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const HELP: &str = "\
The last allocations and frees are in it if the process runs with `history:N`. What it shows:
  python -m torch.cuda._memory_viz trace_plot FILE    blocks over time, as a page
  python -m torch.cuda._memory_viz segment_plot FILE  segments over time, as a page
  python -m torch.cuda._memory_viz stats FILE         how segments are filled
  cupool plot FILE                                    all of it, offline
Streams and stack frames are not told: cudaMalloc has no stream, and cupool looks at no stack. Nor is
the device's free memory at a failure, which stands as 0.

Exit status: 0; 1 if there is no such process; 2 if there is no snapshot.

Examples:
  cupool run --conf history:100000 -- python train.py
  cupool snapshot 4242 -o train.pickle
  cupool snapshot oom.json -o oom.pickle";

/// How long a process may take: a million blocks and as many events take some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked for the file.
const PERIOD: Duration = Duration::from_millis(5);

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    let path = Path::new(&arguments.source);
    let taken = match arguments.source.parse::<u32>() {
        Ok(pid) if !path.exists() => match processes::of(pid) {
            Some(page) => of_process(&page),
            None => {
                complain(&format_args!(
                    "no process {pid} under cupool; `cupool top --once` lists those there are"
                ));
                return ExitCode::from(NOTHING);
            }
        },
        _ => read(path),
    };
    let output = arguments.output.clone();
    let done = taken.and_then(|snapshot| {
        let output =
            output.unwrap_or_else(|| PathBuf::from(format!("cupool.{}.pickle", snapshot.pid)));
        write(&snapshot, &output)
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::from(FAILURE)
        }
    }
}

/// How a pickle begins.
pub const PICKLE: &[u8] = b"\x80";

/// Reads a snapshot in cupool's own form, or as a pickle, also one that PyTorch has written.
///
/// # Errors
/// One line with what to do.
pub fn read(path: &Path) -> Result<Snapshot, String> {
    let shown = path.display();
    let text = fs::read(path).map_err(|error| format!("{shown}: {error}; name a PID or a file"))?;
    if text.starts_with(PICKLE) {
        return torch::read(&text).map_err(|error| {
            format!("{shown}: no memory snapshot ({error}); take one with `cupool snapshot PID`")
        });
    }
    let snapshot: Snapshot = serde_json::from_slice(&text).map_err(|error| {
        format!(
            "{shown}: no memory snapshot of cupool ({error}); take one with `cupool snapshot PID`"
        )
    })?;
    if snapshot.memory_snapshot != SCHEMA {
        let version = &snapshot.version;
        return Err(format!("{shown}: of cupool {version}; use the command of that version"));
    }
    Ok(snapshot)
}

/// Has a process write one, and takes it away.
fn of_process(page: &Listed) -> Result<Snapshot, String> {
    let pid = page.process.pid;
    if page.state == State::Gone {
        return Err(format!("{pid} has ended; start it with oom_snapshot:PATH to see why"));
    }
    let control = Control::open(&page.path).map_err(|fault| fault.to_string())?;
    if !control.is_heard() {
        return Err(format!("{pid} does not listen at its live page; wait until it is not ending"));
    }
    let path = page.snapshot_path();
    let number = control.snapshot();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match control.snapshot_done(number) {
            Some(Ok(())) => break,
            Some(Err(errno)) => {
                let error = std::io::Error::from_raw_os_error(errno.try_into().unwrap_or(0));
                return Err(format!("{}: {error}; make room there", path.display()));
            }
            None if Instant::now() >= deadline => {
                return Err(format!(
                    "{pid} does not answer; if it is stopped, continue it: kill -CONT {pid}"
                ));
            }
            None => thread::sleep(PERIOD),
        }
    }
    let snapshot = read(&path);
    let _ = fs::remove_file(&path);
    snapshot
}

/// Writes it in the form that the file's name asks for.
fn write(snapshot: &Snapshot, output: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", output.display());
    let contents = if output.extension().is_some_and(|extension| extension == "json") {
        serde_json::to_vec(snapshot).map_err(|error| failed(&error))?
    } else {
        let torch = torch::Snapshot::from(snapshot);
        serde_pickle::to_vec(&torch, serde_pickle::SerOptions::new())
            .map_err(|error| failed(&error))?
    };
    put(output, &contents)
}
