//! Virtual memory management: physical memory, reserved addresses, and the one mapped at the
//! other. None of these calls waits, and a capture does not mind them.

use std::os::fd::IntoRawFd;
use std::sync::Arc;

use crate::abi::{AccessDescription, AllocationProperties, In, Location, Out};
use crate::backing::{self, Backing};
use crate::context;
use crate::error::{Api, Error};
use crate::hazard::Range;
use crate::latency;
use crate::memory::{Block, Kind, PAGE};
use crate::settings::SETTINGS;
use crate::state::{self, Sim};

/// `CU_MEM_LOCATION_TYPE_DEVICE`
const ON_DEVICE: u32 = 1;
/// `CU_MEM_ALLOCATION_TYPE_PINNED`
const PINNED: u32 = 1;

/// Physical memory.
pub struct Physical {
    bytes: u64,
    device: usize,
    backing: Arc<Backing>,
    /// Handles given out and not released.
    handles: u32,
    /// Places where it is mapped.
    mappings: u32,
    /// It is another process's, which pays for it.
    imported: bool,
    /// `CUmemAllocationProp::requestedHandleTypes`
    pub handle_types: u32,
    /// `CUmemAllocationProp::gpuDirectRDMACapable`
    pub rdma: bool,
}

fn supported() -> Api {
    if SETTINGS.no_vmm { Err(Error::NOT_SUPPORTED) } else { Ok(()) }
}

fn ordinal(location: Location) -> Api<usize> {
    let ordinal = usize::try_from(location.id).map_err(|_| Error::INVALID_DEVICE)?;
    if location.kind != ON_DEVICE || ordinal >= SETTINGS.devices {
        return Err(Error::INVALID_VALUE);
    }
    Ok(ordinal)
}

/// Memory that neither a handle nor a mapping refers to goes back to the device.
fn collect(sim: &mut Sim, handle: u64) {
    let unused = |physical: &&Physical| physical.handles == 0 && physical.mappings == 0;
    if let Some(Physical { bytes, device, imported, .. }) = sim.physical.get(&handle).filter(unused)
    {
        latency::about(*bytes, 1);
        if !imported {
            sim.devices[*device].give(*bytes);
        }
        sim.physical.remove(&handle);
    }
}

/// The memory behind a handle that somebody holds.
fn held(sim: &mut Sim, handle: u64) -> Result<&mut Physical, Error> {
    let found = sim.physical.get_mut(&handle).filter(|physical| physical.handles > 0);
    found.ok_or(Error::INVALID_VALUE)
}

/// The mappings that make up a range exactly.
fn mappings(sim: &Sim, range: Range) -> Api<Vec<u64>> {
    let mut at = range.start;
    let mut found = Vec::new();
    for (start, block) in sim.memory.starting_in(range) {
        if start != at || block.kind != Kind::Mapped {
            return Err(Error::INVALID_VALUE);
        }
        at += block.bytes;
        found.push(start);
    }
    if at == range.end { Ok(found) } else { Err(Error::INVALID_VALUE) }
}

/// `cuMemGetAllocationGranularity`
pub fn granularity(bytes: Out<usize>, properties: In<AllocationProperties>, _option: u32) -> Api {
    supported()?;
    ordinal(properties.get()?.location)?;
    bytes.set(PAGE as usize)
}

/// `cuMemCreate`
pub fn create(
    handle: Out<u64>,
    bytes: usize,
    properties: In<AllocationProperties>,
    flags: u64,
) -> Api {
    supported()?;
    let properties = properties.get()?;
    let device = ordinal(properties.location)?;
    let bytes = bytes as u64;
    if bytes == 0 || !bytes.is_multiple_of(PAGE) || properties.kind != PINNED || flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    if properties.handle_types != 0 && SETTINGS.wsl {
        return Err(Error::NOT_SUPPORTED);
    }
    latency::about(bytes, 1);
    let mut sim = state::lock();
    sim.devices[device].take(bytes)?;
    let backing = Backing::new(bytes).inspect_err(|_| sim.devices[device].give(bytes))?;
    let number = sim.new_handle() as u64;
    let physical = Physical {
        bytes,
        device,
        backing: Arc::new(backing),
        handles: 1,
        mappings: 0,
        imported: false,
        handle_types: properties.handle_types,
        rdma: properties.flags[1] != 0,
    };
    sim.physical.insert(number, physical);
    handle.set(number)
}

