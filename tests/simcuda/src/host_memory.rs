//! Host memory that the driver knows of: pinned, registered, managed.

use std::sync::Arc;

use crate::abi::Out;
use crate::backing::Backing;
use crate::capture;
use crate::context::{self, ContextId};
use crate::engine;
use crate::error::{Api, Error};
use crate::hazard::Range;
use crate::memory::{Block, Kind};
use crate::state::{self, Sim};

fn add(sim: &mut Sim, context: ContextId, bytes: usize, kind: Kind) -> Api<u64> {
    let bytes = bytes as u64;
    let backing = Arc::new(Backing::new(bytes)?);
    let address = backing.address();
    let backing = Some(backing);
    insert(sim, context, address, bytes, kind, backing);
    Ok(address)
}

fn insert(
    sim: &mut Sim,
    context: ContextId,
    address: u64,
    bytes: u64,
    kind: Kind,
    backing: Option<Arc<Backing>>,
) {
    let device = sim.contexts[&context].device;
    sim.memory.insert(
        address,
        Block {
            bytes,
            span: 0,
            kind,
            context,
            device,
            host: address,
            backing,
            accessible: true,
            open_to: Vec::new(),
            id: 0,
        },
    );
}

fn allocate(pointer: Out<u64>, bytes: usize, kind: Kind) -> Api {
    let mut sim = state::lock();
    let context = context::current(&sim)?;
    capture::refuse_unsafe_call(&mut sim)?;
    if bytes == 0 || pointer.is_null() {
        return Err(Error::INVALID_VALUE);
    }
    pointer.set(add(&mut sim, context, bytes, kind)?)
}

fn release(pointer: u64, kind: Kind, call: &str, unknown: Error) -> Api {
    let mut sim = state::lock();
    context::current(&sim)?;
    capture::refuse_unsafe_call(&mut sim)?;
    let block = sim.memory.at(pointer).filter(|block| block.kind == kind).ok_or(unknown)?;
    let context = block.context;
    let all = engine::all_of_context(&sim, context);
    engine::wait(&mut sim, &all);
    sim.release(pointer, call);
    context::check_fault(&sim, context)
}

/// `cuMemHostAlloc`
pub fn host_alloc(pointer: Out<u64>, bytes: usize, _flags: u32) -> Api {
    allocate(pointer, bytes, Kind::Pinned)
}

/// `cuMemAllocHost_v2`
pub fn alloc_host(pointer: Out<u64>, bytes: usize) -> Api {
    allocate(pointer, bytes, Kind::Pinned)
}

/// `cuMemFreeHost`: waits for the context, as the driver does.
pub fn free_host(pointer: u64) -> Api {
    release(pointer, Kind::Pinned, "cuMemFreeHost", Error::INVALID_VALUE)
}

/// `cuMemAllocManaged`: lives in host memory, and both sides use it there.
pub fn alloc_managed(pointer: Out<u64>, bytes: usize, flags: u32) -> Api {
    if !matches!(flags, 1 | 2) {
        return Err(Error::INVALID_VALUE);
    }
    allocate(pointer, bytes, Kind::Managed)
}

/// `cuMemHostRegister_v2`
pub fn register(pointer: u64, bytes: usize, _flags: u32) -> Api {
    let mut sim = state::lock();
    let context = context::current(&sim)?;
    capture::refuse_unsafe_call(&mut sim)?;
    if pointer == 0 || bytes == 0 {
        return Err(Error::INVALID_VALUE);
    }
    let range = Range::new(pointer, bytes as u64);
    let taken =
        sim.memory.around(pointer).is_some() || sim.memory.starting_in(range).next().is_some();
    if taken {
        return Err(Error::HOST_MEMORY_ALREADY_REGISTERED);
    }
    insert(&mut sim, context, pointer, bytes as u64, Kind::Registered, None);
    Ok(())
}

/// `cuMemHostUnregister`
pub fn unregister(pointer: u64) -> Api {
    let unknown = Error::HOST_MEMORY_NOT_REGISTERED;
    release(pointer, Kind::Registered, "cuMemHostUnregister", unknown)
}

/// `cuMemHostGetDevicePointer_v2`: one address for both sides.
pub fn get_device_pointer(device: Out<u64>, host: u64, flags: u32) -> Api {
    let sim = state::lock();
    context::current(&sim)?;
    let known = |kind| matches!(kind, Kind::Pinned | Kind::Registered);
    match sim.memory.around(host) {
        Some((_, block)) if flags == 0 && known(block.kind) => device.set(host),
        _ => Err(Error::INVALID_VALUE),
    }
}

/// `cuMemHostGetFlags`
pub fn get_flags(flags: Out<u32>, host: u64) -> Api {
    let sim = state::lock();
    context::current(&sim)?;
    match sim.memory.around(host) {
        Some((_, block)) if block.kind == Kind::Pinned => flags.set(2),
        _ => Err(Error::INVALID_VALUE),
    }
}
