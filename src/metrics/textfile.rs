//! The file of a process in the collector's directory.

use std::fs;
use std::path::Path;

use super::text;
use crate::files::{FileError, Target};
use crate::live::Process;
use crate::report::ProcessFacts;
use crate::stats::Snapshot;

/// What ends the name of a file that the collector reads.
const SUFFIX: &str = ".prom";

/// The textfile of the calling process.
pub struct Textfile {
    target: Target,
    facts: ProcessFacts,
    process: Process,
}

impl Textfile {
    /// The file in `directory`, which must exist. A relative path starts from the current directory
    /// of this moment.
    pub fn new(directory: &str, facts: ProcessFacts) -> Self {
        let process = Process::current(&facts, None);
        let target = Target::at(&format!("{directory}/{}", file_name(&process)));
        Self { target, facts, process }
    }

    /// Replaces the file as a whole. Everybody may read it: the collector is another user.
    ///
    /// # Errors
    /// The directory is missing or refused, the disk is full, and the like.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), FileError> {
        let text = text(snapshot, &self.facts);
        self.target.publish(text.as_bytes(), &self.facts).map(drop)
    }

    /// Deletes the file: the process ends.
    pub fn remove(&self) {
        self.target.remove(&self.facts);
    }

    /// Deletes what processes have left in the directory that were killed. What cannot be deleted
    /// stays; so does a file from another pid namespace, whose process cannot be looked for.
    pub fn clear_stale(&self) {
        let Some(directory) = self.target.directory() else { return };
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| is_stale(name, &self.process)) {
                let _ = fs::remove_file(directory.join(Path::new(&name)));
            }
        }
    }
}

/// The pid alone would be another process's later, and in another container is one now.
fn file_name(process: &Process) -> String {
    let Process { pid_namespace, pid, start_ticks, .. } = process;
    format!("cupool.{pid_namespace}.{pid}.{start_ticks}{SUFFIX}")
}

/// Whether a file of that name is of a process that has ended, as seen from `here`.
fn is_stale(name: &str, here: &Process) -> bool {
    let numbers = name.strip_prefix("cupool.").and_then(|name| name.strip_suffix(SUFFIX));
    let numbers: Option<Vec<u64>> =
        numbers.and_then(|numbers| numbers.split('.').map(|part| part.parse().ok()).collect());
    let Some(&[pid_namespace, pid, start_ticks]) = numbers.as_deref() else { return false };
    let Ok(pid) = u32::try_from(pid) else { return false };
    let process = Process { pid_namespace, pid, start_ticks, ..here.clone() };
    process.is_in_sight() && !process.is_alive()
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_ended_processes_are_stale() {
        let here = Process::current(&ProcessFacts::of_this_process(), None);
        let own = file_name(&here);
        assert!(!is_stale(&own, &here), "{own}: this process runs");
        let before = Process { start_ticks: here.start_ticks - 1, ..here.clone() };
        assert!(is_stale(&file_name(&before), &here), "the pid was another's");
        let elsewhere = Process { pid_namespace: 1, ..before };
        assert!(!is_stale(&file_name(&elsewhere), &here), "nothing is known of it");
        for other in ["cupool.prom", "cupool.1.2.3.txt", "cupool.a.2.3.prom", "node.prom", ""] {
            assert!(!is_stale(other, &here), "{other} is somebody else's");
        }
    }
}