/// `cuMemRelease`: memory that is mapped stays until it is unmapped.
pub fn release(handle: u64) -> Api {
    supported()?;
    let mut sim = state::lock();
    held(&mut sim, handle)?.handles -= 1;
    collect(&mut sim, handle);
    Ok(())
}

/// `cuMemAddressReserve`
pub fn reserve(pointer: Out<u64>, bytes: usize, alignment: usize, wish: u64, flags: u64) -> Api {
    supported()?;
    let (bytes, alignment) = (bytes as u64, (alignment as u64).max(PAGE));
    if bytes == 0 || !bytes.is_multiple_of(PAGE) || !alignment.is_power_of_two() || flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    let mut sim = state::lock();
    let device = &mut sim.devices[0];
    let fits = wish != 0 && wish.is_multiple_of(alignment) && device.place_at(wish, bytes);
    let address = if fits { wish } else { device.place(bytes, alignment)? };
    sim.reservations.insert(address, bytes);
    pointer.set(address)
}

/// `cuMemAddressFree`
pub fn free_addresses(pointer: u64, bytes: usize) -> Api {
    supported()?;
    let mut sim = state::lock();
    let bytes = bytes as u64;
    let mapped = sim.memory.starting_in(Range::new(pointer, bytes)).next().is_some();
    if sim.reservations.get(&pointer) != Some(&bytes) || mapped {
        return Err(Error::INVALID_VALUE);
    }
    sim.reservations.remove(&pointer);
    sim.devices[0].displace(pointer, bytes);
    Ok(())
}

/// `cuMemMap`: all of a handle, at free addresses of one reservation.
pub fn map(pointer: u64, bytes: usize, offset: usize, handle: u64, flags: u64) -> Api {
    supported()?;
    let mut sim = state::lock();
    let range = Range::new(pointer, bytes as u64);
    let whole = held(&mut sim, handle)?.bytes == bytes as u64 && offset == 0;
    let around = reservation_around(&sim, pointer);
    let reserved = around.is_some_and(|(start, length)| range.end <= start + length);
    if !whole || flags != 0 || !pointer.is_multiple_of(PAGE) || !reserved {
        return Err(Error::INVALID_VALUE);
    }
    let taken =
        sim.memory.around(pointer).is_some() || sim.memory.starting_in(range).next().is_some();
    if taken {
        return Err(Error::ALREADY_MAPPED);
    }
    let physical = held(&mut sim, handle)?;
    physical.mappings += 1;
    let (backing, device) = (Arc::clone(&physical.backing), physical.device);
    sim.memory.insert(
        pointer,
        Block {
            bytes: bytes as u64,
            // The handle, for the reference that the mapping holds.
            span: handle,
            kind: Kind::Mapped,
            context: 0,
            device,
            host: backing.address(),
            backing: Some(backing),
            accessible: false,
            open_to: Vec::new(),
            id: 0,
        },
    );
    Ok(())
}

/// `cuMemUnmap`: whole mappings. Does not wait, so work that uses them is a hazard.
pub fn unmap(pointer: u64, bytes: usize) -> Api {
    supported()?;
    let mut sim = state::lock();
    let found = mappings(&sim, Range::new(pointer, bytes as u64))?;
    let handles = found.len() as u64;
    for start in found {
        let handle = sim.memory.at(start).expect("it was just listed").span;
        sim.release(start, "cuMemUnmap");
        sim.physical.get_mut(&handle).expect("a mapping keeps its memory").mappings -= 1;
        collect(&mut sim, handle);
    }
    latency::about(bytes as u64, handles);
    Ok(())
}

/// `cuMemSetAccess`
pub fn set_access(
    pointer: u64,
    bytes: usize,
    descriptions: In<AccessDescription>,
    count: usize,
) -> Api {
    supported()?;
    let mut sim = state::lock();
    let found = mappings(&sim, Range::new(pointer, bytes as u64))?;
    latency::about(bytes as u64, found.len() as u64);
    for start in found {
        for index in 0..count {
            let description = descriptions.get_at(index)?;
            let device = ordinal(description.location)?;
            let mapping = sim.memory.at_mut(start).expect("it was just listed");
            mapping.open_to.retain(|&other| other != device);
            if description.flags == 3 {
                mapping.open_to.push(device);
            }
            mapping.accessible = !mapping.open_to.is_empty();
        }
    }
    Ok(())
}

/// `cuMemGetAccess`
pub fn get_access(flags: Out<u64>, location: In<Location>, pointer: u64) -> Api {
    supported()?;
    ordinal(location.get()?)?;
    let sim = state::lock();
    let (_, block) = sim.memory.around(pointer).ok_or(Error::INVALID_VALUE)?;
    flags.set(if block.accessible { 3 } else { 0 })
}

