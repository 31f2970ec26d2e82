//! `cupool stats`

mod advice;
mod document;
mod table;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use cupool::live::{Listed, State};

use super::{FAILURE, NOTHING, complain, processes, written};

/// Show the figures of a process in full
///
/// Without a PID, those of every process of this user under cupool. The program is not interrupted.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// The process
    #[arg(value_name = "PID")]
    pid: Option<u32>,
    /// Write one JSON object a line for each process, sizes in bytes
    #[arg(long)]
    json: bool,
    /// Show them again every SECONDS until the process ends
    #[arg(short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1", require_equals = true, value_parser = seconds)]
    watch: Option<Duration>,
}

const HELP: &str = "\
The words mean what they mean in torch.cuda.memory_summary: allocated is in the program's hands,
reserved is taken from the device, idle is the difference, which a flush could give back.

A process that was killed is shown with the figures it told last, until `cupool top` has cleared it
away.

Exit status: 0; 1 if there is no such process under cupool; 2 if it cannot be shown.

Examples:
  cupool stats 4242
  cupool stats --watch=5 4242
  cupool stats --json | jq '.devices[].reserved_bytes.current'";

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    let Some(mut pages) = found(arguments) else { return ExitCode::from(NOTHING) };
    loop {
        let text = if arguments.json { json(&pages) } else { text(&pages) };
        let again = arguments.watch.filter(|_| runs(&pages));
        let shown = show(&text, arguments.watch.is_some() && !arguments.json);
        let there_is_a_reader = shown.is_ok();
        if !written(shown) {
            return ExitCode::from(FAILURE);
        }
        let Some(period) = again.filter(|_| there_is_a_reader) else { return ExitCode::SUCCESS };
        thread::sleep(period);
        match arguments.pid {
            Some(_) => processes::refresh(&mut pages),
            None => pages = processes::all_fresh(),
        }
    }
}

fn runs(pages: &[Listed]) -> bool {
    pages.iter().any(|page| page.state != State::Gone)
}

/// The processes meant, with fresh figures. `None` if there are none, which is told.
fn found(arguments: &Arguments) -> Option<Vec<Listed>> {
    let Some(pid) = arguments.pid else {
        let pages = processes::all_fresh();
        if pages.is_empty() {
            complain(&"no process of yours runs under cupool; start one with `cupool run`");
            return None;
        }
        return Some(pages);
    };
    let Some(page) = processes::of(pid) else {
        complain(&format_args!(
            "{pid} has no live page: it does not run under cupool, or has not used CUDA yet; \
             `cupool check {pid}` tells which"
        ));
        return None;
    };
    let mut pages = vec![page];
    processes::refresh(&mut pages);
    Some(pages)
}

fn text(pages: &[Listed]) -> String {
    pages.iter().map(table::table).collect::<Vec<_>>().join("\n")
}

fn json(pages: &[Listed]) -> String {
    pages.iter().map(|page| format!("{}\n", document::json(page))).collect()
}

/// Writes `text`, on a terminal in place of what was there if it is shown again and again.
fn show(text: &str, again: bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    // Home, and clear to the end: without a flicker.
    let before = if again && stdout.is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    write!(stdout, "{before}{text}").and_then(|()| stdout.flush())
}

/// Reads a period in seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.1..=86_400.0).contains(&seconds) {
        return Err("choose from 0.1 to 86400 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}
