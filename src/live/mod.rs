//! The live page: what a process tells while it runs, for `cupool top`, `stats` and `flush`.
//!
//! Each process that uses CUDA has one small file, `cupool.<pid>.<start>.live`, in the directory of
//! the stats files' default, whatever the option `stats` says. It is mapped, and written to by the
//! background worker alone: the calls of the program never touch it. Who reads it takes no lock and
//! holds nobody up.
//!
//! # Freshness
//! While somebody watches (see [`Control::watch`]) figures are at most [`WATCHED_PERIOD`] old.
//! Unwatched, they are at most [`SHORTEST_PERIOD`] old in a process that allocates, and at most
//! [`LONGEST_PERIOD`] in one where nothing has changed for as long. Every flush that the worker makes
//! is told at once. All figures of one publication belong together, and carry its time.
//!
//! # Life
//! The file is made with mode 0600 at the first use of CUDA and deleted at exit. A process that is
//! killed or ends by `_exit` leaves it behind with its last figures; the pid, the process's start in
//! clock ticks, the boot and the pid namespace in it tell whether its process still exists, also
//! once the pid is another's; and the thread that keeps the page, whether it has become another program
//! by `execve(2)`. [`Listed::remove`] clears it away; so does [`sweep`] a day later, when
//! another process starts. What is no page that this cupool can read, but called like one of a process
//! that is gone, is nobody's any more: a [`Listing`] has it apart from what is to be told.
//!
//! # Layout, version 1
//! One `Shared` of 64-bit words in the machine's byte order, as large as the file:
//!
//! | part | written by | content |
//! |---|---|---|
//! | magic, version, size | the process, before the file gets its name | what this is |
//! | process | likewise | pid, start, boot, namespace, signal, version, executable, thread |
//! | wake, requests, wanted, forced, neighbours, snapshots, watched | whoever asks | the futex on which the worker waits; flushes asked for; on which devices, and how urgently; memory snapshots asked for; until when somebody watches |
//! | listening, snapshots done, published | the process | whether a worker waits; how many memory snapshots are written; how often figures were published |
//! | figures, twice | the process | those of publication `n` are in the half `n % 2` |
//!
//! The version counts the layouts that were released, and is 1 until there is a second one. Between
//! releases the size tells layouts apart, as it changes with almost all that does: a page of another
//! version or size is another cupool's. Magic, version, size, and of the process all up to the boot
//! keep their places in every layout, so that any cupool can tell whether the process of any page is
//! gone, and clear it away.
//!
//! A reader takes the half of the last publication, and takes it again if there was another one
//! meanwhile. A process that is killed while it writes a half leaves the other one whole.
//!
//! Texts are a length in bytes and as many words as the longest takes; longer ones are cut. Every
//! field is checked when it is read: a file that somebody has damaged is one clear [`Fault`].

mod control;
mod cursor;
mod figures;
mod list;
mod map;
mod neighbours;
mod page;
mod process;
mod reader;
#[cfg(test)]
#[cfg(not(miri))]
mod tests;

use std::time::Duration;

pub use control::Control;
pub use figures::{Figures, Flush};
pub use list::{DIRECTORY, Listed, Listing, State, directories, list, sweep};
pub use neighbours::Neighbourhood;
pub use page::{Asked, Page, Urgency};
pub use process::Process;
pub use reader::{Fault, read};

/// How old figures are at most while somebody watches.
pub const WATCHED_PERIOD: Duration = Duration::from_millis(100);
/// How old they are at most, unwatched, where something changes all the time.
pub const SHORTEST_PERIOD: Duration = Duration::from_secs(1);
/// How old they are at most, unwatched, where nothing changes.
pub const LONGEST_PERIOD: Duration = Duration::from_secs(16);

/// Devices that have a place in the page; figures of further ones are left out.
pub const DEVICES: usize = 16;

/// Nanoseconds since the boot, as the clock of the pages counts them.
pub fn clock() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.try_into().unwrap_or(0))
}
