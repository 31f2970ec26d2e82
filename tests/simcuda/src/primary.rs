//! The devices' primary contexts: one handle each, for good.

use crate::abi::Out;
use crate::context::{self, ContextId};
use crate::device;
use crate::engine;
use crate::error::{Api, Error};
use crate::settings::SETTINGS;
use crate::state::{self, Sim};

const PRIMARY_HANDLES: usize = 0x0b00_0000_0000;
const DISTANCE: usize = 0x1000;

/// The handle of a device's primary context, whether it exists or not.
fn find(device: i32) -> Api<(usize, ContextId)> {
    let ordinal = device::check(device)?;
    Ok((ordinal, PRIMARY_HANDLES + ordinal * DISTANCE))
}

/// The device whose primary context has this handle.
pub fn device_of(id: ContextId) -> Option<usize> {
    let ordinal = id.checked_sub(PRIMARY_HANDLES)? / DISTANCE;
    (ordinal < SETTINGS.devices && id == PRIMARY_HANDLES + ordinal * DISTANCE).then_some(ordinal)
}

/// Retains a device's primary context.
pub fn keep(device: i32) -> Api<ContextId> {
    let (ordinal, id) = find(device)?;
    let mut sim = state::lock();
    *sim.retained.entry(ordinal).or_default() += 1;
    if !sim.contexts.contains_key(&id) {
        context::make(&mut sim, id, ordinal, true);
    }
    Ok(id)
}

/// Whether a context has work that is not done.
fn works(sim: &Sim, id: ContextId) -> bool {
    !sim.engine.is_complete(&engine::all_of_context(sim, id))
}

/// `cuDevicePrimaryCtxRetain`
pub fn retain(context: Out<usize>, device: i32) -> Api {
    context.set(find(device)?.1)?;
    keep(device).map(drop)
}

/// `cuDevicePrimaryCtxRelease_v2`
pub fn release(device: i32) -> Api {
    let (ordinal, id) = find(device)?;
    let mut sim = state::lock();
    // It takes effect once the work is done: who retains the context before that keeps it.
    while sim.retained.get(&ordinal) == Some(&1) && works(&sim, id) {
        let all = engine::all_of_context(&sim, id);
        engine::wait(&mut sim, &all);
    }
    let count = sim.retained.entry(ordinal).or_default();
    *count = count.checked_sub(1).ok_or(Error::INVALID_CONTEXT)?;
    if *count == 0 && sim.contexts.contains_key(&id) {
        context::dissolve(&mut sim, id);
    }
    Ok(())
}

/// `cuDevicePrimaryCtxReset_v2`: who has retained it must still release it, as measured.
pub fn reset(device: i32) -> Api {
    let (_, id) = find(device)?;
    let mut sim = state::lock();
    if sim.contexts.contains_key(&id) {
        context::dissolve(&mut sim, id);
    }
    Ok(())
}

/// `cuDevicePrimaryCtxGetState`
pub fn get_state(device: i32, flags: Out<u32>, active: Out<i32>) -> Api {
    let (_, id) = find(device)?;
    let sim = state::lock();
    flags.set_if_wanted(0);
    active.set(i32::from(sim.contexts.contains_key(&id)))
}

/// `cuDevicePrimaryCtxSetFlags_v2`
pub fn set_flags(device: i32, _flags: u32) -> Api {
    find(device)?;
    Ok(())
}
