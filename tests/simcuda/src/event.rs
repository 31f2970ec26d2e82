//! Events.

use std::time::Instant;

use crate::abi::Out;
use crate::capture::{self, Captured};
use crate::clock::Clock;
use crate::context::{self, ContextId};
use crate::engine;
use crate::error::{Api, Error};
use crate::state::{self, Sim};
use crate::stream;

/// `CU_EVENT_DISABLE_TIMING`
const DISABLE_TIMING: u32 = 2;
/// `CU_EVENT_INTERPROCESS`
const INTERPROCESS: u32 = 4;

/// An event.
#[derive(Default)]
pub struct Event {
    /// Whose it is.
    pub context: ContextId,
    /// What it stands for; complete before the first record.
    pub clock: Clock,
    /// When that was found complete.
    pub time: Option<Instant>,
    /// Its place in a capture, if it was last recorded in one.
    pub captured: Option<Captured>,
    recorded: bool,
    timed: bool,
}

/// Lets an event stand for a clock.
pub fn set(sim: &mut Sim, handle: usize, clock: Clock) -> Api {
    let complete = sim.engine.is_complete(&clock);
    let event = sim.events.get_mut(&handle).ok_or(Error::INVALID_HANDLE)?;
    event.clock = clock;
    event.recorded = true;
    event.captured = None;
    event.time = complete.then(Instant::now);
    if !complete {
        sim.engine.unfinished_events.insert(handle);
    }
    Ok(())
}

/// `cuEventCreate`
pub fn create(event: Out<usize>, flags: u32) -> Api {
    let mut sim = state::lock();
    let context = context::current(&sim)?;
    if flags > 7 || (flags & INTERPROCESS != 0 && flags & DISABLE_TIMING == 0) {
        return Err(Error::INVALID_VALUE);
    }
    let handle = sim.new_handle();
    let timed = flags & DISABLE_TIMING == 0;
    sim.events.insert(handle, Event { context, timed, ..Event::default() });
    event.set(handle)
}

/// `cuEventDestroy_v2`
pub fn destroy(event: usize) -> Api {
    let mut sim = state::lock();
    context::current(&sim)?;
    sim.events.remove(&event).map(drop).ok_or(Error::INVALID_HANDLE)
}

/// `cuEventRecord`
pub fn record(event: usize, stream: usize) -> Api {
    record_with_flags(event, stream, 0)
}

/// `cuEventRecordWithFlags`
pub fn record_with_flags(event: usize, handle: usize, _flags: u32) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    if !sim.events.contains_key(&event) {
        return Err(Error::INVALID_HANDLE);
    }
    capture::refuse_implicit(&mut sim, stream)?;
    if sim.streams[&stream].capture.is_some() {
        return capture::record(&mut sim, stream, event);
    }
    let clock = stream::position(&mut sim, stream);
    set(&mut sim, event, clock)
}

/// The clock of an event that the host asks about.
fn clock_for_host(sim: &mut Sim, event: usize) -> Api<Clock> {
    context::current(sim)?;
    let found = sim.events.get(&event).ok_or(Error::INVALID_HANDLE)?;
    let (clock, captured) = (found.clock.clone(), found.captured.is_some());
    capture::refuse_unsafe_call(sim)?;
    if captured { Err(Error::CAPTURED_EVENT) } else { Ok(clock) }
}

/// `cuEventQuery`
pub fn query(event: usize) -> Api {
    let mut sim = state::lock();
    let clock = clock_for_host(&mut sim, event)?;
    if engine::poll(&mut sim, &clock) {
        context::current(&sim).map(drop)
    } else {
        Err(Error::NOT_READY)
    }
}

/// `cuEventSynchronize`
pub fn synchronize(event: usize) -> Api {
    let mut sim = state::lock();
    let clock = clock_for_host(&mut sim, event)?;
    engine::wait(&mut sim, &clock);
    context::current(&sim).map(drop)
}

/// `cuEventElapsedTime`, `cuEventElapsedTime_v2`
pub fn elapsed_time(milliseconds: Out<f32>, start: usize, end: usize) -> Api {
    let mut sim = state::lock();
    context::current(&sim)?;
    let mut times = [None; 2];
    for (time, handle) in times.iter_mut().zip([start, end]) {
        let event = sim.events.get(&handle).ok_or(Error::INVALID_HANDLE)?;
        if !event.timed || !event.recorded {
            return Err(Error::INVALID_HANDLE);
        }
        let clock = event.clock.clone();
        if !engine::poll(&mut sim, &clock) {
            return Err(Error::NOT_READY);
        }
        *time = sim.events[&handle].time;
    }
    let [Some(start), Some(end)] = times else { return Err(Error::NOT_READY) };
    let sign = if end < start { -1.0 } else { 1.0 };
    let distance = end.max(start).duration_since(end.min(start));
    milliseconds.set(sign * distance.as_secs_f32() * 1000.0)
}
