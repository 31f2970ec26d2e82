//! The device at work: operations run in order, each at the end of the time that it takes.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Condvar;

use crate::clock::{Clock, TimelineId};
use crate::context::{ContextId, Fault};
use crate::hazard::Operation;
use crate::host_function;
use crate::kernels;
use crate::settings::SETTINGS;
use crate::state::{self, Locked, Sim};
use crate::timeline::{Request, Work};

/// How often a kernel that waits for a flag looks at it.
const POLL: Duration = Duration::from_micros(50);

/// Something has completed.
static CHANGED: Condvar = Condvar::new();
/// The engine's thread should look again.
static SUBMITTED: Condvar = Condvar::new();

/// Submits an operation that is to run after `after`; returns what is complete when it is.
pub fn submit(
    sim: &mut Sim,
    id: TimelineId,
    stream: usize,
    mut after: Clock,
    request: Request,
) -> Clock {
    let Request { what, touches, work, delay } = request;
    for touch in &touches {
        sim.check_touch(&what, touch, SETTINGS.pageable);
    }
    if matches!(work, Work::Kernel(_) | Work::Fill(_)) {
        let context = sim.engine.timeline(id).context;
        for touch in &touches {
            sim.check_reach(&what, touch, context);
        }
    }
    sim.engine.trim(&mut after);
    let timeline = sim.engine.timeline(id);
    let sequence = timeline.push(after.clone(), work, delay);
    let mut done = after.clone();
    done.add(id, sequence);
    timeline.clock = done.clone();
    sim.engine.active.insert(id);
    let thread = state::thread();
    let operation = Operation { what, stream, thread, timeline: id, sequence, touches };
    sim.shadow.submit(&Arc::new(operation), &after, &sim.engine.host);
    step(sim);
    if !sim.engine.active.is_empty() {
        SUBMITTED.notify_one();
    }
    done
}

/// Everything submitted to a context so far.
pub fn all_of_context(sim: &Sim, context: ContextId) -> Clock {
    let mut all = sim.contexts.get(&context).map(|found| found.fence.clone()).unwrap_or_default();
    let part = |other| sim.contexts.get(&other).is_some_and(|one| one.part_of == Some(context));
    let here = |other| other == context || part(other);
    for timeline in sim.engine.timelines().filter(|one| here(one.context)) {
        all.join(&timeline.clock);
    }
    sim.engine.trim(&mut all);
    all
}

/// Blocks the calling thread, and no other, until all of a clock has completed.
pub fn wait(sim: &mut Locked, clock: &Clock) {
    loop {
        let next = step(sim);
        if sim.engine.is_complete(clock) {
            break;
        }
        match next {
            Some(time) => drop(CHANGED.wait_until(sim.guard(), time)),
            None => CHANGED.wait(sim.guard()),
        }
    }
    know(sim, clock);
    kernels::show_printed(sim);
}

/// Tells whether all of a clock has completed; if so, the host knows from now on.
pub fn poll(sim: &mut Sim, clock: &Clock) -> bool {
    step(sim);
    let complete = sim.engine.is_complete(clock);
    if complete {
        know(sim, clock);
    }
    complete
}

fn know(sim: &mut Sim, clock: &Clock) {
    let mut news = clock.clone();
    sim.engine.trim(&mut news);
    sim.engine.host.join(&news);
    for fault in sim.contexts.values_mut().filter_map(|context| context.fault.as_mut()) {
        let (timeline, sequence) = fault.operation;
        fault.known |= clock.contains(timeline, sequence);
    }
    let gone = sim.engine.finished_orphans();
    if gone.is_empty() {
        return;
    }
    // Uses by a timeline that is gone could not be told from unknown ones.
    sim.shadow.sweep(&sim.engine.host);
    for id in gone {
        sim.engine.remove(id);
    }
}

