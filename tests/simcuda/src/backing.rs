//! Host memory behind simulated device memory.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use parking_lot::Mutex;

use crate::error::Error;
use crate::hazard::Range;

/// Memory, zero at first, that costs nothing until it is touched.
pub struct Backing {
    address: u64,
    bytes: usize,
    /// The file behind it, once other processes may have it.
    file: Mutex<Option<OwnedFd>>,
}

impl Backing {
    /// Maps `bytes` bytes, readable and writable.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        let bytes = usize::try_from(bytes).map_err(|_| Error::OUT_OF_MEMORY)?;
        let address = map(0, bytes, libc::PROT_READ | libc::PROT_WRITE)?;
        Ok(Self { address, bytes, file: Mutex::new(None) })
    }

    /// The memory that another process shares by `file`.
    pub fn of_file(file: OwnedFd) -> Result<Self, Error> {
        // SAFETY: an all-zero structure is one, and is filled through a pointer to a local.
        let (known, facts) = unsafe {
            let mut facts = std::mem::zeroed::<libc::stat>();
            (libc::fstat(file.as_raw_fd(), &raw mut facts) == 0, facts)
        };
        let bytes = usize::try_from(facts.st_size).unwrap_or(0);
        if !known || bytes == 0 {
            return Err(Error::INVALID_VALUE);
        }
        Ok(Self { address: map_file(&file, 0, bytes)?, bytes, file: Mutex::new(Some(file)) })
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes as u64
    }

    /// A descriptor by which another process gets this memory. While nobody touches it.
    pub fn share(&self) -> Result<OwnedFd, Error> {
        let mut file = self.file.lock();
        if let Some(file) = &*file {
            return file.try_clone().map_err(|_| Error::UNKNOWN);
        }
        let made = memory_file(self.bytes)?;
        let to = map_file(&made, 0, self.bytes)?;
        // SAFETY: both are mappings of so many bytes; the second one is ours alone.
        unsafe {
            copy_touched(self.address, to, self.bytes);
            libc::munmap(to as *mut _, self.bytes);
        }
        // In one step, so that the address is never nothing's.
        map_file(&made, self.address, self.bytes)?;
        let given = made.try_clone().map_err(|_| Error::UNKNOWN)?;
        *file = Some(made);
        Ok(given)
    }

    /// The first address.
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        // SAFETY: this very range was mapped by `new`, and nobody reaches it but through `self`.
        unsafe { libc::munmap(self.address as *mut _, self.bytes) };
    }
}

/// Reserves addresses that the host can neither read nor write, as device memory is.
pub fn reserve(wanted: u64, bytes: u64) -> Result<Range, Error> {
    let bytes = usize::try_from(bytes).map_err(|_| Error::OUT_OF_MEMORY)?;
    Ok(Range::new(map(wanted, bytes, libc::PROT_NONE)?, bytes as u64))
}

fn map(wanted: u64, bytes: usize, protection: i32) -> Result<u64, Error> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new anonymous mapping replaces nothing: without MAP_FIXED, `wanted` is a wish.
    let address = unsafe { libc::mmap(wanted as *mut _, bytes, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED { Err(Error::OUT_OF_MEMORY) } else { Ok(address as u64) }
}

/// A descriptor of the program's own, which stays its own.
pub fn descriptor(number: i32) -> Result<OwnedFd, Error> {
    // SAFETY: no preconditions.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(Error::INVALID_VALUE);
    }
    // SAFETY: it was open just now, and is borrowed for the next call only.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    borrowed.try_clone_to_owned().map_err(|_| Error::INVALID_VALUE)
}

fn memory_file(bytes: usize) -> Result<OwnedFd, Error> {
    // SAFETY: the name is a terminated string; a new descriptor is made, which is ours.
    let file = unsafe {
        let made = libc::memfd_create(c"simcuda".as_ptr(), libc::MFD_CLOEXEC);
        if made < 0 {
            return Err(Error::UNKNOWN);
        }
        OwnedFd::from_raw_fd(made)
    };
    // SAFETY: no preconditions.
    let sized = unsafe { libc::ftruncate(file.as_raw_fd(), bytes as i64) } == 0;
    if sized { Ok(file) } else { Err(Error::OUT_OF_MEMORY) }
}

/// Maps a file, in the place of what is at `at`; anywhere, if that is 0.
fn map_file(file: &OwnedFd, at: u64, bytes: usize) -> Result<u64, Error> {
    let flags = libc::MAP_SHARED | if at == 0 { 0 } else { libc::MAP_FIXED };
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: what `at` names is a mapping of so many bytes of the caller's.
    let address =
        unsafe { libc::mmap(at as *mut _, bytes, protection, flags, file.as_raw_fd(), 0) };
    if address == libc::MAP_FAILED { Err(Error::OUT_OF_MEMORY) } else { Ok(address as u64) }
}

/// Copies the pages that are not all zero: the others need not exist.
///
/// # Safety
/// `from` must be readable and `to` writable for `bytes` bytes, both at the start of a page.
unsafe fn copy_touched(from: u64, to: u64, bytes: usize) {
    const PAGE: usize = 4096;
    for at in (0..bytes).step_by(PAGE) {
        let length = PAGE.min(bytes - at);
        // SAFETY: within what the caller promises.
        unsafe {
            let page = std::slice::from_raw_parts((from as usize + at) as *const u8, length);
            if page.iter().any(|&byte| byte != 0) {
                ptr::copy_nonoverlapping(page.as_ptr(), (to as usize + at) as *mut u8, length);
            }
        }
    }
}

/// Copies between places that may overlap.
///
/// # Safety
/// `from` must be readable and `to` writable for `bytes` bytes.
pub unsafe fn copy(from: u64, to: u64, bytes: u64) {
    // SAFETY: the caller's promise; `ptr::copy` allows overlap.
    unsafe { ptr::copy(from as *const u8, to as *mut u8, bytes as usize) };
}
