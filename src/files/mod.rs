//! Files written in a process that is not ours, on behalf of a user who may share `/tmp`.
//!
//! A [`Target`] is a directory and a name with patterns. Nothing is held open between two calls:
//! programs close descriptors they do not know, and a number of ours could come to mean a file of
//! theirs. Every call opens the directory anew, looks at it through the descriptor, and names
//! everything else relative to it, so that nobody can exchange it in between.
//!
//! Which directories are accepted:
//!
//! | directory | must be |
//! |---|---|
//! | `$XDG_RUNTIME_DIR/cupool`, else `/tmp/cupool-<uid>` (made with mode 0700 where missing) | no symbolic link, ours, writable by nobody else |
//! | one that the user configured (never made) | not writable by everybody, except with the sticky bit, as `/tmp` |
//!
//! A configured directory may be reached through symbolic links, and may belong to root or to a
//! group: all that somebody who can write there gains is to put a false stats file in our place.
//! The *file* is only ever replaced if it is a regular one, so `stats:/dev/null` does no harm.

mod directory;
mod error;
mod pattern;
mod replace;
#[cfg(test)]
mod tests;

pub use error::FileError;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::{LogFile, StatsFile};
use crate::report::ProcessFacts;
use directory::Place;
pub(crate) use pattern::check as check_pattern;

/// The name of a stats file where none is given.
const STATS_NAME: &str = "cupool.%p.json";
/// The name of a log where none is given.
const LOG_NAME: &str = "cupool.%p.log";
/// The name of a trace where none is given.
const TRACE_NAME: &str = "cupool.%p.trace.gz";
/// The name of a memory snapshot where none is given.
const SNAPSHOT_NAME: &str = "cupool.%p.%n.snapshot.json";

/// Where files go: a directory, and a name with patterns.
///
/// In both, `%p` is the pid, `%h` the host, `%e` the executable's name, `%t` when the process
/// started in whole seconds since the epoch, `%n` the file's sequence number, and `%%` a `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    place: Place,
    name: String,
}

impl Target {
    /// Where the stats file goes; `None` if none is wanted. Reads the environment, so it should be
    /// called once, early, before the program has threads that change it.
    pub fn stats(choice: &StatsFile) -> Option<Self> {
        match choice {
            StatsFile::Default => {
                Some(Self { place: Place::default_from_environment(), name: STATS_NAME.to_owned() })
            }
            StatsFile::Off => None,
            StatsFile::At(path) => Some(Self::at(path)),
        }
    }

    /// Where the log goes; `None` for standard error.
    pub fn log(choice: &LogFile) -> Option<Self> {
        match choice {
            LogFile::Stderr => None,
            LogFile::At(path) => Some(Self::named(path, LOG_NAME)),
        }
    }

    /// The stats file at `path`, which may contain patterns. If it ends in `/`, the default name in
    /// that directory. A relative path starts from the current directory of this moment.
    pub fn at(path: &str) -> Self {
        Self::named(path, STATS_NAME)
    }

    /// The trace at `path`, which may contain patterns. If it ends in `/`, the default name in that
    /// directory.
    pub fn trace(path: &str) -> Self {
        Self::named(path, TRACE_NAME)
    }

    /// The memory snapshot at `path`, which may contain patterns. If it ends in `/`, the default name
    /// in that directory.
    pub fn snapshot(path: &str) -> Self {
        Self::named(path, SNAPSHOT_NAME)
    }

    /// The file `name`, which contains no patterns, in the directory of the stats files' default.
    /// Reads the environment, as [`Target::stats`] does.
    pub(crate) fn in_default_directory(name: String) -> Self {
        Self { place: Place::default_from_environment(), name }
    }

    /// The file `name`, which contains no patterns, in the same directory.
    pub(crate) fn beside(&self, name: String) -> Self {
        Self { place: self.place.clone(), name }
    }

    /// Whether the file is one of gzip by its name.
    pub fn is_gzip(&self) -> bool {
        self.name.ends_with(".gz")
    }

