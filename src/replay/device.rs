//! The modelled device's memory: what is taken, mapped and accessible. It refuses what the driver
//! would refuse, so that a pool which loses track of its memory fails here too.

use std::collections::BTreeMap;

use crate::driver::{DevicePtr, DriverError, Memory};

/// The memory of an H200, in bytes, as the driver reports it.
pub(super) const TOTAL_BYTES: u64 = 143_771 << 20;

/// Pages of the device, in bytes.
pub(super) const PAGE: u64 = 2 << 20;

/// Blocks up to this size share pages; the driver aligns them to 512 bytes.
const SMALL: u64 = 1 << 20;
const SMALL_ALIGNMENT: u64 = 512;

/// Where the driver's own allocations begin, and where reservations do. A reservation is never given
/// out twice; that the two do not meet takes more traffic than any trace has.
const FIRST_ADDRESS: u64 = 1 << 32;
const FIRST_RESERVED: u64 = 1 << 44;
const LAST_ADDRESS: u64 = 1 << 47;

struct Physical {
    bytes: u64,
    /// Not released yet.
    held: bool,
    mapped: bool,
}

struct Mapping {
    bytes: u64,
    memory: Memory,
    accessible: bool,
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct DeviceMemory {
    /// Blocks of `cuMemAlloc` by address.
    blocks: BTreeMap<u64, u64>,
    /// Freed addresses, by the size of the block that stood there.
    vacant: BTreeMap<u64, Vec<u64>>,
    next_address: u64,
    reservations: BTreeMap<u64, u64>,
    next_reserved: u64,
    physical: BTreeMap<u64, Physical>,
    next_memory: u64,
    mappings: BTreeMap<u64, Mapping>,
    taken: u64,
    peak: u64,
}

impl DeviceMemory {
    /// What is taken now, counted as in [`peak_bytes`](Self::peak_bytes).
    pub(super) fn taken_bytes(&self) -> u64 {
        self.taken
    }

    /// The most that was taken at any time. A small block takes its size; the pages that small
    /// blocks share are taken to be full, which is in the driver's favour.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.peak
    }

    fn take(&mut self, bytes: u64) -> Result<(), DriverError> {
        let taken = self.taken.saturating_add(bytes);
        if taken > TOTAL_BYTES {
            return Err(DriverError::OUT_OF_MEMORY);
        }
        self.taken = taken;
        self.peak = self.peak.max(taken);
        Ok(())
    }

    /// `cuMemAlloc`
    pub(super) fn allocate(&mut self, bytes: u64) -> Result<DevicePtr, DriverError> {
        let alignment = if bytes <= SMALL { SMALL_ALIGNMENT } else { PAGE };
        let size = match bytes.checked_next_multiple_of(alignment) {
            None => return Err(DriverError::OUT_OF_MEMORY),
            Some(0) => return Err(DriverError::INVALID_VALUE),
            Some(size) => size,
        };
        self.take(size)?;
        let address = match self.vacant.get_mut(&size).and_then(Vec::pop) {
            Some(address) => address,
            None => {
                let address = self.next_address.max(FIRST_ADDRESS).next_multiple_of(alignment);
                self.next_address = address + size;
                address
            }
        };
        self.blocks.insert(address, size);
        Ok(DevicePtr(address))
    }

    /// `cuMemFree`; gives the size.
    pub(super) fn free(&mut self, ptr: DevicePtr) -> Result<u64, DriverError> {
        let size = self.blocks.remove(&ptr.0).ok_or(DriverError::INVALID_VALUE)?;
        self.vacant.entry(size).or_default().push(ptr.0);
        self.taken -= size;
        Ok(size)
    }

    /// `cuMemAddressReserve`
    pub(super) fn reserve_addresses(
        &mut self,
        bytes: u64,
        alignment: u64,
    ) -> Result<DevicePtr, DriverError> {
        let alignment = alignment.max(PAGE);
        if bytes == 0 || !bytes.is_multiple_of(PAGE) || !alignment.is_power_of_two() {
            return Err(DriverError::INVALID_VALUE);
        }
        let start = self.next_reserved.max(FIRST_RESERVED).checked_next_multiple_of(alignment);
        let end = start.and_then(|start| start.checked_add(bytes));
        match (start, end) {
            (Some(start), Some(end)) if end <= LAST_ADDRESS => {
                self.next_reserved = end;
                self.reservations.insert(start, bytes);
                Ok(DevicePtr(start))
            }
            _ => Err(DriverError::OUT_OF_MEMORY),
        }
    }

    /// `cuMemAddressFree`
    pub(super) fn free_addresses(&mut self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        if self.reservations.get(&ptr.0) != Some(&bytes) || self.overlaps(ptr.0, bytes) {
            return Err(DriverError::INVALID_VALUE);
        }
        self.reservations.remove(&ptr.0);
        Ok(())
    }