/// `cuMemRetainAllocationHandle`
pub fn retain_handle(handle: Out<u64>, pointer: u64) -> Api {
    supported()?;
    let mut sim = state::lock();
    let (_, block) = sim.memory.around(pointer).ok_or(Error::INVALID_VALUE)?;
    if block.kind != Kind::Mapped {
        return Err(Error::INVALID_VALUE);
    }
    let number = block.span;
    sim.physical.get_mut(&number).expect("a mapping keeps its memory").handles += 1;
    handle.set(number)
}

/// `cuMemGetAllocationPropertiesFromHandle`
pub fn properties_of(properties: Out<AllocationProperties>, handle: u64) -> Api {
    supported()?;
    let mut sim = state::lock();
    let physical = held(&mut sim, handle)?;
    let mut flags = [0; 8];
    flags[1] = u8::from(physical.rdma);
    properties.set(AllocationProperties {
        kind: PINNED,
        handle_types: physical.handle_types,
        location: Location { kind: ON_DEVICE, id: physical.device as i32 },
        win32: 0,
        flags,
    })
}

/// `CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR`
const POSIX_DESCRIPTOR: u32 = 1;

/// `cuMemExportToShareableHandle`: a descriptor of the memory.
pub fn export(descriptor: Out<i32>, handle: u64, kind: u32, flags: u64) -> Api {
    supported()?;
    let mut sim = state::lock();
    let physical = held(&mut sim, handle)?;
    if kind != POSIX_DESCRIPTOR || physical.handle_types & kind == 0 || flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    descriptor.set(physical.backing.share()?.into_raw_fd())
}

/// `cuMemImportFromShareableHandle`: the memory that another process exported. The descriptor stays
/// the caller's.
pub fn import(handle: Out<u64>, descriptor: usize, kind: u32) -> Api {
    supported()?;
    if kind != POSIX_DESCRIPTOR {
        return Err(Error::INVALID_VALUE);
    }
    let number = i32::try_from(descriptor).map_err(|_| Error::INVALID_VALUE)?;
    let backing = Backing::of_file(backing::descriptor(number)?)?;
    let mut sim = state::lock();
    let number = sim.new_handle() as u64;
    let physical = Physical {
        bytes: backing.bytes(),
        device: 0,
        backing: Arc::new(backing),
        handles: 1,
        mappings: 0,
        imported: true,
        handle_types: POSIX_DESCRIPTOR,
        rdma: true,
    };
    sim.physical.insert(number, physical);
    handle.set(number)
}

/// `cuMemGetHandleForAddressRange`: a dma-buf that carries nothing.
pub fn export_range(
    descriptor: Out<i32>,
    pointer: u64,
    bytes: usize,
    kind: u32,
    _flags: u64,
) -> Api {
    /// `CU_MEM_RANGE_HANDLE_TYPE_DMA_BUF_FD`
    const DMA_BUF: u32 = 1;
    let sim = state::lock();
    context::current(&sim)?;
    let all = bytes > 0 && sim.memory.covers(Range::new(pointer, bytes as u64));
    if kind != DMA_BUF || !all {
        return Err(Error::INVALID_VALUE);
    }
    empty_descriptor(descriptor)
}

fn empty_descriptor(descriptor: Out<i32>) -> Api {
    // SAFETY: the name is a terminated string; a new descriptor is made.
    let made = unsafe { libc::memfd_create(c"simcuda".as_ptr(), libc::MFD_CLOEXEC) };
    if made < 0 { Err(Error::UNKNOWN) } else { descriptor.set(made) }
}

/// The reservation that holds an address: its start and its bytes.
pub fn reservation_around(sim: &Sim, pointer: u64) -> Option<(u64, u64)> {
    let (&start, &bytes) = sim.reservations.range(..=pointer).next_back()?;
    (pointer - start < bytes).then_some((start, bytes))
}

/// What is left at the end of the process, one line for each kind: mappings, physical memory that
/// has a handle or a mapping, reservations.
pub fn left(sim: &Sim) -> String {
    let mapped = |(_, block): &(u64, &Block)| block.kind == Kind::Mapped;
    let mappings = sim.memory.starting_in(Range { start: 0, end: u64::MAX }).filter(mapped).count();
    format!(
        "mappings {mappings}\nmemory {}\nreservations {}\n",
        sim.physical.len(),
        sim.reservations.len(),
    )
}
