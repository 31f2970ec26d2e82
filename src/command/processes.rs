//! The processes of this user that run under cupool.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cupool::live::{self, Control, Listed, State};

use super::complain;

/// How long a process is waited for that is to tell fresh figures. One that does not in time is shown
/// with those it told last.
const PATIENCE: Duration = Duration::from_millis(300);

/// How long a process publishes often for after it was asked to.
const WATCH: Duration = Duration::from_secs(3);

/// All of them, with the figures that they told last. What is found in the place of a page is told, or
/// cleared away if it is nobody's any more.
pub fn all() -> Vec<Listed> {
    let listing = live::list(&live::directories());
    listing.sweep();
    for fault in &listing.faults {
        complain(fault);
    }
    listing.pages
}

/// Those with fresh figures.
pub fn all_fresh() -> Vec<Listed> {
    let mut pages = all();
    refresh(&mut pages);
    pages
}

/// The processes of `pid`: the one that runs, if it does, else the one that ran last.
pub fn of(pid: u32) -> Option<Listed> {
    let of_pid = all().into_iter().filter(|page| page.process.pid == pid);
    of_pid.max_by_key(|page| (page.state == State::Running, page.process.start_ticks))
}

/// Has the processes tell fresh figures, and reads them.
pub fn refresh(pages: &mut [Listed]) {
    let asked = live::clock();
    for page in pages.iter() {
        watch(page);
    }
    let deadline = Instant::now() + PATIENCE;
    for page in pages.iter_mut().filter(|page| page.state == State::Running) {
        while page.figures.as_ref().is_none_or(|figures| figures.clock < asked) {
            match Listed::read(&page.path) {
                Ok(read) => *page = read,
                Err(fault) => {
                    // It has ended and cleared its page away: what is known stays.
                    if fault.is_missing() {
                        page.state = State::Gone;
                    }
                    break;
                }
            }
            if page.state != State::Running || Instant::now() >= deadline {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Has a process publish often for the next seconds.
pub fn watch(page: &Listed) {
    if page.state != State::Gone
        && let Ok(control) = Control::open(&page.path)
    {
        control.watch(WATCH);
    }
}

/// The command line of a process as one line, or the name of its executable.
pub fn command_line(page: &Listed) -> String {
    let executable = page.process.executable_name();
    if page.state != State::Running {
        return printable(executable);
    }
    let path = format!("/proc/{}/cmdline", page.process.pid);
    let line = fs::read(path).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split_terminator('\0');
    let Some(program) = words.next() else { return printable(executable) };
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    words.fold(printable(&name), |line, word| format!("{line} {}", printable(word)))
}

/// A text of somebody else's as it can stand in one line of a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
