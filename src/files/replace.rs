//! Putting bytes into a file, all of them or none.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fchmod, fstat, ftruncate, openat, renameat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr, write};
use rustix::process::{Resource, Uid, geteuid, getpid, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::directory::Directory;
use super::error::{Cause, FileError};

/// Only the user may read what is written: it tells of what the program does.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);
/// Of a file that is for others, whatever the program's umask is.
const PUBLIC: Mode = MODE.union(Mode::RGRP).union(Mode::ROTH);

/// Writes `contents` under another name and renames it over `name`. Gives the file.
pub(super) fn replace(
    directory: &Directory,
    name: &OsStr,
    contents: &[u8],
) -> Result<OwnedFd, FileError> {
    checked(directory, name, contents, MODE)
}

/// The same with a file that everybody may read.
pub(super) fn publish(
    directory: &Directory,
    name: &OsStr,
    contents: &[u8],
) -> Result<OwnedFd, FileError> {
    checked(directory, name, contents, PUBLIC)
}

fn checked(
    directory: &Directory,
    name: &OsStr,
    contents: &[u8],
    mode: Mode,
) -> Result<OwnedFd, FileError> {
    let path = directory.file(name);
    regular_or_missing(directory, name)?;
    check_size_limit(contents.len()).map_err(|cause| FileError::new(&path, cause))?;
    write_and_rename(directory, name, contents, mode)
}

fn write_and_rename(
    directory: &Directory,
    name: &OsStr,
    contents: &[u8],
    mode: Mode,
) -> Result<OwnedFd, FileError> {
    let (temporary, file) = Temporary::make(directory)?;
    write_all(&file, contents)
        .and_then(|()| if mode == MODE { Ok(()) } else { fchmod(&file, mode) })
        .and_then(|()| renameat(&directory.fd, &temporary.name, &directory.fd, name))
        .map_err(FileError::system(&directory.file(name)))?;
    temporary.renamed();
    Ok(file)
}

/// Appends `line` by one write.
pub(super) fn append(directory: &Directory, name: &OsStr, line: &[u8]) -> Result<(), FileError> {
    let (file, _) = open_to_append(directory, name, line.len(), OFlags::CREATE)?;
    // A disk that takes a part is full: the rest of a line is not worth a second try.
    retry_on_intr(|| write(&file, line)).map_err(FileError::system(&directory.file(name)))?;
    Ok(())
}

/// Appends all of `contents` or nothing, with `new` to a file that does not exist yet.
pub(super) fn extend(
    directory: &Directory,
    name: &OsStr,
    contents: &[u8],
    new: bool,
) -> Result<(), FileError> {
    let how = if new { OFlags::CREATE | OFlags::EXCL } else { OFlags::empty() };
    let (file, length) = open_to_append(directory, name, contents.len(), how)?;
    write_or_take_back(&file, length, contents).map_err(FileError::system(&directory.file(name)))
}

/// Writes all of `contents` behind the first `length` bytes, or leaves those alone: a disk may take a
/// part and then be full, and half a piece would make all of the file unreadable.
fn write_or_take_back(file: impl AsFd, length: u64, contents: &[u8]) -> Result<(), Errno> {
    write_all(&file, contents).inspect_err(|_| {
        // Who cannot shorten it cannot do anything else about it either.
        let _ = ftruncate(&file, length);
    })
}

/// Opens a file that may grow by `more` bytes. Gives its length, too.
fn open_to_append(
    directory: &Directory,
    name: &OsStr,
    more: usize,
    how: OFlags,
) -> Result<(OwnedFd, u64), FileError> {
    let path = directory.file(name);
    regular_or_missing(directory, name)?;
    // Should somebody put a FIFO there in between: NONBLOCK makes opening it fail instead of wait.
    let flags =
        OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&directory.fd, name, flags | how, MODE).map_err(FileError::system(&path))?;
    let stat = fstat(&file).map_err(FileError::system(&path))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(FileError::new(&path, Cause::NotAFile));
    }
    if Uid::from_raw(stat.st_uid) != geteuid() {
        return Err(FileError::new(&path, Cause::ForeignFile));
    }
    let length = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    let longer = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(more);
    check_size_limit(longer).map_err(|cause| FileError::new(&path, cause))?;
    Ok((file, length))
}

