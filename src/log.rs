//! The lines that tell what cupool does, for people.
//!
//! ```text
//! cupool: 4242 4247 INFO gave back 3.2 GiB of 3.2 GiB idle (signal) in 41 ms
//! ```
//!
//! that is `cupool: <pid> <tid> LEVEL message`, on standard error or in a file. Nothing is said
//! unless [`install`] was called. The levels mean:
//!
//! | level | meaning |
//! |---|---|
//! | `error` | cupool has stopped doing its work in this process, for instance after a caught panic |
//! | `warn` | something the user asked for does not happen; the program goes on |
//! | `info` | what happens once or rarely: the start, a change of order, a flush, the exit |
//! | `debug` | what explains a single decision; may come once per allocation |
//!
//! With `log_format:json` a line is one object of JSON instead, `{time, level, pid, thread, message,
//! fields}`: `time` in seconds since the Unix epoch, `fields` what is told beside the message.
//!
//! A line is formatted as a whole and written by one `write`. Where it cannot be written it is
//! dropped: the program is not to suffer for it.

mod json;

use std::fmt::{self, Write};
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstat;
use rustix::io::{retry_on_intr, write};
use rustix::process::getpid;
use rustix::stdio::stderr;
use rustix::thread::gettid;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::config::LogFormat;
use crate::files::{FileError, Target};
use crate::report::ProcessFacts;

/// Where lines go.
#[derive(Clone, Debug)]
pub enum Sink {
    /// Standard error, as it is when a line is written.
    Stderr,
    /// A file that is opened for each line, and the process that its name tells of.
    File(Target, ProcessFacts),
    /// Nowhere.
    Nowhere,
}

impl Sink {
    /// The file that was asked for, or else standard error. Where that is closed from the start,
    /// nowhere: the next file that the program opens would get its number.
    pub fn new(file: Option<Target>, process: &ProcessFacts) -> Self {
        match file {
            Some(target) => Self::File(target, process.clone()),
            None if is_open() => Self::Stderr,
            None => Self::Nowhere,
        }
    }

    /// Whether a line could be written, for a warning in time: lines that cannot are dropped
    /// without a word.
    ///
    /// # Errors
    /// The file cannot be opened as [`Target::append`] does. The other sinks have no error.
    pub fn check(&self) -> Result<(), FileError> {
        match self {
            Self::File(target, process) => target.append(b"", process),
            Self::Stderr | Self::Nowhere => Ok(()),
        }
    }

    /// Writes `message` as one line with its prefix, whatever level is installed.
    pub fn write(&self, level: Level, message: &dyn fmt::Display) {
        let mut line = Line::new(level);
        // Writing to a string cannot fail, and a message that fails has said what it could.
        let _ = write!(line, "{message}");
        self.put(&line.finish());
    }

    fn put(&self, line: &str) {
        match self {
            Self::Stderr => {
                put(stderr(), line.as_bytes());
            }
            Self::File(target, process) => {
                let _ = target.append(line.as_bytes(), process);
            }
            Self::Nowhere => {}
        }
    }
}

fn is_open() -> bool {
    fstat(stderr()).is_ok()
}

/// Writes unless to a pipe that nobody reads: that would raise SIGPIPE. Gives whether it tried.
fn put(to: BorrowedFd<'_>, line: &[u8]) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let broken = PollFlags::ERR | PollFlags::NVAL;
    if retry_on_intr(|| poll(&mut polled, Some(&now))).is_err()
        || polled[0].revents().intersects(broken)
    {
        return false;
    }
    let _ = retry_on_intr(|| write(to, line));
    true
}

/// Sends what this crate and the library tell from `level` up to `sink`, in this `format`. The first
/// call counts; gives whether this was the first.
pub fn install(level: Level, sink: Sink, format: LogFormat) -> bool {
    tracing::subscriber::set_global_default(Log { level, sink, format }).is_ok()
}

struct Log {
    level: Level,
    sink: Sink,
    format: LogFormat,
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level.into())
    }

    fn event(&self, event: &Event<'_>) {
        let line = match self.format {
            LogFormat::Text => {
                let mut line = Line::new(*event.metadata().level());
                event.record(&mut line);
                line.finish()
            }
            LogFormat::Json => json::line(event),
        };
        self.sink.put(&line);
    }

    // Spans are not told: every line stands by itself.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

/// A line that grows: the prefix, the message, then ` field=value`.
struct Line {
    text: String,
    /// Where the prefix ends and the message begins.
    message: usize,
}

