//! A program while it runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Output, Stats};

/// A started program, killed with everything it started if it outlives its time or this value.
pub struct Running {
    label: String,
    child: Child,
    lines: Receiver<String>,
    seen: String,
    stderr: Option<JoinHandle<String>>,
    deadline: Instant,
    /// `None` once it has gone into the `Output`.
    directory: Option<TempDir>,
    reaped: bool,
}

impl Running {
    pub(crate) fn start(
        label: String,
        mut command: Command,
        setup: Option<fn() -> std::io::Result<()>>,
        limit: Duration,
        directory: TempDir,
    ) -> Running {
        command.process_group(0);
        if let Some(setup) = setup {
            // SAFETY: `Victim::before_exec` asks for an async-signal-safe function.
            unsafe { command.pre_exec(setup) };
        }
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{label}: cannot start: {error}"));
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                if sender.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Running {
            label,
            child,
            lines,
            seen: String::new(),
            stderr: Some(stderr),
            deadline: Instant::now() + limit,
            directory: Some(directory),
            reaped: false,
        }
    }

    /// The program's process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("process ids are positive C ints")
    }

    /// The directory that the program started in.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.as_ref().expect("kept until `finish`").path()
    }

    /// Waits until the program has printed a line that starts with `start`.
    ///
    /// # Panics
    /// If it ends, or runs out of time, before it does.
    pub fn wait_for(&mut self, start: &str) -> &mut Running {
        loop {
            match self.lines.recv_timeout(self.left()) {
                Ok(line) => {
                    self.seen.push_str(&line);
                    if line.starts_with(start) {
                        return self;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("no `{start}` in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    self.fail(&format!("ended before `{start}`"))
                }
            }
        }
    }

    /// The line that [`Running::wait_for`] has found, without its end.
    pub fn last_line(&self) -> &str {
        self.seen.lines().next_back().unwrap_or_default()
    }

    /// Writes a line to the program's standard input.
    pub fn say(&mut self, line: &str) -> &mut Running {
        let stdin = self.child.stdin.as_mut().expect("stdin is open until `finish`");
        // In one piece: the program may read what there is as soon as there is any.
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| stdin.flush())
            .unwrap_or_else(|error| {
                panic!("{}: writing to its standard input: {error}", self.label)
            });
        self
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: i32) -> &Running {
        // SAFETY: `kill` takes two integers; the process is our child and not yet reaped.
        let sent = unsafe { libc::kill(self.pid(), signal) };
        assert_eq!(sent, 0, "{}: sending signal {signal}", self.label);
        self
    }

    /// The program's stats file, read until `ready` says it is the one meant.
    ///
    /// # Panics
    /// If no such file appears in time.
    pub fn wait_for_stats(&mut self, ready: impl Fn(&Stats) -> bool) -> Stats {
        while Instant::now() < self.deadline {
            if let Some(stats) = Stats::of(self.directory(), self.pid())
                && ready(&stats)
            {
                return stats;
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.fail("the stats file never said what was expected")
    }

    /// Names under `/proc/PID/DIRECTORY`: `task` for threads, `fd` for descriptors.
    pub fn proc_entries(&self, directory: &str) -> Vec<String> {
        let path = format!("/proc/{}/{directory}", self.pid());
        let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names
    }

    /// Closes the program's standard input and waits for its end.
    ///
    /// # Panics
    /// If it does not end in time.
    pub fn finish(mut self) -> Output {
        drop(self.child.stdin.take());
        loop {
            match self.lines.recv_timeout(self.left()) {
                Ok(line) => self.seen.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.fail("did not end in time"),
            }
        }
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < self.deadline => {
                    thread::sleep(Duration::from_millis(2));
                }
                Ok(None) => self.fail("closed its output but did not end in time"),
                Err(error) => panic!("{}: waiting for it: {error}", self.label),
            }
        };
        self.reaped = true;
        let stderr = self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        let directory = self.directory.take().expect("kept until `finish`");
        Output {
            label: self.label.clone(),
            stdout: std::mem::take(&mut self.seen),
            stderr,
            code: status.code(),
            signal: status.signal(),
            stats: Stats::of(directory.path(), self.pid()),
            files: files(directory.path()),
            directory,
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn kill(&mut self) {
        // SAFETY: the group was made for this child, which has not been reaped, so its number
        // cannot have been given to anyone else.
        unsafe { libc::kill(-self.pid(), libc::SIGKILL) };
        let _ = self.child.wait();
        self.reaped = true;
    }

    fn fail(&mut self, what: &str) -> ! {
        self.kill();
        let stderr = self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        panic!("{}: {what}\n--- stdout\n{}--- stderr\n{stderr}---", self.label, self.seen);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
        }
    }
}

fn files(directory: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("the run's own directory");
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}