/// Refuses what is no file: a device's name must never be replaced, a FIFO never waited for.
fn regular_or_missing(directory: &Directory, name: &OsStr) -> Result<(), FileError> {
    match directory.file_type(name)? {
        None | Some(FileType::RegularFile) => Ok(()),
        Some(_) => Err(FileError::new(&directory.file(name), Cause::NotAFile)),
    }
}

/// Beyond the limit a write does not just fail: it raises SIGXFSZ, which kills.
fn check_size_limit(length: usize) -> Result<(), Cause> {
    match getrlimit(Resource::Fsize).current {
        Some(limit) if length as u64 > limit => Err(Cause::SizeLimit),
        _ => Ok(()),
    }
}

fn write_all(file: impl AsFd, mut contents: &[u8]) -> Result<(), Errno> {
    while !contents.is_empty() {
        match retry_on_intr(|| write(&file, contents))? {
            // No disk should, and none may make us try for ever.
            0 => return Err(Errno::IO),
            written => contents = &contents[written..],
        }
    }
    Ok(())
}

/// A file that is deleted again unless it gets its name.
struct Temporary<'a> {
    directory: &'a Directory,
    name: String,
}

impl<'a> Temporary<'a> {
    /// A new file that nobody else writes to.
    fn make(directory: &'a Directory) -> Result<(Self, OwnedFd), FileError> {
        /// Two threads, or processes of two pid namespaces, would have to meet that often.
        const ATTEMPTS: u32 = 4;

        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut result = Err(Errno::EXIST);
        let mut name = String::new();
        for _ in 0..ATTEMPTS {
            // The time keeps it clear of what a killed process of the same pid has left behind.
            let time = clock_gettime(ClockId::Realtime);
            let pid = getpid().as_raw_pid();
            name = format!(".cupool.{pid}.{:x}.{:x}.tmp", time.tv_sec, time.tv_nsec);
            result = openat(&directory.fd, &name, flags, MODE);
            if !matches!(result, Err(Errno::EXIST)) {
                break;
            }
        }
        match result {
            Ok(file) => Ok((Self { directory, name }, file)),
            Err(errno) => Err(FileError::system(&directory.path)(errno)),
        }
    }

    /// It has its name now: there is nothing to delete.
    fn renamed(mut self) {
        self.name.clear();
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            // Who cannot delete it cannot do anything else about it either.
            let _ = unlinkat(&self.directory.fd, &self.name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use rustix::io::pread;

    use super::*;
    use crate::files::Target;
    use crate::files::tests::{Scratch, process};

    #[test]
    fn what_fails_halfway_leaves_nothing_behind() {
        let scratch = Scratch::new("halfway");
        let directory = scratch.target("x").place.open(&process(), 0).expect("opened");
        let temporary = Temporary::make(&directory).expect("made");
        assert_eq!(scratch.names(), [temporary.0.name.as_str()]);
        drop(temporary);
        assert!(scratch.names().is_empty(), "{:?}", scratch.names());
        // No entry of a directory has so long a name: it all works but the renaming.
        let name = "x".repeat(300);
        let error =
            write_and_rename(&directory, OsStr::new(&name), b"x", MODE).expect_err("too long");
        assert_eq!(error.errno(), Some(libc::ENAMETOOLONG));
        assert!(scratch.names().is_empty(), "{:?}", scratch.names());
    }

    /// A file that may not grow takes what there is room for, as a disk that becomes full.
    #[test]
    fn what_is_appended_halfway_is_taken_back() {
        let file = memfd_create("cupool-test", MemfdFlags::ALLOW_SEALING).expect("made");
        write_all(&file, b"a whole piece").expect("written");
        ftruncate(&file, 8192).expect("lengthened");
        fcntl_add_seals(&file, SealFlags::GROW).expect("sealed");
        let error = write_or_take_back(&file, 13, &[b'x'; 3 * 4096]).expect_err("no room");
        assert_eq!(error, Errno::PERM);
        let mut contents = [0; 64];
        let length = pread(&file, &mut contents, 0).expect("readable");
        assert_eq!(&contents[..length], b"a whole piece");
    }

    #[test]
    fn two_temporaries_are_two() {
        let scratch = Scratch::new("two");
        let Target { place, .. } = scratch.target("x");
        let directory = place.open(&process(), 0).expect("opened");
        let both = [(); 2].map(|()| Temporary::make(&directory).expect("made"));
        assert_eq!(scratch.names().len(), both.len());
    }
}
