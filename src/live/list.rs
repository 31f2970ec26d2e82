//! The pages of this user.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;

use super::figures::Figures;
use super::process::Process;
use super::reader::{Fault, identity, read};

/// What has become of a page's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It has ended without having told so.
    Gone,
    /// It is in another pid namespace, such as a container, where its pid means another process.
    Elsewhere,
}

/// A page that was found.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where.
    pub path: PathBuf,
    /// Whose.
    pub process: Process,
    /// Its last figures; `None` where there are none yet.
    pub figures: Option<Figures>,
    /// What has become of the process.
    pub state: State,
}

impl Listed {
    /// Where the process writes a memory snapshot that is asked for.
    pub fn snapshot_path(&self) -> PathBuf {
        self.path.with_file_name(snapshot_name(self.process.pid, self.process.start_ticks))
    }

    /// The page at `path`.
    ///
    /// # Errors
    /// Those of [`read`].
    pub fn read(path: &Path) -> Result<Self, Fault> {
        let (process, figures) = read(path)?;
        let state = match (process.is_in_sight(), process.is_alive()) {
            (false, _) => State::Elsewhere,
            (true, true) => State::Running,
            (true, false) => State::Gone,
        };
        Ok(Self { path: path.to_owned(), process, figures, state })
    }

    /// Clears away the page of a process that is [gone](State::Gone). A file that cannot be deleted
    /// stays.
    pub fn remove(&self) {
        if self.state == State::Gone {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// All pages of this user, by pid and start, and what was found in their place.
#[derive(Debug, Default)]
pub struct Listing {
    /// The pages.
    pub pages: Vec<Listed>,
    /// What is no page that can be read here, of processes that are gone.
    pub remains: Vec<PathBuf>,
    /// Files and directories that cannot be used.
    pub faults: Vec<Fault>,
}

impl Listing {
    /// Clears away what [remains](Self::remains). A file that cannot be deleted stays.
    pub fn sweep(&self) {
        for path in &self.remains {
            let _ = fs::remove_file(path);
        }
    }
}

/// The variable that names the one directory to look in instead of [`directories`]' usual ones.
pub const DIRECTORY: &str = "CUPOOL_PAGES";

/// Where pages of this user can be: a process started by a session has a runtime directory, one
/// started by a batch system may not.
pub fn directories() -> Vec<PathBuf> {
    if let Some(directory) = std::env::var_os(DIRECTORY).filter(|path| !path.is_empty()) {
        return vec![PathBuf::from(directory)];
    }
    let uid = geteuid().as_raw();
    let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let mut all: Vec<PathBuf> = named.filter(|path| path.is_absolute()).into_iter().collect();
    all.push(PathBuf::from(format!("/run/user/{uid}")));
    let mut all: Vec<_> = all.into_iter().map(|path| path.join("cupool")).collect();
    all.push(PathBuf::from(format!("/tmp/cupool-{uid}")));
    let mut seen = Vec::new();
    all.retain(|path| {
        !seen.contains(path) && {
            seen.push(path.clone());
            true
        }
    });
    all
}

/// The pages in `directories`. One that does not exist is empty.
pub fn list(directories: &[PathBuf]) -> Listing {
    let mut listing = Listing::default();
    for directory in directories {
        let names = match names(directory) {
            Ok(names) => names,
            Err(fault) if fault.is_missing() => continue,
            Err(fault) => {
                listing.faults.push(fault);
                continue;
            }
        };
        for name in names.iter().filter(|name| is_page(name)) {
            let path = directory.join(name);
            match Listed::read(&path) {
                Ok(page) => listing.pages.push(page),
                // Its process has ended since.
                Err(fault) if fault.is_missing() => {}
                Err(_) if is_of_the_gone(&path) => listing.remains.push(path),
                Err(fault) => listing.faults.push(fault),
            }
        }
    }
    listing.pages.sort_by_key(|page| (page.process.pid, page.process.start_ticks));
    listing
}

/// The files in `directory` that are called like one of cupool's. Only a directory of this user counts,
/// in which nobody else can write.
fn names(directory: &Path) -> Result<Vec<std::ffi::OsString>, Fault> {
    let failed = |error| Fault::system(directory, error);
    let facts = fs::symlink_metadata(directory).map_err(failed)?;
    if !facts.is_dir() || facts.uid() != geteuid().as_raw() || facts.mode() & 0o022 != 0 {
        return Err(Fault::not_private(directory, facts.uid()));
    }
    let entries = fs::read_dir(directory).map_err(failed)?;
    let names = entries.flatten().map(|entry| entry.file_name());
    Ok(names.filter(|name| name.as_encoded_bytes().starts_with(b"cupool.")).collect())
}

/// Whether what is at `path`, and cannot be read as a page, is of a process that is gone: by what any
/// cupool's page tells of it, or else by its name.
fn is_of_the_gone(path: &Path) -> bool {
    identity(path).or_else(|| named(path)).is_some_and(|process| process.is_gone())
}

/// The process that a file is called after.
fn named(path: &Path) -> Option<Process> {
    let mut words = path.file_name()?.to_str()?.split('.').skip(1);
    let (pid, start_ticks) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Process::here(pid, start_ticks))
}

/// How long a page outlives its process where nobody looks at it.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Clears pages away that are beside the one at `path` and have not been written to for a day, if
/// their processes are gone: where nobody ever runs `cupool top`, they would pile up. So would memory
/// snapshots that nobody came to take away.
pub fn sweep(path: &Path) {
    let Some(directory) = path.parent() else { return };
    for name in names(directory).unwrap_or_default() {
        let path = directory.join(&name);
        let changed = fs::metadata(&path).and_then(|facts| facts.modified());
        let is_old = changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEPT));
        if !is_old {
            continue;
        }
        match Listed::read(&path) {
            Ok(page) => page.remove(),
            Err(_) if (is_page(&name) || is_snapshot(&name)) && is_of_the_gone(&path) => {
                let _ = fs::remove_file(&path);
            }
            Err(_) => {}
        }
    }
}

/// What the page of a process is called.
pub(super) fn file_name(pid: u32, start_ticks: u64) -> String {
    format!("cupool.{pid}.{start_ticks}.live")
}

/// What a memory snapshot is called that somebody asked a process for, until he takes it away.
pub(super) fn snapshot_name(pid: u32, start_ticks: u64) -> String {
    format!("cupool.{pid}.{start_ticks}.snapshot.json")
}

fn is_page(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b".live")
}

fn is_snapshot(name: &OsStr) -> bool {
    name.as_encoded_bytes().ends_with(b".snapshot.json")
}
