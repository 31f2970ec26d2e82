//! `cupool replay`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use cupool::config::Options;
use cupool::replay::{Settings, play, table};
use cupool::trace::Trace;

use super::{FAILURE, complain, written};

/// Show what cupool would do for a program, from a trace of its allocations
///
/// The trace is played through the real pool on a modelled driver, without a GPU. Everything but
/// the host time is the same each time.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Write one JSON object a line for each trace, sizes in bytes
    #[arg(long)]
    json: bool,
    /// Where memory comes from: arena, exact or auto
    #[arg(long, value_name = "BACKING")]
    backing: Option<String>,
    /// Options as in CUPOOL_CONF; the order is `fence` unless it is set here
    #[arg(long, value_name = "K:V,…", default_value = "", hide_default_value = true)]
    conf: String,
    /// How long after it was submitted the device has done something (500us, 10ms, 1s)
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = duration)]
    lag: Duration,
    /// Follow every block, and fail if memory is handed out twice or taken away while it is in use
    #[arg(long)]
    audit: bool,
    /// Traces, plain or gzip, as `cupool record` writes them
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
}

const HELP: &str = "\
Columns:
  requested  the most that the program held at once, as it asked for it
  reserved   the most that was taken from the device at once
  ratio      reserved / requested
  driver     time in driver calls that concern memory, and waiting for the device
  calls      how many of those calls
  fences     context fences, 0.4 µs each, which `driver` does not count
  native     time in cuMemAlloc and cuMemFree without cupool
  host/op    the pool's own time for a call of the program, measured

What the model says of time is for one H200. The order is `fence`, not `auto`, because a trace does
not tell what makes `auto` strict; `--conf order:strict` shows that.

Examples:
  cupool record -o train.trace.gz -- python train.py
  cupool replay train.trace.gz
  cupool replay --conf max_idle:1GiB --lag 50ms train.trace.gz
  cupool replay --json *.trace.gz | jq .reserved_peak_bytes";

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    let options = match options(arguments) {
        Ok(options) => options,
        Err(message) => {
            complain(&message);
            return ExitCode::from(FAILURE);
        }
    };
    let settings = Settings { options, lag: arguments.lag, audit: arguments.audit };
    let mut failed = false;
    let mut all = Vec::new();
    for path in &arguments.traces {
        let trace = match Trace::read(path) {
            Ok(trace) => trace,
            Err(error) => {
                complain(&error);
                failed = true;
                continue;
            }
        };
        let figures = play(&path.to_string_lossy(), &trace, &settings);
        if figures.failed > 0 {
            let (trace, failed) = (&figures.trace, figures.failed);
            complain(&format_args!(
                "{trace}: the modelled device has too little memory; failed calls: {failed}"
            ));
        }
        if let Some([first, more @ ..]) = figures.violations.as_deref() {
            let (trace, more) = (&figures.trace, more.len());
            complain(&format_args!("{trace}: {first}, and {more} more; please report this"));
            failed = true;
        }
        if !arguments.json {
            all.push(figures);
        } else if !print(&format!("{}\n", figures.json())) {
            return ExitCode::from(FAILURE);
        }
    }
    if !all.is_empty() && !print(&table(&all)) {
        return ExitCode::from(FAILURE);
    }
    if failed { ExitCode::from(FAILURE) } else { ExitCode::SUCCESS }
}

fn print(text: &str) -> bool {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// The pool's options: the order that a replay shows, then what the user sets.
fn options(arguments: &Arguments) -> Result<Options, String> {
    let mut text = format!("order:fence,{}", arguments.conf);
    if let Some(backing) = &arguments.backing {
        text.push_str(",backing:");
        text.push_str(backing);
    }
    let (options, warnings) = Options::parse(&text, false);
    match warnings.first() {
        None => Ok(options),
        Some(warning) => Err(warning.refusal()),
    }
}

/// Reads a time with its unit; 0 needs none.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "not a time; write 10ms".to_owned())?;
    match unit {
        "us" | "µs" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "" if number == 0 => Ok(Duration::ZERO),
        _ => Err("a time needs one of the units us, ms and s".to_owned()),
    }
}