    /// `cuMemCreate`
    pub(super) fn create(&mut self, bytes: u64) -> Result<Memory, DriverError> {
        if bytes == 0 || !bytes.is_multiple_of(PAGE) {
            return Err(DriverError::INVALID_VALUE);
        }
        self.take(bytes)?;
        self.next_memory += 1;
        self.physical.insert(self.next_memory, Physical { bytes, held: true, mapped: false });
        Ok(Memory(self.next_memory))
    }

    /// `cuMemRelease`; gives the size. Mapped memory stays taken until it is unmapped.
    pub(super) fn release(&mut self, memory: Memory) -> Result<u64, DriverError> {
        let physical = self.physical.get_mut(&memory.0).filter(|physical| physical.held);
        let physical = physical.ok_or(DriverError::INVALID_VALUE)?;
        physical.held = false;
        let bytes = physical.bytes;
        self.drop_unused(memory);
        Ok(bytes)
    }

    fn drop_unused(&mut self, memory: Memory) {
        if let Some(physical) = self.physical.get(&memory.0)
            && !physical.held
            && !physical.mapped
        {
            self.taken -= physical.bytes;
            self.physical.remove(&memory.0);
        }
    }

    /// `cuMemMap`
    pub(super) fn map(
        &mut self,
        ptr: DevicePtr,
        bytes: u64,
        memory: Memory,
    ) -> Result<(), DriverError> {
        let end = ptr.0.checked_add(bytes).ok_or(DriverError::INVALID_VALUE)?;
        let reservation = self.reservations.range(..=ptr.0).next_back();
        let reserved = reservation.is_some_and(|(start, length)| end <= start + length);
        let vacant = reserved && ptr.0.is_multiple_of(PAGE) && !self.overlaps(ptr.0, bytes);
        let physical = self.physical.get_mut(&memory.0);
        // Memory can be mapped in several places; a pool that does has lost track of it.
        let physical = physical.filter(|p| vacant && p.bytes == bytes && p.held && !p.mapped);
        physical.ok_or(DriverError::INVALID_VALUE)?.mapped = true;
        self.mappings.insert(ptr.0, Mapping { bytes, memory, accessible: false });
        Ok(())
    }

    /// `cuMemSetAccess`; gives the size of each handle in the range.
    pub(super) fn allow_access(
        &mut self,
        ptr: DevicePtr,
        bytes: u64,
    ) -> Result<Vec<u64>, DriverError> {
        let end = self.mapped_end(ptr, bytes)?;
        let mappings = self.mappings.range_mut(ptr.0..end);
        Ok(mappings
            .map(|(_, mapping)| {
                mapping.accessible = true;
                mapping.bytes
            })
            .collect())
    }

    /// Whether the device can access the whole range.
    pub(super) fn usable(&self, ptr: DevicePtr, bytes: u64) -> bool {
        let end = ptr.0 + bytes;
        if let Some((start, size)) = self.blocks.range(..=ptr.0).next_back()
            && end <= start + size
        {
            return true;
        }
        let mut reached = ptr.0;
        while reached < end {
            match self.mappings.range(..=reached).next_back() {
                Some((start, mapping)) if mapping.accessible && start + mapping.bytes > reached => {
                    reached = start + mapping.bytes;
                }
                _ => return false,
            }
        }
        true
    }

    /// `cuMemUnmap`; gives the size of each handle in the range.
    pub(super) fn unmap(&mut self, ptr: DevicePtr, bytes: u64) -> Result<Vec<u64>, DriverError> {
        let end = self.mapped_end(ptr, bytes)?;
        let starts: Vec<u64> = self.mappings.range(ptr.0..end).map(|(&start, _)| start).collect();
        let mut sizes = Vec::with_capacity(starts.len());
        for start in starts {
            let Some(Mapping { bytes, memory, .. }) = self.mappings.remove(&start) else {
                continue;
            };
            sizes.push(bytes);
            if let Some(physical) = self.physical.get_mut(&memory.0) {
                physical.mapped = false;
            }
            self.drop_unused(memory);
        }
        Ok(sizes)
    }

    /// The end of a range that consists of whole mappings.
    fn mapped_end(&self, ptr: DevicePtr, bytes: u64) -> Result<u64, DriverError> {
        let end = ptr.0.checked_add(bytes).ok_or(DriverError::INVALID_VALUE)?;
        let mut reached = ptr.0;
        for (&start, mapping) in self.mappings.range(ptr.0..end) {
            if start != reached {
                break;
            }
            reached += mapping.bytes;
        }
        if reached == end && bytes > 0 { Ok(end) } else { Err(DriverError::INVALID_VALUE) }
    }

    fn overlaps(&self, start: u64, bytes: u64) -> bool {
        let below = self.mappings.range(..start.saturating_add(bytes)).next_back();
        below.is_some_and(|(&at, mapping)| at + mapping.bytes > start)
    }
}
