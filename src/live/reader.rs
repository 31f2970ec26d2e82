//! A page from outside, as it stands in the file.
//!
//! Nothing is mapped for that: a file that is cut short is a fault, not a signal.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{Ordering, fence};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::process::geteuid;

use super::cursor::{Glass, WORD};
use super::figures::Figures;
use super::map::{FIGURES, MAGIC, PROCESS, PUBLISHED, SIZE, VERSION};
use super::process::Process;

/// Why a file is no page that can be read. Displays as one line with the cure.
#[derive(Debug)]
pub struct Fault {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    System(io::Error),
    /// It belongs to somebody else.
    Foreign,
    /// Others may use it.
    Open,
    /// It is none.
    NoPage(&'static str),
    /// It is one of another layout: its version and size.
    Layout(u64, u64),
}

impl Fault {
    pub(super) fn system(path: &Path, error: impl Into<io::Error>) -> Self {
        Self { path: path.to_owned(), cause: Cause::System(error.into()) }
    }

    /// It belongs to the user `owner`, or others can read or write it.
    pub(super) fn not_private(path: &Path, owner: u32) -> Self {
        let cause = if owner == geteuid().as_raw() { Cause::Open } else { Cause::Foreign };
        Self { path: path.to_owned(), cause }
    }

    fn no_page(path: &Path, why: &'static str) -> Self {
        Self { path: path.to_owned(), cause: Cause::NoPage(why) }
    }

    /// Whether the file is gone: its process has just ended.
    pub fn is_missing(&self) -> bool {
        matches!(&self.cause, Cause::System(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The quoted form keeps a line break in a path from breaking the line.
        write!(f, "{:?}: ", self.path)?;
        match &self.cause {
            Cause::System(error) => write!(f, "{error}; start the program again to get a new one"),
            Cause::Foreign => write!(f, "not private to this user: somebody else's; delete it"),
            Cause::Open => {
                write!(f, "not private to this user: open to others; close it by chmod go=")
            }
            Cause::NoPage(why) => write!(f, "no live page ({why}); delete it"),
            Cause::Layout(version, size) => write!(
                f,
                "written by another cupool (layout {version} of {size} bytes, not {VERSION} of \
                 {SIZE}); use its own command"
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// The process of the page at `path` as far as a page of any layout tells it.
pub(super) fn identity(path: &Path) -> Option<Process> {
    let file = open_private(path, OFlags::RDONLY).ok()?;
    let mut bytes = [0; (PROCESS + IDENTITY) * WORD];
    file.read_exact_at(&mut bytes, 0).ok()?;
    let words: Vec<u64> =
        bytes.as_chunks().0.iter().map(|&word| u64::from_ne_bytes(word)).collect();
    if words[0] == MAGIC { Process::identity(&words[PROCESS..]) } else { None }
}

/// Words of a process that every layout has in the same place.
const IDENTITY: usize = 6;

/// How often a page is looked at again that is written meanwhile.
const ATTEMPTS: u32 = 8;

/// Reads the page at `path`: its process, and the last figures if there are any yet.
///
/// # Errors
/// The file cannot be read, is not private to this user, or is no page.
pub fn read(path: &Path) -> Result<(Process, Option<Figures>), Fault> {
    let file = open_private(path, OFlags::RDONLY)?;
    let failed = |error| Fault::system(path, error);
    let settled = settled(|| published(&file), || words_of(&file)).map_err(failed)?;
    let Some((published, (words, length))) = settled else {
        return Err(Fault::no_page(path, "it never stands still"));
    };
    let process =
        process(&words, length).map_err(|cause| Fault { path: path.to_owned(), cause })?;
    let figures = match published {
        0 => None,
        _ => Some(figures(&words, published).map_err(|why| Fault::no_page(path, why))?),
    };
    Ok((process, figures))
}

/// What `read` gives while nothing is published: before and after it, `published` tells the same, and
/// comes with it. `None` if that never was so.
pub(super) fn settled<T>(
    mut published: impl FnMut() -> io::Result<u64>,
    mut read: impl FnMut() -> io::Result<T>,
) -> io::Result<Option<(u64, T)>> {
    for _ in 0..ATTEMPTS {
        let before = published()?;
        // Loads before and after it stay before and after it.
        fence(Ordering::Acquire);
        let value = read()?;
        fence(Ordering::Acquire);
        if published()? == before {
            return Ok(Some((before, value)));
        }
    }
    Ok(None)
}

/// Opens a page that only this user can read and write.
pub(super) fn open_private(path: &Path, access: OFlags) -> Result<File, Fault> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|error| Fault::system(path, error))?;
    let stat = fstat(&file).map_err(|error| Fault::system(path, error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Fault::no_page(path, "not a regular file"));
    }
    if stat.st_uid != geteuid().as_raw()
        || Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO)
    {
        return Err(Fault::not_private(path, stat.st_uid));
    }
    Ok(file.into())
}

/// How often figures were published; 0 where the file is too short to tell.
fn published(file: &File) -> io::Result<u64> {
    let mut word = [0; WORD];
    match file.read_exact_at(&mut word, (PUBLISHED * WORD) as u64) {
        Ok(()) => Ok(u64::from_ne_bytes(word)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        Err(error) => Err(error),
    }
}

/// All words of a page, zeros for those that a file lacks which is too short, and how many bytes it
/// has of them.
fn words_of(file: &File) -> io::Result<(Vec<u64>, usize)> {
    let mut bytes = vec![0; SIZE];
    let mut length = 0;
    while length < SIZE {
        match file.read_at(&mut bytes[length..], length as u64)? {
            0 => break,
            more => length += more,
        }
    }
    let word = |chunk: &[u8]| u64::from_ne_bytes(chunk.try_into().unwrap_or_default());
    let mut words: Vec<u64> = bytes[..length].chunks_exact(WORD).map(word).collect();
    words.resize(SIZE / WORD, 0);
    Ok((words, length))
}

fn process(words: &[u64], length: usize) -> Result<Process, Cause> {
    let [magic, version, size] = [words[0], words[1], words[2]];
    if magic != MAGIC {
        return Err(Cause::NoPage("it does not begin like one"));
    }
    if version != VERSION || size != SIZE as u64 {
        return Err(Cause::Layout(version, size));
    }
    if length < SIZE {
        return Err(Cause::NoPage("it is cut short"));
    }
    let mut process = Process::default();
    let mut glass = Glass::new(&words[PROCESS..PROCESS + Process::WORDS]);
    process.walk(&mut glass);
    glass.finish().map_err(Cause::NoPage)?;
    Ok(process)
}

fn figures(words: &[u64], published: u64) -> Result<Figures, &'static str> {
    let half = FIGURES + (published % 2) as usize * Figures::WORDS;
    let mut glass = Glass::new(&words[half..half + Figures::WORDS]);
    let mut figures = Figures::default();
    figures.walk(&mut glass);
    glass.finish()?;
    Ok(figures)
}
