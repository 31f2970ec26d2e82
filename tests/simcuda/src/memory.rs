//! The address spaces: device memory, and the host memory that the driver knows of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::abi::Out;
use crate::backing::{self, Backing};
use crate::capture;
use crate::context::{self, ContextId};
use crate::device::Device;
use crate::engine;
use crate::error::{Api, Error};
use crate::hazard::{self, Range, Touch};
use crate::latency;
use crate::state::{self, Sim};
use crate::stream_memory;

/// Small blocks are handed out in multiples of this.
const SMALL: u64 = 512;
/// A page of device memory.
pub const PAGE: u64 = 2 << 20;

/// Bytes moved at once.
const PIECE: u64 = 1 << 20;

/// Where a block came from, which decides who may free it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `cuMemAlloc`, `cuMemAllocPitch`.
    Device,
    /// `cuMemAllocAsync`.
    Ordered,
    /// `cuMemAllocManaged`.
    Managed,
    /// `cuMemHostAlloc`, `cuMemAllocHost`.
    Pinned,
    /// `cuMemHostRegister`.
    Registered,
    /// `cuMemMap`.
    Mapped,
}

/// A block, or a mapping of physical memory.
pub struct Block {
    /// As asked for.
    pub bytes: u64,
    /// Of addresses, and of the device's memory.
    pub span: u64,
    /// Where it came from.
    pub kind: Kind,
    /// Whose it is.
    pub context: ContextId,
    /// The device whose memory it takes.
    pub device: usize,
    /// The host address of its first byte.
    pub host: u64,
    /// Keeps the host memory alive. None for registered memory, which is the program's.
    #[expect(dead_code, reason = "held for its destructor")]
    pub backing: Option<Arc<Backing>>,
    /// Kernels and copies may use it.
    pub accessible: bool,
    /// The devices that may use a mapping.
    pub open_to: Vec<usize>,
    /// Which one it is of all that there ever were; [`Memory::insert`] sets it.
    pub id: u64,
}

/// All blocks, by first device address.
#[derive(Default)]
pub struct Memory {
    blocks: BTreeMap<u64, Block>,
    inserted: u64,
}

impl Memory {
    /// Adds a block.
    pub fn insert(&mut self, address: u64, block: Block) {
        self.inserted += 1;
        self.blocks.insert(address, Block { id: self.inserted, ..block });
    }

    /// The block that begins at `address`.
    pub fn at(&self, address: u64) -> Option<&Block> {
        self.blocks.get(&address)
    }

    /// The block that begins at `address`, to be changed.
    pub fn at_mut(&mut self, address: u64) -> Option<&mut Block> {
        self.blocks.get_mut(&address)
    }

    /// The block that contains `address`, and its first address.
    pub fn around(&self, address: u64) -> Option<(u64, &Block)> {
        let (&start, block) = self.blocks.range(..=address).next_back()?;
        (address < start + block.bytes.max(1)).then_some((start, block))
    }

    /// The blocks that begin in a range.
    pub fn starting_in(&self, range: Range) -> impl Iterator<Item = (u64, &Block)> {
        self.blocks.range(range.start..range.end).map(|(&start, block)| (start, block))
    }

    /// Removes a block.
    pub fn remove(&mut self, address: u64) -> Option<Block> {
        self.blocks.remove(&address)
    }

    /// The addresses of all blocks of a context.
    pub fn of_context(&self, context: ContextId) -> Vec<(u64, Kind)> {
        let own = self.blocks.iter().filter(|(_, block)| block.context == context);
        own.map(|(&start, block)| (start, block.kind)).collect()
    }

    /// The whole range lies in accessible blocks.
    pub fn covers(&self, range: Range) -> bool {
        self.pieces(range).is_some()
    }

    /// The host addresses and lengths behind a range of device addresses.
    fn pieces(&self, range: Range) -> Option<Vec<(u64, u64)>> {
        let mut pieces = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let (start, block) = self.around(at).filter(|(_, block)| block.accessible)?;
            let end = range.end.min(start + block.bytes);
            pieces.push((block.host + (at - start), end - at));
            at = end;
        }
        Some(pieces)
    }
}

