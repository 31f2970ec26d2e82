//! Which directory, and whether it may be trusted.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::{Uid, geteuid};

use super::error::{Cause, FileError};
use super::pattern;
use crate::report::ProcessFacts;

/// A directory that may not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// One of the user's choice; may contain patterns.
    Configured(PathBuf),
    /// Ours below the user's runtime directory, where there is one; else ours in `/tmp`.
    Default { runtime: Option<PathBuf>, temporary: PathBuf },
}

/// A directory that was opened and found good.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) fd: OwnedFd,
}

impl Place {
    pub(super) fn default_from_environment() -> Self {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        Self::Default {
            // The specification says to ignore a relative one.
            runtime: runtime.filter(|path| path.is_absolute()),
            temporary: PathBuf::from("/tmp"),
        }
    }

    /// Opens the directory, and makes it first if it is a default one.
    pub(super) fn open(
        &self,
        process: &ProcessFacts,
        sequence: u64,
    ) -> Result<Directory, FileError> {
        match self {
            Self::Configured(path) => match path.to_str() {
                Some(text) if text.contains('%') => {
                    configured(PathBuf::from(pattern::expand(text, process, sequence)))
                }
                _ => configured(path.clone()),
            },
            Self::Default { runtime, temporary } => {
                // A session's runtime directory is often named but missing: in containers, in
                // batch jobs, after su.
                if let Some(runtime) = runtime
                    && let Ok(directory) = ours(runtime.join("cupool"))
                {
                    return Ok(directory);
                }
                ours(temporary.join(format!("cupool-{}", geteuid().as_raw())))
            }
        }
    }
}

fn configured(path: PathBuf) -> Result<Directory, FileError> {
    let (directory, stat) = open(path, OFlags::empty())?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if mode.contains(Mode::WOTH) && !mode.contains(Mode::SVTX) {
        return Err(FileError::new(&directory.path, Cause::OpenToOthers));
    }
    Ok(directory)
}

/// A directory whose parent others may write in.
fn ours(path: PathBuf) -> Result<Directory, FileError> {
    match mkdirat(CWD, &path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(FileError::system(&path)(errno)),
    }
    let (directory, stat) = open(path, OFlags::NOFOLLOW)?;
    if Uid::from_raw(stat.st_uid) != geteuid() {
        return Err(FileError::new(&directory.path, Cause::ForeignDirectory));
    }
    if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        return Err(FileError::new(&directory.path, Cause::OpenToOthers));
    }
    Ok(directory)
}

fn open(path: PathBuf, flags: OFlags) -> Result<(Directory, Stat), FileError> {
    // O_PATH: a directory that may be written in need not be readable.
    let flags = flags | OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = openat(CWD, &path, flags, Mode::empty()).map_err(FileError::system(&path))?;
    let stat = fstat(&fd).map_err(FileError::system(&path))?;
    Ok((Directory { path, fd }, stat))
}

impl Directory {
    /// The path of a file in the directory, for messages.
    pub(super) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// What stands at `name`, links not followed; `None` for nothing.
    pub(super) fn file_type(&self, name: &std::ffi::OsStr) -> Result<Option<FileType>, FileError> {
        match rustix::fs::statat(&self.fd, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(FileError::system(&self.file(name))(errno)),
        }
    }
}
