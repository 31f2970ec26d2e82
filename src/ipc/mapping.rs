//! Another process's memory, mapped here.

use std::os::fd::OwnedFd;

use super::client::{FetchError, fetch};
use super::handle::Handle;
use crate::driver::{Device, DevicePtr, Driver, DriverError, Memory};

/// A block of another process, and what is mapped for it. Lasts as long as the mapping, whatever the
/// exporter does.
#[derive(Debug)]
pub struct Mapping {
    /// Where the block begins here.
    pub start: DevicePtr,
    /// Its size in bytes.
    pub bytes: u64,
    /// The addresses reserved for the memory that it lies in.
    base: DevicePtr,
    /// The sizes in bytes of what is mapped there, one behind the other.
    pieces: Vec<u64>,
}

/// Memory that is released when this goes: what is mapped of it stays.
struct Imported<'a, D: Driver> {
    driver: &'a D,
    pieces: Vec<(Memory, u64)>,
}

impl<D: Driver> Drop for Imported<'_, D> {
    fn drop(&mut self) {
        for &(memory, _) in &self.pieces {
            // Nothing can be done about what the driver refuses.
            let _ = self.driver.release_memory(memory);
        }
    }
}

impl Mapping {
    /// Maps the block that `handle` names for `device`, at addresses aligned to `alignment` bytes.
    /// `import` makes memory of a descriptor.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch<D: Driver>(
        driver: &D,
        device: Device,
        alignment: u64,
        handle: &Handle,
        import: impl Fn(&OwnedFd) -> Result<Memory, DriverError>,
    ) -> Result<Self, FetchError> {
        let mut imported = Imported { driver, pieces: Vec::new() };
        let extent = fetch(handle, |descriptor, bytes| {
            imported.pieces.push((import(&descriptor)?, bytes));
            Ok(())
        })?;
        let pieces: Vec<u64> = imported.pieces.iter().map(|&(_, bytes)| bytes).collect();
        let total = pieces.iter().try_fold(0_u64, |sum, &bytes| sum.checked_add(bytes));
        let inside =
            |total: &u64| extent.offset.checked_add(extent.bytes).is_some_and(|end| end <= *total);
        let total = total.filter(inside).ok_or(FetchError::Refused(DriverError::MAP_FAILED))?;
        let base = driver.reserve_addresses(total, alignment).map_err(FetchError::Refused)?;
        let start = DevicePtr(base.0 + extent.offset);
        let mut mapping = Self { start, bytes: extent.bytes, base, pieces: Vec::new() };
        let mut at = base;
        let mut result = Ok(());
        for &(memory, bytes) in &imported.pieces {
            result = driver.map_memory(at, bytes, memory);
            if result.is_err() {
                break;
            }
            mapping.pieces.push(bytes);
            at.0 += bytes;
        }
        if result.is_ok() {
            result = driver.allow_access(device, base, total);
        }
        match result {
            Ok(()) => Ok(mapping),
            Err(error) => {
                mapping.unmap_from(driver, total);
                Err(FetchError::Refused(error))
            }
        }
    }

    /// Whether `ptr` is one of the addresses reserved.
    pub fn holds(&self, ptr: DevicePtr) -> bool {
        ptr.0.wrapping_sub(self.base.0) < self.reserved()
    }

    fn reserved(&self) -> u64 {
        self.pieces.iter().sum()
    }

    /// Unmaps it. No work may use it any more.
    pub fn unmap<D: Driver>(self, driver: &D) {
        let reserved = self.reserved();
        self.unmap_from(driver, reserved);
    }

    fn unmap_from<D: Driver>(self, driver: &D, reserved: u64) {
        let mut at = self.base;
        for &bytes in &self.pieces {
            // Nothing can be done about what the driver refuses: its addresses stay taken.
            let _ = driver.unmap_memory(at, bytes);
            at.0 += bytes;
        }
        let _ = driver.free_addresses(self.base, reserved);
    }
}
