//! `cuMemAllocAsync` and `cuMemFreeAsync`.

use crate::abi::Out;
use crate::capture;
use crate::context::ContextId;
use crate::engine;
use crate::error::{Api, Error};
use crate::hazard::{Access, Range, Touch};
use crate::memory::Kind;
use crate::state::{self, Sim};
use crate::stream;
use crate::timeline::{Request, Work};

impl Sim {
    /// Releases a block that a stream has reached the end of.
    pub fn release_ordered(&mut self, address: u64) {
        // The release is itself the last use, ordered behind all others when it was submitted.
        let Some(block) = self.memory.at(address) else { return };
        self.shadow.forget(Range::new(address, block.bytes));
        self.release(address, "cuMemFreeAsync");
    }
}

/// `cuMemAllocAsync`: usable by whatever is ordered behind it.
pub fn alloc(pointer: Out<u64>, bytes: usize, handle: usize) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    if sim.streams[&stream].capture.is_some() {
        // Memory nodes of graphs are not simulated.
        return capture::refuse_capturing(&mut sim, stream);
    }
    capture::refuse_unsafe_call(&mut sim)?;
    if bytes == 0 || pointer.is_null() {
        return Err(Error::INVALID_VALUE);
    }
    let context = sim.streams[&stream].context;
    let address = sim.allocate(context, bytes as u64, Kind::Ordered)?;
    let touch = Touch { range: Range::new(address, bytes as u64), access: Access::Write };
    let what = format!("cuMemAllocAsync({address:#x}, {bytes})");
    stream::submit(&mut sim, stream, Request::new(what, vec![touch], Work::Nothing))?;
    pointer.set(address)
}

/// `cuMemFreeAsync`: must be ordered behind every use.
pub fn free(pointer: u64, handle: usize) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    if sim.streams[&stream].capture.is_some() {
        return capture::refuse_capturing(&mut sim, stream);
    }
    capture::refuse_unsafe_call(&mut sim)?;
    let block = sim.memory.at(pointer).ok_or(Error::INVALID_VALUE)?;
    if !matches!(block.kind, Kind::Ordered | Kind::Device) {
        return Err(Error::INVALID_VALUE);
    }
    let request = release_request("cuMemFreeAsync", pointer, block.bytes);
    stream::submit(&mut sim, stream, request).map(drop)
}

fn release_request(name: &str, pointer: u64, bytes: u64) -> Request {
    let touch = Touch { range: Range::new(pointer, bytes), access: Access::Write };
    Request::new(format!("{name}({pointer:#x})"), vec![touch], Work::Release(pointer))
}

/// `cuMemFree` of stream-ordered memory: the host does not wait, as measured, but the release does,
/// for all work of the context.
pub fn free_behind_all(sim: &mut Sim, pointer: u64, context: ContextId) {
    let Some(block) = sim.memory.at(pointer) else { return };
    let request = release_request("cuMemFree", pointer, block.bytes);
    let all = engine::all_of_context(sim, context);
    let timeline = sim.engine.new_timeline(context);
    engine::submit(sim, timeline, 0, all, request);
    sim.engine.abandon(timeline);
}