impl Device {
    /// Gives the memory of a block of this kind back.
    fn give_of(&mut self, kind: Kind, bytes: u64) {
        if kind == Kind::Ordered { self.give_ordered(bytes) } else { self.give(bytes) }
    }
}

impl Sim {
    /// The host addresses and lengths behind a range; unknown addresses are the program's own.
    fn host_pieces(&self, address: u64, bytes: u64) -> Vec<(u64, u64)> {
        let pieces = self.memory.pieces(Range::new(address, bytes));
        pieces.unwrap_or_else(|| vec![(address, bytes)])
    }

    /// `address` is one that a device hands out.
    pub fn is_device_address(&self, address: u64) -> bool {
        self.devices.iter().any(|device| device.owns(address))
    }

    /// Ends the process unless all of a range may be used by the device.
    pub fn check_touch(&self, what: &str, touch: &Touch, pageable: bool) {
        let Range { start, end } = touch.range;
        let ours = self.is_device_address(start) || self.memory.around(start).is_some();
        let good = if ours { self.memory.covers(touch.range) } else { pageable };
        if !good {
            hazard::report(&[
                "memory used that is not allocated",
                &format!("{what}, {:?} {start:#x}..{end:#x}", touch.access),
            ]);
        }
    }

    /// Reads memory, wherever it is.
    pub fn read(&self, address: u64, bytes: u64) -> Vec<u8> {
        let mut content = Vec::with_capacity(bytes as usize);
        for (host, length) in self.host_pieces(address, bytes) {
            // SAFETY: a live block of ours, or memory that the program has passed for reading.
            let piece = unsafe { std::slice::from_raw_parts(host as *const u8, length as usize) };
            content.extend_from_slice(piece);
        }
        content
    }

    /// Writes memory, wherever it is.
    pub fn write(&self, address: u64, content: &[u8]) {
        let mut from = content.as_ptr() as u64;
        for (host, length) in self.host_pieces(address, content.len() as u64) {
            // SAFETY: a live block of ours, or memory that the program has passed for writing;
            // the pieces add up to the length of `content`.
            unsafe { backing::copy(from, host, length) };
            from += length;
        }
    }

    /// Copies memory, in pieces: a simulated device may have more of it than the host.
    pub fn copy(&self, from: u64, to: u64, bytes: u64) {
        for done in (0..bytes).step_by(PIECE as usize) {
            let content = self.read(from + done, PIECE.min(bytes - done));
            self.write(to + done, &content);
        }
    }

    /// Writes an element over and over.
    pub fn fill(&self, address: u64, element: &[u8], count: u64) {
        let size = element.len() as u64;
        let piece = element.repeat(count.min(PIECE / size) as usize);
        for done in (0..count * size).step_by(piece.len().max(1)) {
            let length = (piece.len() as u64).min(count * size - done);
            self.write(address + done, &piece[..length as usize]);
        }
    }

    /// Takes device memory for a block of `context` and makes addresses for it.
    pub fn allocate(&mut self, context: ContextId, bytes: u64, kind: Kind) -> Api<u64> {
        let ordinal = self.contexts[&context].device;
        let device = &mut self.devices[ordinal];
        let unit = if bytes < PAGE { SMALL } else { PAGE };
        let span = bytes.checked_next_multiple_of(unit).ok_or(Error::OUT_OF_MEMORY)?;
        if kind == Kind::Ordered { device.take_ordered(span) } else { device.take(span) }?;
        latency::about(bytes, 1);
        let placed = device.place(span, unit);
        let backed = placed.and_then(|address| Ok((address, Arc::new(Backing::new(span)?))));
        let (address, backing) =
            backed.inspect_err(|_| self.devices[ordinal].give_of(kind, span))?;
        let host = backing.address();
        self.memory.insert(
            address,
            Block {
                bytes,
                span,
                kind,
                context,
                device: ordinal,
                host,
                backing: Some(backing),
                accessible: true,
                open_to: Vec::new(),
                id: 0,
            },
        );
        Ok(address)
    }

