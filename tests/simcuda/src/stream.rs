//! Streams, and what each submission to one is ordered behind.

use crate::abi::Out;
use crate::capture;
use crate::clock::{Clock, TimelineId};
use crate::context::{self, ContextId};
use crate::dispatch;
use crate::engine;
use crate::error::{Api, Error};
use crate::state::{self, Sim};
use crate::timeline::Request;

/// `CU_STREAM_NON_BLOCKING`
const NON_BLOCKING: u32 = 1;
/// `CU_STREAM_LEGACY`
const LEGACY: usize = 1;
/// `CU_STREAM_PER_THREAD`
const PER_THREAD: usize = 2;

/// What a stream is to the legacy default stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// It itself: behind all blocking streams, and they behind it.
    Legacy,
    Blocking,
    NonBlocking,
}

/// A stream.
pub struct Stream {
    /// Whose it is.
    pub context: ContextId,
    /// Its operations.
    pub timeline: TimelineId,
    /// The capture that it takes part in.
    pub capture: Option<u64>,
    sort: Sort,
    priority: i32,
}

fn make(sim: &mut Sim, context: ContextId, sort: Sort, priority: i32) -> usize {
    let timeline = sim.engine.new_timeline(context);
    let handle = sim.new_handle();
    sim.streams.insert(handle, Stream { context, timeline, capture: None, sort, priority });
    handle
}

/// A stream in `context` that has nothing to do with the legacy default stream.
pub fn make_non_blocking(sim: &mut Sim, context: ContextId) -> usize {
    make(sim, context, Sort::NonBlocking, 0)
}

/// The stream that a handle means to the calling thread in this call.
pub fn resolve(sim: &mut Sim, handle: usize) -> Api<usize> {
    let context = context::current(sim)?;
    let default = if dispatch::default_stream_is_the_threads() { PER_THREAD } else { LEGACY };
    match if handle == 0 { default } else { handle } {
        LEGACY => {
            if let Some(stream) = sim.contexts[&context].legacy {
                return Ok(stream);
            }
            let stream = make(sim, context, Sort::Legacy, 0);
            sim.contexts.get_mut(&context).expect("it is current").legacy = Some(stream);
            Ok(stream)
        }
        PER_THREAD => {
            let thread = state::thread();
            if let Some(&stream) = sim.contexts[&context].per_thread.get(&thread) {
                return Ok(stream);
            }
            let stream = make(sim, context, Sort::Blocking, 0);
            let current = sim.contexts.get_mut(&context).expect("it is current");
            current.per_thread.insert(thread, stream);
            Ok(stream)
        }
        other if sim.streams.contains_key(&other) => Ok(other),
        _ => Err(Error::INVALID_HANDLE),
    }
}

/// What an operation submitted to a stream now would be ordered behind.
pub fn position(sim: &mut Sim, handle: usize) -> Clock {
    let Stream { context, timeline, sort, .. } = sim.streams[&handle];
    let mut after = sim.engine.timeline(timeline).clock.clone();
    after.join(&sim.contexts[&context].fence);
    let ordered_with = match sort {
        Sort::NonBlocking => return after,
        Sort::Legacy => Sort::Blocking,
        Sort::Blocking => Sort::Legacy,
    };
    let others: Vec<TimelineId> = sim
        .streams
        .values()
        .filter(|other| other.context == context && other.sort == ordered_with)
        .map(|other| other.timeline)
        .collect();
    for other in others {
        after.join(&sim.engine.timeline(other).clock);
    }
    after
}

/// Submits an operation to a stream, or adds it to the capture that the stream takes part in.
/// Returns what is complete when the operation is; `None` while capturing.
pub fn submit(sim: &mut Sim, handle: usize, request: Request) -> Api<Option<Clock>> {
    capture::refuse_implicit(sim, handle)?;
    if sim.streams[&handle].capture.is_some() {
        capture::add(sim, handle, request)?;
        return Ok(None);
    }
    let after = position(sim, handle);
    let timeline = sim.streams[&handle].timeline;
    Ok(Some(engine::submit(sim, timeline, handle, after, request)))
}

/// The stream is the legacy default stream.
pub fn is_legacy(sim: &Sim, handle: usize) -> bool {
    sim.streams[&handle].sort == Sort::Legacy
}

