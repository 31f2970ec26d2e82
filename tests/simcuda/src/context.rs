//! Contexts: the threads' current ones, the devices' primary ones, and the order among all
//! streams of one.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::abi::{In, Out};
use crate::capture;
use crate::clock::Clock;
use crate::device;
use crate::engine;
use crate::error::{Api, Error};
use crate::memory::Kind;
use crate::settings::SETTINGS;
use crate::state::{self, Locked, Sim};

/// A context's handle.
pub type ContextId = usize;

/// `CU_CTX_FLAGS`: scheduling hints and the like, kept and returned.
const PRIMARY_FLAGS: u32 = 0;
const PRIMARY_HANDLES: usize = 0x0b00_0000_0000;

/// A context that exists.
pub struct Context {
    /// The device's ordinal.
    pub device: usize,
    /// Never the same for two contexts, even at one handle.
    pub serial: u64,
    /// How often it is retained, if it is a device's primary context.
    retained: Option<u32>,
    /// Ordered before everything that is submitted from now on.
    pub fence: Clock,
    /// What went wrong; from then on, every call that reports errors says so.
    pub fault: Option<Error>,
    /// The legacy default stream, once used.
    pub legacy: Option<usize>,
    /// The threads' default streams, by thread, once used.
    pub per_thread: BTreeMap<i32, usize>,
}

thread_local! {
    static STACK: RefCell<Vec<ContextId>> = const { RefCell::new(Vec::new()) };
}

fn top() -> ContextId {
    STACK.with_borrow(|stack| stack.last().copied().unwrap_or(0))
}

/// The calling thread's context.
///
/// # Errors
/// None, one that is destroyed, or one that has seen a fault.
pub fn current(sim: &Sim) -> Api<ContextId> {
    match top() {
        0 => Err(Error::INVALID_CONTEXT),
        id => check_fault(sim, id).map(|()| id),
    }
}

/// A context's fault, if it has seen one.
pub fn check_fault(sim: &Sim, id: ContextId) -> Api {
    engine::fault_of(sim, id)
}

/// A context that exists: the given one, or for 0 the current one.
pub fn given_or_current(sim: &Sim, id: ContextId) -> Api<ContextId> {
    match id {
        0 => current(sim),
        id if sim.contexts.contains_key(&id) => check_fault(sim, id).map(|()| id),
        _ => Err(Error::INVALID_CONTEXT),
    }
}

fn make(sim: &mut Sim, id: ContextId, device: usize, retained: Option<u32>) {
    let serial = sim.new_handle() as u64;
    let (fence, per_thread) = (Clock::default(), BTreeMap::new());
    sim.contexts.insert(
        id,
        Context { device, serial, retained, fence, fault: None, legacy: None, per_thread },
    );
}

