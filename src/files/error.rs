//! Why a file could not be written, and what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A file that was not written. Displays as one line with cause and cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// A system call failed.
    System(Errno),
    /// The directory is not the calling user's.
    ForeignDirectory,
    /// The file that is to be appended to is not the calling user's, who could read along.
    ForeignFile,
    /// Others may write in the directory.
    OpenToOthers,
    /// What stands at the path is not a regular file.
    NotAFile,
    /// The process may not write files of that size.
    SizeLimit,
}

impl FileError {
    pub(super) fn new(path: &Path, cause: Cause) -> Self {
        Self { path: path.to_owned(), cause }
    }

    /// Of a system call that concerned `path`.
    pub(crate) fn system(path: &Path) -> impl FnOnce(Errno) -> Self {
        |errno| Self::new(path, Cause::System(errno))
    }

    /// What could not be written, or the directory it would have been in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The system's error number, where a system call failed or would have.
    pub fn errno(&self) -> Option<i32> {
        match self.cause {
            Cause::System(errno) => Some(errno.raw_os_error()),
            Cause::SizeLimit => Some(Errno::FBIG.raw_os_error()),
            _ => None,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A path may contain a line break; the quoted form does not.
        write!(f, "{:?}: ", self.path)?;
        match self.cause {
            Cause::System(errno) => {
                write!(f, "{}", io::Error::from(errno))?;
                if let Some(cure) = cure(errno) {
                    write!(f, "; {cure}")?;
                }
                Ok(())
            }
            Cause::ForeignDirectory => {
                write!(f, "the directory belongs to somebody else; choose another")
            }
            Cause::ForeignFile => {
                write!(f, "the file belongs to somebody else; choose another name")
            }
            Cause::OpenToOthers => {
                write!(f, "others may write in the directory; chmod it or choose another")
            }
            Cause::NotAFile => {
                write!(f, "not a regular file; name one, or a directory with / at its end")
            }
            Cause::SizeLimit => {
                write!(f, "larger than the process's file size limit; raise ulimit -f")
            }
        }
    }
}

impl std::error::Error for FileError {}

/// What usually helps.
fn cure(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::EXIST => "delete it, or choose another name",
        Errno::NOENT => "make the directory first",
        Errno::NOTDIR | Errno::LOOP => "name a directory that is no symbolic link",
        Errno::ACCESS | Errno::PERM | Errno::ROFS => "choose a directory you may write in",
        Errno::NOSPC | Errno::DQUOT => "make room or choose another file system",
        Errno::NAMETOOLONG => "choose a shorter name",
        _ => return None,
    })
}