/// The stream waits for the legacy default stream and it for the stream.
pub fn is_blocking(sim: &Sim, handle: usize) -> bool {
    sim.streams[&handle].sort == Sort::Blocking
}

/// `cuStreamCreate`
pub fn create(stream: Out<usize>, flags: u32) -> Api {
    create_with_priority(stream, flags, 0)
}

/// `cuStreamCreateWithPriority`
pub fn create_with_priority(stream: Out<usize>, flags: u32, priority: i32) -> Api {
    let mut sim = state::lock();
    let context = context::current(&sim)?;
    if flags & !NON_BLOCKING != 0 {
        return Err(Error::INVALID_VALUE);
    }
    let sort = if flags & NON_BLOCKING != 0 { Sort::NonBlocking } else { Sort::Blocking };
    let handle = make(&mut sim, context, sort, priority.clamp(-5, 0));
    stream.set(handle)
}

/// `cuStreamDestroy_v2`: work in the stream goes on.
pub fn destroy(handle: usize) -> Api {
    let mut sim = state::lock();
    context::current(&sim)?;
    if handle <= PER_THREAD {
        return Err(Error::INVALID_HANDLE);
    }
    let stream = sim.streams.remove(&handle).ok_or(Error::INVALID_HANDLE)?;
    if let Some(capture) = stream.capture {
        capture::invalidate(&mut sim, capture);
    }
    sim.engine.abandon(stream.timeline);
    Ok(())
}

/// `cuStreamSynchronize`
pub fn synchronize(handle: usize) -> Api {
    let mut sim = state::lock();
    let stream = resolve(&mut sim, handle)?;
    capture::refuse_capturing(&mut sim, stream)?;
    capture::refuse_unsafe_call(&mut sim)?;
    let context = sim.streams[&stream].context;
    let clock = position(&mut sim, stream);
    engine::wait(&mut sim, &clock);
    context::check_fault(&sim, context)
}

/// `cuStreamQuery`
pub fn query(handle: usize) -> Api {
    let mut sim = state::lock();
    let stream = resolve(&mut sim, handle)?;
    capture::refuse_capturing(&mut sim, stream)?;
    capture::refuse_unsafe_call(&mut sim)?;
    let clock = position(&mut sim, stream);
    if engine::poll(&mut sim, &clock) {
        context::check_fault(&sim, sim.streams[&stream].context)
    } else {
        Err(Error::NOT_READY)
    }
}

/// `cuStreamWaitEvent`
pub fn wait_event(handle: usize, event: usize, _flags: u32) -> Api {
    let mut sim = state::lock();
    let stream = resolve(&mut sim, handle)?;
    let found = sim.events.get(&event).ok_or(Error::INVALID_HANDLE)?;
    let (clock, captured) = (found.clock.clone(), found.captured.clone());
    if captured.is_some() || sim.streams[&stream].capture.is_some() {
        return capture::wait(&mut sim, stream, captured);
    }
    capture::refuse_implicit(&mut sim, stream)?;
    let timeline = sim.streams[&stream].timeline;
    sim.engine.timeline(timeline).clock.join(&clock);
    Ok(())
}

/// `cuStreamGetCtx`
pub fn get_context(handle: usize, context: Out<usize>) -> Api {
    let mut sim = state::lock();
    let stream = resolve(&mut sim, handle)?;
    context.set(sim.streams[&stream].context)
}

/// `cuStreamGetFlags`
pub fn get_flags(handle: usize, flags: Out<u32>) -> Api {
    let mut sim = state::lock();
    let stream = resolve(&mut sim, handle)?;
    flags.set(u32::from(sim.streams[&stream].sort == Sort::NonBlocking))
}

/// `cuStreamGetPriority`
pub fn get_priority(handle: usize, priority: Out<i32>) -> Api {
    let mut sim = state::lock();
    let stream = resolve(&mut sim, handle)?;
    priority.set(sim.streams[&stream].priority)
}

/// `cuStreamGetId`
pub fn get_id(handle: usize, id: Out<u64>) -> Api {
    let mut sim = state::lock();
    let stream = resolve(&mut sim, handle)?;
    id.set(sim.streams[&stream].timeline)
}
