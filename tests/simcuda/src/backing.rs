//! Host memory behind simulated device memory.

use std::ptr;

use crate::error::Error;
use crate::hazard::Range;

/// Anonymous memory, zero at first, that costs nothing until it is touched.
pub struct Backing {
    address: u64,
    bytes: usize,
}

impl Backing {
    /// Maps `bytes` bytes, readable and writable.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        let bytes = usize::try_from(bytes).map_err(|_| Error::OUT_OF_MEMORY)?;
        Ok(Self { address: map(0, bytes, libc::PROT_READ | libc::PROT_WRITE)?, bytes })
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

/// Copies between places that may overlap.
///
/// # Safety
/// `from` must be readable and `to` writable for `bytes` bytes.
pub unsafe fn copy(from: u64, to: u64, bytes: u64) {
    // SAFETY: the caller's promise; `ptr::copy` allows overlap.
    unsafe { ptr::copy(from as *const u8, to as *mut u8, bytes as usize) };
}
