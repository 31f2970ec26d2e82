//! A page as it is shared.
//!
//! The one place in this crate that maps memory.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem::offset_of;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::cursor::WORD;
use super::figures::Figures;
use super::process::Process;

/// The layout of the file. Everything is an atomic, so whatever stands in the file is a value, and
/// others may write to it at any time.
#[repr(C)]
pub(super) struct Shared {
    pub(super) magic: AtomicU64,
    pub(super) version: AtomicU64,
    /// The size of the file in bytes.
    pub(super) size: AtomicU64,
    pub(super) process: [AtomicU64; Process::WORDS],
    /// The futex on which the worker waits: whoever asks for something adds [`REASON`].
    pub(super) wake: AtomicU32,
    /// 1 while a worker waits.
    pub(super) listening: AtomicU32,
    /// How many flushes were asked for.
    pub(super) requests: AtomicU64,
    /// On which devices, a bit for each ordinal.
    pub(super) wanted: AtomicU64,
    /// How many memory snapshots were asked for.
    pub(super) snapshots: AtomicU64,
    /// How many of those are written, or could not be: then with the error's number.
    pub(super) snapshots_done: AtomicU64,
    pub(super) snapshot_errno: AtomicU64,
    /// On which of those whatever is said against it, and for whose sake; see
    /// [`Urgency`](super::Urgency).
    pub(super) forced: AtomicU64,
    pub(super) neighbours: AtomicU64,
    /// Until when somebody watches, by the pages' clock.
    pub(super) watched: AtomicU64,
    /// How often figures were published.
    pub(super) published: AtomicU64,
    pub(super) figures: [[AtomicU64; Figures::WORDS]; 2],
}

/// What is added to [`Shared::wake`].
pub(super) const REASON: u32 = 2;

/// `cupool` and two zeros, in the order of the bytes in the file.
pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"cupool\0\0");
pub(super) const VERSION: u64 = 1;
/// The size of a file.
pub(super) const SIZE: usize = size_of::<Shared>();

/// Where parts are, in words.
pub(super) const PROCESS: usize = offset_of!(Shared, process) / WORD;
pub(super) const PUBLISHED: usize = offset_of!(Shared, published) / WORD;
pub(super) const FIGURES: usize = offset_of!(Shared, figures) / WORD;

const _: () = assert!(SIZE.is_multiple_of(WORD));

/// A mapped page, unmapped when dropped.
///
/// Somebody who cuts the file short while it is mapped ends this process by SIGBUS, as with any
/// mapped file. Only its owner can.
pub(super) struct Map(NonNull<Shared>);

// SAFETY: it is but a reference to atomics.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `file` for reading and writing.
    ///
    /// # Errors
    /// It is not exactly of the right size, or cannot be mapped.
    pub(super) fn new(file: impl AsFd) -> io::Result<Self> {
        let file = File::from(file.as_fd().try_clone_to_owned()?);
        if file.metadata()?.len() != SIZE as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nobody's memory.
        let start = unsafe { mmap(ptr::null_mut(), SIZE, protection, MapFlags::SHARED, &file, 0)? };
        NonNull::new(start.cast()).map(Self).ok_or(io::ErrorKind::OutOfMemory.into())
    }

    /// The page for the rest of the process.
    pub(super) fn leak(self) -> &'static Shared {
        let page = std::mem::ManuallyDrop::new(self).0;
        // SAFETY: mapped with this size and all alignment, and from now on never unmapped.
        unsafe { page.as_ref() }
    }
}

impl Deref for Map {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        // SAFETY: mapped with this size and all alignment as long as `self` lives.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this mapping is ours, and no reference to it outlives `self`.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), SIZE) };
    }
}
