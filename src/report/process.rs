//! What reports and file names say of the process.

use std::fs;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

/// The process that is reported on.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessFacts {
    /// Its pid, in its own pid namespace.
    pub pid: u32,
    /// When it started, in seconds since the Unix epoch, to about 10 ms; `None` without `/proc`.
    pub start_time: Option<f64>,
    /// The path of its executable; empty without `/proc`. Bytes that are no UTF-8 are replaced.
    pub executable: String,
    /// The host's name.
    pub host: String,
}

impl ProcessFacts {
    /// Asks for the calling process. A forked child must ask again.
    pub fn of_this_process() -> Self {
        let executable = fs::read_link("/proc/self/exe").unwrap_or_default();
        Self {
            pid: std::process::id(),
            start_time: fs::read_to_string("/proc/self/stat").ok().and_then(|s| start_time(&s)),
            executable: executable.to_string_lossy().into_owned(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }

    /// The executable's name without its directories.
    pub fn executable_name(&self) -> &str {
        Path::new(&self.executable).file_name().and_then(|name| name.to_str()).unwrap_or("")
    }
}

/// When a process started, from its `/proc/<pid>/stat`.
fn start_time(stat: &str) -> Option<f64> {
    let since_boot = start_ticks(stat)? as f64 / USER_HZ;
    let boot = seconds(ClockId::Realtime) - seconds(ClockId::Boottime);
    Some(boot + since_boot)
}

/// The unit of times in `/proc`: the same on every 64-bit architecture that CUDA runs on.
const USER_HZ: f64 = 100.0;

/// Field 22 of `proc_pid_stat(5)`. The name in field 2 may contain blanks and parentheses.
pub(crate) fn start_ticks(stat: &str) -> Option<u64> {
    let (_, from_field_3) = stat.rsplit_once(") ")?;
    from_field_3.split(' ').nth(22 - 3)?.parse().ok()
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(start_ticks(stat), Some(4242));
        assert_eq!(start_ticks("17 (a"), None);
        assert_eq!(start_ticks("17 (a) S 1"), None);
    }

    #[test]
    #[cfg(not(miri))]
    fn this_process_has_started_before_now() {
        let facts = ProcessFacts::of_this_process();
        let age = super::super::now() - facts.start_time.expect("/proc is there");
        assert!((-0.1..86_400.0).contains(&age), "{age}");
        assert_eq!(facts.pid, std::process::id());
        assert!(facts.executable.ends_with(facts.executable_name()));
        assert!(!facts.executable_name().is_empty());
    }
}