/// Waits for a context's work and removes all that belongs to it.
fn dissolve(sim: &mut Locked, id: ContextId) {
    let all = engine::all_of_context(sim, id);
    engine::wait(sim, &all);
    capture::forget_context(sim, id);
    for (address, kind) in sim.memory.of_context(id) {
        if kind != Kind::Mapped {
            sim.release(address, "destruction of the context");
        }
    }
    let streams = std::mem::take(&mut sim.streams);
    let (gone, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
        streams.into_iter().partition(|(_, stream)| stream.context == id);
    sim.streams = kept;
    for stream in gone.values() {
        sim.engine.abandon(stream.timeline);
    }
    sim.events.retain(|_, event| event.context != id);
    let modules: Vec<usize> = sim
        .modules
        .iter()
        .filter(|&(_, &context)| context == id)
        .map(|(&handle, _)| handle)
        .collect();
    for module in modules {
        sim.modules.remove(&module);
    }
    sim.contexts.remove(&id);
}

/// `cuCtxCreate_v2`
pub fn create(context: Out<usize>, _flags: u32, device: i32) -> Api {
    let ordinal = device::check(device)?;
    let mut sim = state::lock();
    let id = sim.new_handle();
    context.set(id)?;
    make(&mut sim, id, ordinal, None);
    STACK.with_borrow_mut(|stack| stack.push(id));
    Ok(())
}

/// `cuCtxCreate_v3`: with execution affinity, which means nothing here.
pub fn create_v3(
    context: Out<usize>,
    _affinity: In<u8>,
    _count: i32,
    flags: u32,
    device: i32,
) -> Api {
    create(context, flags, device)
}

/// `cuCtxCreate_v4`: with parameters, which mean nothing here.
pub fn create_v4(context: Out<usize>, _parameters: In<u8>, flags: u32, device: i32) -> Api {
    create(context, flags, device)
}

/// `cuCtxDestroy_v2`
pub fn destroy(id: ContextId) -> Api {
    let mut sim = state::lock();
    let found = sim.contexts.get(&id).ok_or(Error::INVALID_CONTEXT)?;
    if found.retained.is_some() {
        return Err(Error::INVALID_CONTEXT);
    }
    dissolve(&mut sim, id);
    STACK.with_borrow_mut(|stack| {
        if stack.last() == Some(&id) {
            stack.pop();
        }
    });
    Ok(())
}

/// `cuCtxGetCurrent`
pub fn get_current(context: Out<usize>) -> Api {
    context.set(top())
}

/// `cuCtxSetCurrent`
pub fn set_current(id: ContextId) -> Api {
    let sim = state::lock();
    if id != 0 && !sim.contexts.contains_key(&id) {
        return Err(Error::INVALID_CONTEXT);
    }
    STACK.with_borrow_mut(|stack| {
        stack.pop();
        if id != 0 {
            stack.push(id);
        }
    });
    Ok(())
}

/// `cuCtxPushCurrent_v2`
pub fn push_current(id: ContextId) -> Api {
    let sim = state::lock();
    if !sim.contexts.contains_key(&id) {
        return Err(Error::INVALID_CONTEXT);
    }
    STACK.with_borrow_mut(|stack| stack.push(id));
    Ok(())
}

/// `cuCtxPopCurrent_v2`
pub fn pop_current(context: Out<usize>) -> Api {
    let id = STACK.with_borrow_mut(Vec::pop).ok_or(Error::INVALID_CONTEXT)?;
    context.set_if_wanted(id);
    Ok(())
}

/// `cuCtxGetDevice`
pub fn get_device(device: Out<i32>) -> Api {
    let sim = state::lock();
    let id = top();
    let found = match id {
        0 => return Err(Error::INVALID_CONTEXT),
        id => sim.contexts.get(&id).ok_or(Error::CONTEXT_IS_DESTROYED)?,
    };
    device.set(found.device as i32)
}

/// `cuCtxGetDevice_v2`
pub fn get_device_of(device: Out<i32>, id: ContextId) -> Api {
    let sim = state::lock();
    let id = given_or_current(&sim, id)?;
    device.set(sim.contexts[&id].device as i32)
}

/// `cuCtxGetApiVersion`
pub fn get_api_version(_id: ContextId, version: Out<u32>) -> Api {
    version.set(3020)
}

/// `cuCtxGetId`
pub fn get_id(id: ContextId, serial: Out<u64>) -> Api {
    let sim = state::lock();
    let id = given_or_current(&sim, id)?;
    serial.set(sim.contexts[&id].serial)
}

/// `cuCtxGetFlags`
pub fn get_flags(flags: Out<u32>) -> Api {
    current(&state::lock())?;
    flags.set(PRIMARY_FLAGS)
}

/// `cuCtxSynchronize`
pub fn synchronize() -> Api {
    synchronize_context(0)
}

/// `cuCtxSynchronize_v2`
pub fn synchronize_context(id: ContextId) -> Api {
    let mut sim = state::lock();
    let id = given_or_current(&sim, id)?;
    capture::refuse_unsafe_call(&mut sim)?;
    let all = engine::all_of_context(&sim, id);
    engine::wait(&mut sim, &all);
    check_fault(&sim, id)
}

/// `cuCtxRecordEvent`: the event stands for all that the context has been given so far.
pub fn record_event(id: ContextId, event: usize) -> Api {
    let mut sim = state::lock();
    let id = given_or_current(&sim, id)?;
    capture::refuse_in_context(&mut sim, id)?;
    let all = engine::all_of_context(&sim, id);
    crate::event::set(&mut sim, event, all)
}

/// `cuCtxWaitEvent`: all that the context is given from now on waits for the event.
pub fn wait_event(id: ContextId, event: usize) -> Api {
    let mut sim = state::lock();
    let id = given_or_current(&sim, id)?;
    capture::refuse_in_context(&mut sim, id)?;
    let mut fence = sim.events.get(&event).ok_or(Error::INVALID_HANDLE)?.clock.clone();
    fence.join(&sim.contexts[&id].fence);
    sim.engine.trim(&mut fence);
    sim.contexts.get_mut(&id).expect("checked above").fence = fence;
    Ok(())
}

/// The handle of a device's primary context, whether it exists or not.
fn primary(device: i32) -> Api<(usize, ContextId)> {
    let ordinal = device::check(device)?;
    Ok((ordinal, PRIMARY_HANDLES + ordinal * 0x1000))
}

/// `cuDevicePrimaryCtxRetain`
pub fn primary_retain(context: Out<usize>, device: i32) -> Api {
    let (ordinal, id) = primary(device)?;
    context.set(id)?;
    let mut sim = state::lock();
    match sim.contexts.get_mut(&id) {
        Some(found) => found.retained = found.retained.map(|count| count + 1),
        None => make(&mut sim, id, ordinal, Some(1)),
    }
    Ok(())
}

/// `cuDevicePrimaryCtxRelease_v2`
pub fn primary_release(device: i32) -> Api {
    let (_, id) = primary(device)?;
    let mut sim = state::lock();
    let found = sim.contexts.get_mut(&id).ok_or(Error::INVALID_CONTEXT)?;
    let count = found.retained.map_or(0, |count| count - 1);
    found.retained = Some(count);
    if count == 0 {
        dissolve(&mut sim, id);
    }
    Ok(())
}

/// `cuDevicePrimaryCtxReset_v2`
pub fn primary_reset(device: i32) -> Api {
    let (_, id) = primary(device)?;
    let mut sim = state::lock();
    if sim.contexts.contains_key(&id) {
        dissolve(&mut sim, id);
    }
    Ok(())
}

/// `cuDevicePrimaryCtxGetState`
pub fn primary_get_state(device: i32, flags: Out<u32>, active: Out<i32>) -> Api {
    let (_, id) = primary(device)?;
    let sim = state::lock();
    flags.set_if_wanted(PRIMARY_FLAGS);
    active.set(i32::from(sim.contexts.contains_key(&id)))
}

/// `cuDevicePrimaryCtxSetFlags_v2`
pub fn primary_set_flags(device: i32, _flags: u32) -> Api {
    primary(device)?;
    Ok(())
}

/// `cuCtxSetLimit`, `cuCtxSetCacheConfig`: accepted.
pub fn set_limit(_limit: u32, _value: usize) -> Api {
    current(&state::lock()).map(drop)
}

/// `cuCtxGetLimit`
pub fn get_limit(value: Out<usize>, _limit: u32) -> Api {
    current(&state::lock())?;
    value.set(1024)
}

/// `cuCtxGetStreamPriorityRange`
pub fn get_stream_priority_range(least: Out<i32>, greatest: Out<i32>) -> Api {
    current(&state::lock())?;
    least.set_if_wanted(0);
    greatest.set_if_wanted(-5);
    Ok(())
}

/// `cuCtxEnablePeerAccess`: no device reaches another.
pub fn enable_peer_access(_peer: ContextId, _flags: u32) -> Api {
    Err(if SETTINGS.devices < 2 { Error::INVALID_CONTEXT } else { Error::NOT_SUPPORTED })
}
