//! `cupool flush`

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use cupool::live::{Asked as Devices, Figures, Flush, Listed, State, Urgency};

use super::ask::{Asked, ask, ask_without_page, outcome};
use super::gpus::Gpus;
use super::{FAILURE, NOTHING, complain, processes, written};

/// Ask processes to give their idle memory back
///
/// Nothing in the programs is interrupted: cupool's own thread in each of them does it.
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// The processes
    #[arg(value_name = "PID", required_unless_present_any = ["all", "gpu"])]
    pids: Vec<u32>,
    /// All processes of this user that run under cupool
    #[arg(long, conflicts_with_all = ["pids", "gpu"])]
    all: bool,
    /// What is idle on this GPU, in whichever process: its number in nvidia-smi, or its UUID
    #[arg(long, value_name = "N|UUID", conflicts_with = "pids")]
    gpu: Option<String>,
    /// Wait up to SECONDS until all that the device still used has come back too
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "30", require_equals = true)]
    wait: Option<u64>,
    /// Also where `flush_threshold` or `flush_interval` would leave it out
    #[arg(long)]
    force: bool,
    /// Write one JSON object a line for each process, sizes in bytes
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
A process is asked through its live page. One that has none yet, or does not listen there, is sent
the signal that its option `signal` names, marked so that a handler of the program's own does not
hear of it; it is not sent to a process that it could end.

A process that leaves the flush out, since its `flush_threshold` or `flush_interval` says so, is told
with that reason; it has answered.

Exit status: 0; 1 if there is nobody to ask; 2 if somebody could not be asked or did not answer.

Examples:
  cupool flush 4242
  cupool flush --all
  cupool flush --gpu 0 --wait && ./needs-the-memory";

/// How long an answer is waited for where nothing else is said: a flush takes some milliseconds,
/// unless it waits for the device.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often is looked for the answer.
const PERIOD: Duration = Duration::from_millis(5);

/// Somebody who was asked.
struct Waiting {
    pid: u32,
    /// `None`: nobody tells what came back.
    page: Option<Listed>,
    how: Asked,
    /// The flushes before, and the time.
    flushes: u64,
}

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut failed = false;
    let mut waiting = Vec::new();
    for target in targets(arguments) {
        match target.and_then(|target| asked(target, arguments.force)) {
            Ok(asked) => waiting.push(asked),
            Err(message) => {
                complain(&message);
                failed = true;
            }
        }
    }
    if waiting.is_empty() && !failed {
        complain(&nobody(arguments));
        return ExitCode::from(NOTHING);
    }
    let patience = arguments.wait.map_or(PATIENCE, Duration::from_secs);
    let deadline = Instant::now() + patience;
    for one in waiting {
        let answer = wait(&one, deadline, arguments.wait.is_some());
        failed |= answer.is_none() && one.page.is_some();
        let line = if arguments.json { json(&one, answer) } else { text(&one, answer) };
        if !written(writeln!(io::stdout(), "{line}")) {
            return ExitCode::from(FAILURE);
        }
    }
    if failed { ExitCode::from(FAILURE) } else { ExitCode::SUCCESS }
}

/// One process to ask: its page, if it has one, and the devices, a bit for each ordinal.
struct Target {
    pid: u32,
    page: Option<Listed>,
    devices: u64,
}

fn targets(arguments: &Arguments) -> Vec<Result<Target, String>> {
    if !arguments.pids.is_empty() {
        let target = |&pid| {
            // A pid that is another's by now is one without a page.
            let page = processes::of(pid).filter(|page| page.state != State::Gone);
            Ok(Target { pid, page, devices: Devices::ALL })
        };
        return arguments.pids.iter().map(target).collect();
    }
    let gpus = Gpus::of_this_machine();
    let mut targets = Vec::new();
    // Which GPUs a process has memory on may have changed since it told its figures.
    let pages = if arguments.gpu.is_some() { processes::all_fresh() } else { processes::all() };
    for page in pages.into_iter().filter(|page| page.state != State::Gone) {
        let devices = match &arguments.gpu {
            None => Devices::ALL,
            Some(name) => on_gpu(&gpus, page.figures.as_ref(), name),
        };
        if devices != 0 {
            targets.push(Ok(Target { pid: page.process.pid, page: Some(page), devices }));
        }
    }
    targets
}

/// The devices that are the named GPU, a bit for each ordinal.
fn on_gpu(gpus: &Gpus, figures: Option<&Figures>, name: &str) -> u64 {
    let devices = figures.map(|figures| figures.devices.as_slice()).unwrap_or_default();
    let meant = devices.iter().filter(|device| gpus.is(device, name));
    meant
        .fold(0, |bits, device| bits | 1_u64.checked_shl(device.device.unsigned_abs()).unwrap_or(0))
}

fn nobody(arguments: &Arguments) -> String {
    match &arguments.gpu {
        Some(gpu) => format!("no process of yours under cupool has memory on GPU {gpu}"),
        None => "no process of yours runs under cupool; start one with `cupool run`".to_owned(),
    }
}

fn asked(target: Target, force: bool) -> Result<Waiting, String> {
    let Target { pid, page, devices } = target;
    if let Some(page) = &page {
        // That it publishes often shows soon what comes back later.
        processes::watch(page);
    }
    let flushes = page.as_ref().and_then(|page| page.figures.as_ref());
    let flushes = flushes.map_or(0, |figures| figures.flushes);
    let urgency = if force { Urgency::Forced } else { Urgency::Asked };
    let how = match &page {
        Some(page) => ask(page, devices, urgency)?,
        None => ask_without_page(pid)?,
    };
    Ok(Waiting { pid, page, how, flushes })
}

/// What came back, once that is told; with `all`, once everything that can come back has.
fn wait(one: &Waiting, deadline: Instant, all: bool) -> Option<Flush> {
    let page = one.page.as_ref()?;
    let mut answer = None;
    loop {
        if let Ok(Listed { figures: Some(figures), .. }) = Listed::read(&page.path) {
            answer = match one.how {
                Asked::Page(number) if figures.served >= number => figures.answer,
                Asked::Signal if figures.flushes > one.flushes => figures.last_flush,
                _ => answer,
            };
        }
        let left = |flush: &Flush| flush.pending_bytes > flush.released_later_bytes;
        let enough = answer.as_ref().is_some_and(|flush| !all || !left(flush));
        if enough
            || Instant::now() >= deadline
            || !page.process.is_alive() && page.process.is_in_sight()
        {
            return answer;
        }
        processes::watch(page);
        thread::sleep(PERIOD);
    }
}

fn text(one: &Waiting, answer: Option<Flush>) -> String {
    let pid = one.pid;
    let Some(flush) = answer else {
        return match &one.page {
            None => {
                format!("{pid}: asked by the signal; it has no live page to tell what came back")
            }
            Some(page) if page.process.is_in_sight() && !page.process.is_alive() => {
                format!("{pid}: has ended")
            }
            Some(_) => format!("{pid}: asked, but has not answered; is it stopped?"),
        };
    };
    let cure = if flush.skipped.is_empty() { "" } else { "; --force does it all the same" };
    format!("{pid}: {}{cure}", outcome(&flush))
}

fn json(one: &Waiting, answer: Option<Flush>) -> String {
    let by = match one.how {
        Asked::Page(_) => "page",
        Asked::Signal => "signal",
    };
    serde_json::json!({ "schema": 1, "pid": one.pid, "by": by, "flush": answer }).to_string()
}