impl Line {
    fn new(level: Level) -> Self {
        // Asked anew each time: after a fork both are others.
        let (pid, thread) = (getpid().as_raw_pid(), gettid().as_raw_pid());
        let text = format!("cupool: {pid} {thread} {level} ");
        Self { message: text.len(), text }
    }

    fn finish(mut self) -> String {
        self.text.push('\n');
        self.text
    }
}

impl Write for Line {
    /// Appends text; what would break the line or steer a terminal is escaped.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c.is_control() {
                true => self.text.extend(c.escape_default()),
                false => self.text.push(c),
            }
        }
        Ok(())
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let blank = if self.text.len() > self.message { " " } else { "" };
        let _ = match field.name() {
            "message" => write!(self, "{blank}{value:?}"),
            name => write!(self, "{blank}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::path::PathBuf;

    use super::*;

    /// What `tell` leads to in a log of `level`.
    fn logged(test: &str, level: Level, tell: fn()) -> Vec<String> {
        logged_as(LogFormat::Text, test, level, tell)
    }

    fn logged_as(format: LogFormat, test: &str, level: Level, tell: fn()) -> Vec<String> {
        let name = format!("cupool-log-{test}-{}", std::process::id());
        let path: PathBuf = std::env::temp_dir().join(name);
        let target = Target::at(path.to_str().expect("UTF-8"));
        let sink = Sink::new(Some(target), &ProcessFacts::of_this_process());
        tracing::subscriber::with_default(Log { level, sink, format }, tell);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(&path);
        text.lines().map(str::to_owned).collect()
    }

    fn prefix() -> String {
        format!("cupool: {} {}", std::process::id(), gettid().as_raw_pid())
    }

    #[test]
    fn lines_have_their_form() {
        let lines = logged("form", Level::DEBUG, || {
            tracing::warn!(bytes = 7, why = "x y", "gave back {}", "all");
            tracing::debug!(only = true);
        });
        let prefix = prefix();
        let warn = format!("{prefix} WARN gave back all bytes=7 why=\"x y\"");
        assert_eq!(lines, [warn, format!("{prefix} DEBUG only=true")]);
    }

    #[test]
    fn as_json_a_line_is_one_object() {
        let lines = logged_as(LogFormat::Json, "json", Level::INFO, || {
            tracing::warn!(bytes = 7, why = "x\ny", open = true, "gave back {}", "\"all\"");
            tracing::debug!("no");
        });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        let told: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(told["level"], "warn");
        assert_eq!(told["pid"], std::process::id());
        assert_eq!(told["thread"], gettid().as_raw_pid());
        assert_eq!(told["message"], "gave back \"all\"");
        assert_eq!(told["fields"], serde_json::json!({"bytes": 7, "why": "x\ny", "open": true}));
        assert!(told["time"].as_f64().is_some_and(|time| time > 1.7e9));
    }

    #[test]
    fn what_is_below_the_level_is_not_told() {
        let lines = logged("level", Level::WARN, || {
            tracing::info!("no");
            tracing::debug!("no");
            tracing::error!("yes");
        });
        assert_eq!(lines, [format!("{} ERROR yes", prefix())]);
    }

    #[test]
    fn a_message_stays_one_line() {
        let lines = logged("one", Level::WARN, || tracing::warn!("a\nb\u{1b}[1m"));
        assert_eq!(lines, [format!("{} WARN a\\nb\\u{{1b}}[1m", prefix())]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_before() {
        let sink = |path| Sink::new(Some(Target::at(path)), &ProcessFacts::of_this_process());
        let error = sink("/proc/cupool/missing").check().expect_err("no such directory");
        assert_eq!(error.errno(), Some(libc::ENOENT));
        assert_eq!(Sink::Nowhere.check(), Ok(()));
    }

    #[test]
    fn spans_do_no_harm() {
        let lines = logged("spans", Level::INFO, || {
            tracing::info_span!("span", x = 1).in_scope(|| tracing::info!("within"));
        });
        assert_eq!(lines, [format!("{} INFO within", prefix())]);
    }

    #[test]
    fn a_pipe_gets_the_line_and_a_broken_one_is_left_alone() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        assert!(put(writer.as_fd(), b"line\n"));
        let mut got = [0; 5];
        reader.read_exact(&mut got).expect("the line");
        assert_eq!(&got, b"line\n");
        drop(reader);
        assert!(!put(writer.as_fd(), b"line\n"));
    }
}
