//! Contexts: the threads' current ones, and the order among all streams of one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem::ManuallyDrop;

use crate::abi::{In, Out};
use crate::capture;
use crate::clock::{Clock, TimelineId};
use crate::device;
use crate::engine;
use crate::error::{Api, Error};
use crate::memory::Kind;
use crate::primary;
use crate::settings::SETTINGS;
use crate::state::{self, Locked, Sim};

/// A context's handle.
pub type ContextId = usize;

/// Where the handles of contexts that programs make begin.
const HANDLES: ContextId = 0x0a00_0000_0000;
const DISTANCE: usize = 0x1000;

/// A context that exists.
pub struct Context {
    /// The device's ordinal.
    pub device: usize,
    /// Never the same for two contexts, even at one handle.
    pub serial: u64,
    /// The primary context of which it is a part, if it is a green one.
    pub part_of: Option<ContextId>,
    /// It is its device's primary context.
    pub primary: bool,
    /// Uses that `cuCtxDetach` has not ended.
    pub uses: usize,
    /// Ordered before everything that is submitted from now on.
    pub fence: Clock,
    /// What went wrong on the device: nothing runs any more.
    pub fault: Option<Fault>,
    /// The legacy default stream, once used.
    pub legacy: Option<usize>,
    /// The threads' default streams, by thread, once used.
    pub per_thread: BTreeMap<i32, usize>,
    /// The contexts whose memory it may use.
    pub peers: BTreeSet<ContextId>,
}

/// An error of the device.
#[derive(Clone, Copy)]
pub struct Fault {
    /// What every call that reports errors says from the time when the host knows.
    pub error: Error,
    /// The operation that failed: its timeline and its place there.
    pub operation: (TimelineId, u64),
    /// Somebody has waited for that operation.
    pub known: bool,
}

thread_local! {
    // Never dropped: exit handlers call the driver after the main thread's destructors have run.
    static STACK: ManuallyDrop<RefCell<Vec<ContextId>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

/// The calling thread's stack of contexts.
fn with_stack<T>(act: impl FnOnce(&mut Vec<ContextId>) -> T) -> T {
    STACK.with(|stack| act(&mut stack.borrow_mut()))
}

fn top() -> ContextId {
    with_stack(|stack| stack.last().copied().unwrap_or(0))
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

/// Fails once the host knows of a fault in a context.
pub fn check_fault(sim: &Sim, id: ContextId) -> Api {
    let context = sim.contexts.get(&id).ok_or(Error::CONTEXT_IS_DESTROYED)?;
    match context.fault {
        Some(Fault { error, known, .. }) if known || SETTINGS.prompt => Err(error),
        _ => Ok(()),
    }
}

/// A context that exists: the given one, or for 0 the current one.
pub fn given_or_current(sim: &Sim, id: ContextId) -> Api<ContextId> {
    match id {
        0 => current(sim),
        id if sim.contexts.contains_key(&id) => check_fault(sim, id).map(|()| id),
        _ => Err(Error::INVALID_CONTEXT),
    }
}

/// A handle that no context has: that of one that has ended, if there is any.
pub fn free_handle(sim: &Sim) -> ContextId {
    let mut handles = (HANDLES..).step_by(DISTANCE);
    handles.find(|id| !sim.contexts.contains_key(id)).expect("there are more than contexts")
}

/// Makes a context.
pub fn make(sim: &mut Sim, id: ContextId, device: usize, primary: bool) {
    let serial = sim.new_handle() as u64;
    sim.contexts.insert(
        id,
        Context {
            device,
            serial,
            part_of: None,
            primary,
            uses: 1,
            fence: Clock::default(),
            fault: None,
            legacy: None,
            per_thread: BTreeMap::new(),
            peers: BTreeSet::new(),
        },
    );
}

/// Waits for a context's work and removes all that belongs to it.
pub fn dissolve(sim: &mut Locked, id: ContextId) {
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
    for other in sim.contexts.values_mut() {
        other.peers.remove(&id);
    }
}

/// `cuCtxCreate_v2`
pub fn create(context: Out<usize>, _flags: u32, device: i32) -> Api {
    let ordinal = device::check(device)?;
    let mut sim = state::lock();
    let id = free_handle(&sim);
    context.set(id)?;
    make(&mut sim, id, ordinal, false);
    with_stack(|stack| stack.push(id));
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
    if found.primary {
        return Err(Error::INVALID_CONTEXT);
    }
    dissolve(&mut sim, id);
    with_stack(|stack| {
        if stack.last() == Some(&id) {
            stack.pop();
        }
    });
    Ok(())
}

/// `cuCtxAttach`: one more use of the current context.
pub fn attach(context: Out<usize>, flags: u32) -> Api {
    if flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    let mut sim = state::lock();
    let id = current(&sim)?;
    context.set(id)?;
    sim.contexts.get_mut(&id).expect("just looked up").uses += 1;
    Ok(())
}

/// `cuCtxDetach`: one use less; without any, the context is destroyed.
pub fn detach(id: ContextId) -> Api {
    if id == 0 || id != top() {
        return Err(Error::INVALID_CONTEXT);
    }
    let left = {
        let mut sim = state::lock();
        let found = sim.contexts.get_mut(&id).ok_or(Error::INVALID_CONTEXT)?;
        found.uses = found.uses.saturating_sub(1);
        found.uses
    };
    if left == 0 { destroy(id) } else { Ok(()) }
}

/// `cuCtxGetCurrent`
pub fn get_current(context: Out<usize>) -> Api {
    context.set(top())
}

/// `cuCtxSetCurrent`
pub fn set_current(id: ContextId) -> Api {
    // The handle of a primary context is good even while the context does not exist.
    if id != 0 && primary::device_of(id).is_none() && !state::lock().contexts.contains_key(&id) {
        return Err(Error::INVALID_CONTEXT);
    }
    with_stack(|stack| {
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
    with_stack(|stack| stack.push(id));
    Ok(())
}

/// `cuCtxPopCurrent_v2`
pub fn pop_current(context: Out<usize>) -> Api {
    let id = with_stack(Vec::pop).ok_or(Error::INVALID_CONTEXT)?;
    context.set_if_wanted(id);
    Ok(())
}

/// `cuCtxGetDevice`
pub fn get_device(device: Out<i32>) -> Api {
    let sim = state::lock();
    let ordinal = match top() {
        0 => return Err(Error::INVALID_CONTEXT),
        id => sim.contexts.get(&id).map(|found| found.device).or_else(|| primary::device_of(id)),
    };
    device.set(ordinal.ok_or(Error::CONTEXT_IS_DESTROYED)? as i32)
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
    let id = if id == 0 { top() } else { id };
    serial.set(sim.contexts.get(&id).ok_or(Error::INVALID_CONTEXT)?.serial)
}

/// `cuCtxGetFlags`: scheduling hints mean nothing here.
pub fn get_flags(flags: Out<u32>) -> Api {
    current(&state::lock())?;
    flags.set(0)
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
    capture::refuse_in_context(&mut sim, id)?;
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
    // What goes for a primary context goes for its green ones.
    for (&other, context) in &mut sim.contexts {
        if other == id || context.part_of == Some(id) {
            context.fence.join(&fence);
        }
    }
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
