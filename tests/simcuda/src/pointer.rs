//! What the driver says about a pointer.

use crate::abi::{In, Out};
use crate::context;
use crate::error::{Api, Error};
use crate::memory::Kind;
use crate::state::{self, Sim};
use crate::vmm;

fn attribute(sim: &Sim, data: Out<u8>, attribute: u32, pointer: u64) -> Api {
    let (start, block) = sim.memory.around(pointer).ok_or(Error::INVALID_VALUE)?;
    let on_host = matches!(block.kind, Kind::Pinned | Kind::Registered);
    // What is mapped has no context, and its range is that of the addresses it is mapped in.
    let physical = sim.physical.get(&block.span).filter(|_| block.kind == Kind::Mapped);
    let (range_start, range_bytes) = match block.kind {
        Kind::Mapped => vmm::reservation_around(sim, pointer).ok_or(Error::INVALID_VALUE)?,
        _ => (start, block.bytes),
    };
    match attribute {
        1 => data.cast().set(block.context), // CONTEXT
        2 => data.cast().set(if on_host { 1_u32 } else { 2_u32 }), // MEMORY_TYPE
        3 => data.cast().set(pointer),       // DEVICE_POINTER
        4 if on_host || block.kind == Kind::Managed => data.cast().set(pointer), // HOST_POINTER
        6 if block.kind == Kind::Mapped => Err(Error::NOT_SUPPORTED), // SYNC_MEMOPS
        6 => data.cast().set(0_u8),
        7 => data.cast().set(block.id), // BUFFER_ID
        8 => data.cast().set(u8::from(block.kind == Kind::Managed)), // IS_MANAGED
        9 => data.cast().set(block.device as i32), // DEVICE_ORDINAL
        10 => data.cast().set(u8::from(block.kind == Kind::Device)), // IS_LEGACY_CUDA_IPC_CAPABLE
        11 => data.cast().set(range_start), // RANGE_START_ADDR
        12 => data.cast().set(range_bytes as usize), // RANGE_SIZE
        13 => data.cast().set(u8::from(block.accessible)), // MAPPED
        14 => data.cast().set(u64::from(physical.map_or(0, |memory| memory.handle_types))), // ALLOWED_HANDLE_TYPES
        15 => data.cast().set(u8::from(physical.is_none_or(|memory| memory.rdma))), // IS_GPU_DIRECT_RDMA_CAPABLE
        16 => data.cast().set(if block.accessible { 3_u32 } else { 0 }),            // ACCESS_FLAGS
        17 => data.cast().set(0_u64), // MEMPOOL_HANDLE
        _ => Err(Error::INVALID_VALUE),
    }
}

/// `cuPointerGetAttribute`
pub fn get_attribute(data: Out<u8>, which: u32, pointer: u64) -> Api {
    let sim = state::lock();
    attribute(&sim, data, which, pointer)
}

/// `cuPointerGetAttributes`: unknown pointers are no error. They are taken for host memory that the
/// device has at no address; all other attributes are 0.
pub fn get_attributes(count: u32, attributes: In<u32>, data: In<Out<u8>>, pointer: u64) -> Api {
    let sim = state::lock();
    context::current(&sim)?;
    let unknown = sim.memory.around(pointer).is_none();
    for index in 0..count as usize {
        let (which, place) = (attributes.get_at(index)?, data.get_at(index)?);
        if attribute(&sim, place, which, pointer).is_err() {
            match which {
                4 if unknown => place.cast().set(pointer)?,
                1 | 3 | 4 | 7 | 11 | 12 | 14 | 17 => place.cast().set(0_u64)?,
                2 | 16 => place.cast().set(0_u32)?,
                9 => place.cast().set(-2_i32)?,
                _ => place.cast().set(0_u8)?,
            }
        }
    }
    Ok(())
}

/// `cuPointerSetAttribute`: `SYNC_MEMOPS` on memory that supports it.
pub fn set_attribute(_value: In<u8>, which: u32, pointer: u64) -> Api {
    let sim = state::lock();
    context::current(&sim)?;
    let (_, block) = sim.memory.around(pointer).ok_or(Error::INVALID_VALUE)?;
    match (which, block.kind) {
        (6, Kind::Mapped) => Err(Error::NOT_SUPPORTED),
        (6, _) => Ok(()),
        _ => Err(Error::INVALID_VALUE),
    }
}