/// Runs all that can run now. Returns when to look again, unless something else happens first.
fn step(sim: &mut Sim) -> Option<Instant> {
    let mut changed = false;
    let next = loop {
        let mut progress = false;
        let mut next: Option<Instant> = None;
        for id in sim.engine.active.iter().copied().collect::<Vec<_>>() {
            while let Some(result) = step_timeline(sim, id) {
                match result {
                    Step::Completed => progress = true,
                    Step::Later(time) => {
                        next = Some(next.map_or(time, |other| other.min(time)));
                        break;
                    }
                    Step::Blocked => break,
                }
            }
        }
        changed |= progress;
        if !progress {
            break next;
        }
    };
    if changed {
        note_event_times(sim);
        CHANGED.notify_all();
    }
    next
}

enum Step {
    Completed,
    Later(Instant),
    Blocked,
}

fn step_timeline(sim: &mut Sim, id: TimelineId) -> Option<Step> {
    let now = Instant::now();
    let timeline = sim.engine.timeline(id);
    let context = timeline.context;
    let Some(head) = timeline.head() else {
        sim.engine.active.remove(&id);
        return None;
    };
    let (running, after) = (head.running, head.after.clone());
    if running || !sim.engine.is_complete(&after) {
        return Some(Step::Blocked);
    }
    let faulty = sim.contexts.get(&context).is_some_and(|found| found.fault.is_some());
    let head = sim.engine.timeline(id).head().expect("it was there");
    let due = *head.due.get_or_insert(now + head.delay);
    if due > now && !faulty {
        return Some(Step::Later(due));
    }
    let work = head.work.clone();
    match work {
        Work::Host(call) if !faulty => {
            head.running = true;
            host_function::start(id, call);
            return Some(Step::Blocked);
        }
        Work::WaitValue { address, value, at_least } if !faulty => {
            let seen = u32::from_ne_bytes(sim.read(address, 4).try_into().expect("four bytes"));
            let reached =
                if at_least { seen.wrapping_sub(value) as i32 >= 0 } else { seen == value };
            if !reached {
                return Some(Step::Later(now + POLL));
            }
        }
        Work::Kernel(kernel) if !faulty => {
            let operation = (id, head.sequence);
            if let Err(error) = kernel.run(sim)
                && let Some(context) = sim.contexts.get_mut(&context)
            {
                context.fault = Some(Fault { error, operation, known: false });
            }
        }
        Work::Copy(rows) if !faulty => rows.iter().for_each(|row| row.run(sim)),
        Work::Fill(pattern) if !faulty => pattern.run(sim),
        Work::Release(address) => sim.release_ordered(address),
        // After a fault, nothing runs any more.
        _ => {}
    }
    sim.engine.timeline(id).complete();
    Some(Step::Completed)
}

/// A host function has returned.
pub fn host_function_returned(id: TimelineId) {
    let mut sim = state::lock();
    sim.engine.timeline(id).complete();
    note_event_times(&mut sim);
    step(&mut sim);
    CHANGED.notify_all();
    SUBMITTED.notify_one();
}

fn note_event_times(sim: &mut Sim) {
    let now = Instant::now();
    let Sim { engine, events, .. } = sim;
    let unfinished = std::mem::take(&mut engine.unfinished_events);
    for handle in unfinished {
        let Some(event) = events.get_mut(&handle) else { continue };
        if engine.is_complete(&event.clock) {
            event.time = Some(now);
        } else {
            engine.unfinished_events.insert(handle);
        }
    }
}

/// Starts the thread that makes time pass while no call does.
pub fn start() {
    let work = || {
        let mut sim = state::lock();
        loop {
            match step(&mut sim) {
                Some(time) => drop(SUBMITTED.wait_until(sim.guard(), time)),
                None => SUBMITTED.wait(sim.guard()),
            }
        }
    };
    start_thread("simcuda", work);
}

/// Starts a thread of the driver's, which blocks every signal from its first moment: signals are the
/// program's, and its own threads take them.
pub fn start_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    // SAFETY: sets of signals are plain data; one is filled before it is used, the other by the call.
    let before = unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    // SAFETY: the mask is the one that the thread had.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut()) };
    started.expect("a thread can be started");
}