    fn named(path: &str, default_name: &str) -> Self {
        let (directory, name) = match path.rsplit_once('/') {
            Some(("", name)) => ("/", name),
            Some((directory, name)) => (directory, name),
            None => ("", path),
        };
        let directory = Path::new(directory);
        // Without a current directory the relative path stays, and fails when it is opened.
        let directory = std::env::current_dir().unwrap_or_default().join(directory);
        let name = if name.is_empty() { default_name } else { name };
        Self { place: Place::Configured(directory), name: name.to_owned() }
    }

    /// Replaces the file by one with these `contents`, as a whole: whoever reads it sees the old
    /// one or the new one. Mode 0600. Not synchronised to the disk. Gives the path.
    ///
    /// # Errors
    /// The directory is missing or refused, the disk is full, and the like. The old file, if there
    /// is one, is then still there, and no other was left behind.
    pub fn replace(
        &self,
        contents: &[u8],
        process: &ProcessFacts,
        sequence: u64,
    ) -> Result<PathBuf, FileError> {
        let name = pattern::expand(&self.name, process, sequence);
        let directory = self.place.open(process, sequence)?;
        replace::replace(&directory, OsStr::from_bytes(name.as_bytes()), contents)?;
        Ok(directory.path.join(name))
    }

    /// Replaces the file as [`Target::replace`] does, by one that everybody may read.
    ///
    /// # Errors
    /// As [`Target::replace`].
    pub(crate) fn publish(
        &self,
        contents: &[u8],
        process: &ProcessFacts,
    ) -> Result<PathBuf, FileError> {
        let name = pattern::expand(&self.name, process, 0);
        let directory = self.place.open(process, 0)?;
        replace::publish(&directory, OsStr::from_bytes(name.as_bytes()), contents)?;
        Ok(directory.path.join(name))
    }

    /// The directory that the user configured, if it was one and contains no pattern.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match &self.place {
            Place::Configured(directory) => Some(directory),
            Place::Default { .. } => None,
        }
    }

    /// Replaces the file as [`Target::replace`] does, and gives it, open for reading and writing.
    ///
    /// # Errors
    /// As [`Target::replace`].
    pub(crate) fn make(
        &self,
        contents: &[u8],
        process: &ProcessFacts,
    ) -> Result<(PathBuf, OwnedFd), FileError> {
        let name = pattern::expand(&self.name, process, 0);
        let directory = self.place.open(process, 0)?;
        let file = replace::replace(&directory, OsStr::from_bytes(name.as_bytes()), contents)?;
        Ok((directory.path.join(name), file))
    }

    /// Deletes the file. One that cannot be deleted stays.
    pub(crate) fn remove(&self, process: &ProcessFacts) {
        let name = pattern::expand(&self.name, process, 0);
        if let Ok(directory) = self.place.open(process, 0) {
            let _ = rustix::fs::unlinkat(&directory.fd, name, rustix::fs::AtFlags::empty());
        }
    }

    /// Appends `line` to the file with one `write`, so that lines of several threads and processes
    /// stay whole. The file is made with mode 0600 if it is missing.
    ///
    /// # Errors
    /// As [`Target::replace`].
    pub fn append(&self, line: &[u8], process: &ProcessFacts) -> Result<(), FileError> {
        let name = pattern::expand(&self.name, process, 0);
        let directory = self.place.open(process, 0)?;
        replace::append(&directory, OsStr::from_bytes(name.as_bytes()), line)
    }

    /// Adds all of `contents` at the end of the file. With `new` it is made, with mode 0600, and must
    /// not exist: what stands there already is somebody else's, if only of an earlier run.
    ///
    /// # Errors
    /// As [`Target::replace`], but a part of `contents` may have been written.
    pub fn extend(
        &self,
        contents: &[u8],
        process: &ProcessFacts,
        new: bool,
    ) -> Result<(), FileError> {
        let name = pattern::expand(&self.name, process, 0);
        let directory = self.place.open(process, 0)?;
        replace::extend(&directory, OsStr::from_bytes(name.as_bytes()), contents, new)
    }
}
