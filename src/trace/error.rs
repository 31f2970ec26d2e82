//! Why a trace could not be read, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A trace that was not read. Displays as one line with place, cause and cure.
#[derive(Debug)]
pub struct TraceError {
    path: PathBuf,
    /// Counted from 1; `None` where no line is at fault.
    line: Option<u64>,
    cause: Cause,
}

/// The cause, without its place.
#[derive(Debug)]
pub(super) enum Cause {
    /// The file cannot be opened or read.
    Read(io::Error),
    /// It is a gzip file that breaks off.
    Truncated,
    /// It is a gzip file whose contents are damaged.
    Damaged,
    /// The line is none of the format.
    Line(&'static str),
    /// The block is live already.
    AllocatedTwice(u64),
    /// No such block is live.
    FreedUnknown(u64),
}

impl TraceError {
    pub(super) fn new(path: &Path, line: Option<u64>, cause: Cause) -> Self {
        Self { path: path.to_owned(), line, cause }
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path may contain a line break; the escaped form does not.
        write!(f, "{}", self.path.to_string_lossy().escape_debug())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match &self.cause {
            Cause::Read(error) => {
                write!(f, ": {error}")?;
                match error.kind() {
                    io::ErrorKind::NotFound => write!(f, "; check the path"),
                    io::ErrorKind::PermissionDenied => write!(f, "; make it readable for you"),
                    io::ErrorKind::IsADirectory => write!(f, "; name the files in it"),
                    _ => Ok(()),
                }
            }
            Cause::Truncated => {
                write!(f, ": the gzip file ends early; copy or record it again")
            }
            Cause::Damaged => write!(f, ": the gzip file is damaged; copy or record it again"),
            Cause::Line(fault) => write!(
                f,
                ": not a line of a trace: {fault}; write `a ID BYTES THREAD MICROSECONDS` or \
                 `f ID THREAD MICROSECONDS`"
            ),
            Cause::AllocatedTwice(id) => write!(
                f,
                ": block {id} is allocated while it is live; give each allocation an id of its own"
            ),
            Cause::FreedUnknown(id) => write!(
                f,
                ": block {id} is freed but not live; start the trace with the program, and free \
                 each block once"
            ),
        }
    }
}

impl std::error::Error for TraceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Read(error) => Some(error),
            _ => None,
        }
    }
}