    /// Gives a block's memory and addresses back.
    pub fn release(&mut self, address: u64, call: &str) {
        let Some(block) = self.memory.at(address) else { return };
        let range = Range::new(address, block.bytes);
        self.shadow.release(range, call, &self.engine.host);
        let block = self.memory.remove(address).expect("the block was just found");
        latency::about(block.bytes, 1);
        match block.kind {
            Kind::Device | Kind::Ordered => {
                let device: &mut Device = &mut self.devices[block.device];
                device.give_of(block.kind, block.span);
                device.displace(address, block.span);
            }
            Kind::Managed | Kind::Pinned | Kind::Registered | Kind::Mapped => {}
        }
    }
}

/// `cuMemAlloc_v2`
pub fn alloc(pointer: Out<u64>, bytes: usize) -> Api {
    let mut sim = state::lock();
    let context = context::current(&sim)?;
    capture::refuse_unsafe_call(&mut sim)?;
    if bytes == 0 || pointer.is_null() {
        return Err(Error::INVALID_VALUE);
    }
    // Memory of a green context is that of the primary one.
    let owner = sim.contexts[&context].part_of.unwrap_or(context);
    pointer.set(sim.allocate(owner, bytes as u64, Kind::Device)?)
}

/// `cuMemAlloc` of CUDA 3.1: no context of today has 32-bit addresses, as measured. Writes four
/// bytes nonetheless.
pub fn alloc_32(pointer: Out<u32>, _bytes: u32) -> Api {
    pointer.set(0)?;
    Err(Error::INVALID_CONTEXT)
}

/// `cuMemAllocPitch_v2`
pub fn alloc_pitch(
    pointer: Out<u64>,
    pitch: Out<usize>,
    width: usize,
    height: usize,
    element: u32,
) -> Api {
    if width == 0 || height == 0 || !matches!(element, 4 | 8 | 16) || pitch.is_null() {
        return Err(Error::INVALID_VALUE);
    }
    let row = width.checked_next_multiple_of(SMALL as usize).ok_or(Error::OUT_OF_MEMORY)?;
    alloc(pointer, row.checked_mul(height).ok_or(Error::OUT_OF_MEMORY)?)?;
    pitch.set(row)
}

/// `cuMemFree_v2`: waits for all work of the block's context, as the driver does, unless the
/// memory is stream-ordered.
pub fn free(pointer: u64) -> Api {
    if pointer == 0 {
        return Ok(());
    }
    let mut sim = state::lock();
    context::current(&sim)?;
    capture::refuse_unsafe_call(&mut sim)?;
    let block = sim.memory.at(pointer).ok_or(Error::INVALID_VALUE)?;
    if !matches!(block.kind, Kind::Device | Kind::Managed | Kind::Ordered) {
        return Err(Error::INVALID_VALUE);
    }
    let context = block.context;
    if block.kind == Kind::Ordered {
        stream_memory::free_behind_all(&mut sim, pointer, context);
        return Ok(());
    }
    let all = engine::all_of_context(&sim, context);
    engine::wait(&mut sim, &all);
    context::check_fault(&sim, context)?;
    // Another thread may have freed it meanwhile: one of the two calls was wrong.
    if sim.memory.at(pointer).is_none() {
        return Err(Error::INVALID_VALUE);
    }
    sim.release(pointer, "cuMemFree");
    Ok(())
}

/// `cuMemFree` of CUDA 3.1.
pub fn free_32(_pointer: u32) -> Api {
    Err(Error::INVALID_CONTEXT)
}

/// `cuMemGetInfo_v2`
pub fn get_info(free: Out<usize>, total: Out<usize>) -> Api {
    let sim = state::lock();
    let context = context::current(&sim)?;
    let device = &sim.devices[sim.contexts[&context].device];
    free.set(device.free() as usize)?;
    total.set(device.capacity as usize)
}

/// `cuMemGetInfo` of CUDA 3.1.
pub fn get_info_32(free: Out<u32>, total: Out<u32>) -> Api {
    free.set(0)?;
    total.set(0)?;
    Err(Error::INVALID_CONTEXT)
}

/// `cuMemGetAddressRange_v2`
pub fn get_address_range(base: Out<u64>, size: Out<usize>, pointer: u64) -> Api {
    let sim = state::lock();
    context::current(&sim)?;
    let (start, block) = sim.memory.around(pointer).ok_or(Error::NOT_FOUND)?;
    base.set_if_wanted(start);
    size.set_if_wanted(block.bytes as usize);
    Ok(())
}
