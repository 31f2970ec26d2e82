//! `cupool top`

mod app;
mod column;
mod row;
mod sampler;
mod screen;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use column::Column;
use cupool::live::State;
use cupool::report::now;
use row::Row;
use sampler::Sampler;

use super::{FAILURE, NOTHING, complain, written};

/// Watch all processes of this user under cupool
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Print the table once, as where there is no terminal
    #[arg(long)]
    once: bool,
    /// Print one JSON object, sizes in bytes
    #[arg(long)]
    json: bool,
    /// Look every SECONDS
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
    /// Sort by this column: the largest first, names and numbers in their order
    #[arg(short, long, value_enum, default_value_t = Column::Reserved)]
    sort: Column,
}

const HELP: &str = "\
Keys: up and down select a process, left and right the column to sort by, `r` turns the order round,
space pauses, `f` asks the selected process for a flush, `?` explains the columns, `q` quits.

A process that was killed is shown as gone for ten seconds, or once, and its page is cleared away.
NO_COLOR is honoured.

Exit status: 0; with --once and --json 1 if there is no process; 2 for an error.

Examples:
  cupool top
  cupool top --sort idle
  cupool top --json | jq '[.processes[].idle_bytes] | add'";

/// How long figures are gathered for the rates of a single look.
const LOOK: Duration = Duration::from_millis(250);

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    if arguments.once || arguments.json || !io::stdout().is_terminal() || !io::stdin().is_terminal()
    {
        return once(arguments);
    }
    let interval = Duration::from_secs_f64(arguments.interval);
    match app::App::new(arguments.sort, interval).run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format_args!("the terminal: {error}; use --once"));
            ExitCode::from(FAILURE)
        }
    }
}

fn once(arguments: &Arguments) -> ExitCode {
    let mut sampler = Sampler::default();
    let faults = sampler.look();
    thread::sleep(LOOK);
    sampler.look();
    for fault in faults {
        complain(&fault);
    }
    let mut rows = sampler.rows();
    arguments.sort.sort(&mut rows, false);
    let text = if arguments.json { json(&rows) } else { table(&rows) };
    let nothing = rows.is_empty();
    if nothing && !arguments.json {
        complain(&"no process of yours runs under cupool; start one with `cupool run`");
    } else if !written(io::stdout().write_all(text.as_bytes())) {
        return ExitCode::from(FAILURE);
    }
    sampler.clear_away(Duration::ZERO);
    if nothing { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS }
}

/// The rows as lines of text.
fn table(rows: &[Row]) -> String {
    let line = |cell: &dyn Fn(Column) -> String| {
        let cells = Column::ALL.map(|column| column.pad(&cell(column)));
        format!("{}\n", cells.join(" ").trim_end())
    };
    let mut text = line(&|column| column.title().to_owned());
    for row in rows {
        text.push_str(&line(&|column| column.cell(row)));
    }
    text
}

fn json(rows: &[Row]) -> String {
    let processes: Vec<_> = rows
        .iter()
        .map(|row| {
            serde_json::json!({
                "pid": row.pid,
                "command": row.command,
                "state": match row.state {
                    State::Running => "running",
                    State::Gone => "gone",
                    State::Elsewhere => "elsewhere",
                },
                "gpu": row.gpu,
                "uuid": row.uuid,
                "allocated_bytes": row.allocated,
                "reserved_bytes": row.reserved,
                "idle_bytes": row.idle,
                "reserved_bytes_peak": row.peak,
                "hit_rate": row.hit_rate,
                "mallocs_per_second": row.mallocs,
                "fences_per_second": row.fences,
                "last_flush_time": row.last_flush,
            })
        })
        .collect();
    let all = serde_json::json!({ "schema": 1, "time": now(), "processes": processes });
    format!("{all}\n")
}

/// Reads a period in seconds.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        Ok(_) => Err("choose from 0.1 to 3600 seconds".to_owned()),
        Err(_) => Err("not a number of seconds".to_owned()),
    }
}
