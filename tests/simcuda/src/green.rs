//! Green contexts: parts of a primary context, with streams of their own.
//!
//! Memory is the primary context's, whichever is current. What is recorded of the primary context or
//! made to wait there goes for its green ones as well; not the other way round.

use crate::abi::{In, Out};
use crate::context;
use crate::device;
use crate::engine;
use crate::error::{Api, Error};
use crate::primary;
use crate::state;
use crate::stream;

/// `cuDeviceGetDevResource`: the multiprocessors, of which nothing is kept.
pub fn device_resource(device: i32, resource: Out<u32>, kind: u32) -> Api {
    device::check(device)?;
    resource.set(kind)
}

/// `cuDevResourceGenerateDesc`
pub fn describe(description: Out<usize>, _resources: In<u32>, count: u32) -> Api {
    if count == 0 {
        return Err(Error::INVALID_VALUE);
    }
    description.set(state::lock().new_handle())
}

/// `cuGreenCtxCreate`: keeps the primary context for as long as it lives. Its handle is also that of
/// the context that it is converted to.
pub fn create(green: Out<usize>, _description: usize, device: i32, _flags: u32) -> Api {
    let ordinal = device::check(device)?;
    if green.is_null() {
        return Err(Error::INVALID_VALUE);
    }
    let primary = primary::keep(device)?;
    let mut sim = state::lock();
    let id = context::free_handle(&sim);
    context::make(&mut sim, id, ordinal, false);
    sim.contexts.get_mut(&id).expect("just made").part_of = Some(primary);
    green.set(id)
}

/// `cuGreenCtxDestroy`
pub fn destroy(id: usize) -> Api {
    let device = {
        let mut sim = state::lock();
        let found = sim.contexts.get(&id).filter(|found| found.part_of.is_some());
        let device = found.ok_or(Error::INVALID_CONTEXT)?.device;
        let all = engine::all_of_context(&sim, id);
        engine::wait(&mut sim, &all);
        context::dissolve(&mut sim, id);
        device
    };
    primary::release(device as i32)
}

/// `cuCtxFromGreenCtx`
pub fn convert(context: Out<usize>, id: usize) -> Api {
    let sim = state::lock();
    let found = sim.contexts.get(&id).filter(|found| found.part_of.is_some());
    found.ok_or(Error::INVALID_CONTEXT)?;
    context.set(id)
}

/// `cuGreenCtxStreamCreate`: only non-blocking streams.
pub fn create_stream(stream: Out<usize>, id: usize, flags: u32, _priority: i32) -> Api {
    const NON_BLOCKING: u32 = 1;
    let mut sim = state::lock();
    if flags != NON_BLOCKING || !sim.contexts.contains_key(&id) {
        return Err(Error::INVALID_VALUE);
    }
    let handle = stream::make_non_blocking(&mut sim, id);
    stream.set(handle)
}
