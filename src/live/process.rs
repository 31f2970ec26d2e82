//! Which process a page is of.

use std::fs;
use std::path::Path;

use super::cursor::Cursor;
use crate::report::{ProcessFacts, start_ticks};

/// Words of the executable's path.
const EXECUTABLE: usize = 32;
/// Words of the version.
const VERSION: usize = 4;

/// The process that a page tells of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Its pid, in its own pid namespace.
    pub pid: u32,
    /// When it started, in clock ticks since the boot.
    pub start_ticks: u64,
    /// When it started, in seconds since the Unix epoch.
    pub start_time: f64,
    /// Which pid namespace that is; 0 if unknown.
    pub pid_namespace: u64,
    /// Which run of the machine; 0 if unknown.
    pub boot: [u64; 2],
    /// The signal that asks it for a flush; 0 for none.
    pub signal: u32,
    /// cupool's version.
    pub version: String,
    /// The path of its executable.
    pub executable: String,
    /// The thread that keeps the page, in its own pid namespace; 0 if unknown. A program that becomes
    /// another one by `execve(2)` keeps its pid and start, and no thread but the first.
    pub worker: u32,
}

impl Process {
    /// Words in a page.
    pub(super) const WORDS: usize = 8 + (1 + VERSION) + (1 + EXECUTABLE);

    /// The calling process, which `facts` are of.
    pub fn current(facts: &ProcessFacts, signal: Option<i32>) -> Self {
        Self {
            pid: facts.pid,
            start_ticks: started("self").unwrap_or(0),
            start_time: facts.start_time.unwrap_or(0.0),
            pid_namespace: pid_namespace(),
            boot: boot(),
            signal: signal.and_then(|signal| signal.try_into().ok()).unwrap_or(0),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            executable: facts.executable.clone(),
            worker: 0,
        }
    }

    /// The process of that pid and start on this machine, in the pid namespace of the calling process.
    pub(super) fn here(pid: u32, start_ticks: u64) -> Self {
        Self { pid, start_ticks, pid_namespace: pid_namespace(), boot: boot(), ..Self::default() }
    }

    /// Whether it has ended for all that can be known here.
    pub(super) fn is_gone(&self) -> bool {
        self.is_in_sight() && !self.is_alive()
    }

    /// The executable's name without its directories.
    pub fn executable_name(&self) -> &str {
        self.executable.rsplit('/').next().unwrap_or_default()
    }

    /// Whether its pid means in the calling process what it means in its own.
    pub fn is_in_sight(&self) -> bool {
        self.pid_namespace == pid_namespace()
    }

    /// Whether it still runs, and is still the same program. Only of a process that [is in sight](Self::is_in_sight).
    pub fn is_alive(&self) -> bool {
        self.boot == boot()
            && started(&self.pid.to_string()) == Some(self.start_ticks)
            && self.has_its_worker()
    }

    fn has_its_worker(&self) -> bool {
        let Self { pid, worker, .. } = self;
        *worker == 0 || Path::new(&format!("/proc/{pid}/task/{worker}")).exists()
    }

    /// What every layout has in the same place: pid, start, namespace and boot, from the words of a
    /// page's process.
    pub(super) fn identity(words: &[u64]) -> Option<Self> {
        let &[pid, start_ticks, _, pid_namespace, boot, boot_2, ..] = words else { return None };
        let pid = u32::try_from(pid).ok()?;
        Some(Self { pid, start_ticks, pid_namespace, boot: [boot, boot_2], ..Self::default() })
    }

    pub(super) fn walk(&mut self, cursor: &mut impl Cursor) {
        cursor.small(&mut self.pid);
        cursor.number(&mut self.start_ticks);
        cursor.real(&mut self.start_time);
        cursor.number(&mut self.pid_namespace);
        for word in &mut self.boot {
            cursor.number(word);
        }
        cursor.small(&mut self.signal);
        cursor.text(&mut self.version, VERSION);
        cursor.text(&mut self.executable, EXECUTABLE);
        cursor.small(&mut self.worker);
        if self.pid == 0 || self.pid > i32::MAX as u32 {
            cursor.wrong("a pid that is none");
        }
    }
}

/// When a process started, in clock ticks since the boot; `None` if it has ended.
fn started(pid: &str) -> Option<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // A zombie has ended; only nobody has asked how.
    let (_, state) = stat.rsplit_once(") ")?;
    if state.starts_with(['Z', 'X']) { None } else { start_ticks(&stat) }
}

/// The pid namespace of the calling process; 0 if it cannot be known.
fn pid_namespace() -> u64 {
    rustix::fs::stat("/proc/self/ns/pid").map_or(0, |stat| stat.st_ino)
}

/// Which run of the machine this is; zeros if it cannot be known.
fn boot() -> [u64; 2] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let part = |at: std::ops::Range<usize>| {
        digits.get(at).and_then(|part| u64::from_str_radix(part, 16).ok()).unwrap_or(0)
    };
    [part(0..16), part(16..32)]
}
