//! The device at work: operations run in order, each at the end of the time that it takes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Condvar;

use crate::clock::{Clock, TimelineId};
use crate::context::{Context, ContextId, Fault};
use crate::copy::Row;
use crate::error::{Api, Error};
use crate::fill::Pattern;
use crate::hazard::{Operation, Touch};
use crate::host_function::{self, HostCall};
use crate::kernels::Kernel;
use crate::settings::SETTINGS;
use crate::state::{self, Locked, Sim};

/// How often a kernel that waits for a flag looks at it.
const POLL: Duration = Duration::from_micros(50);

/// Something has completed.
static CHANGED: Condvar = Condvar::new();
/// The engine's thread should look again.
static SUBMITTED: Condvar = Condvar::new();

/// What an operation does.
#[derive(Clone)]
pub enum Work {
    /// Nothing.
    Nothing,
    /// Runs a kernel.
    Kernel(Kernel),
    /// Copies rows.
    Copy(Vec<Row>),
    /// Fills memory.
    Fill(Pattern),
    /// Runs a function on the host.
    Host(HostCall),
    /// Releases stream-ordered memory.
    Release(u64),
    /// Waits until a word has the value; at least it, if `at_least`.
    WaitValue {
        /// Where.
        address: u64,
        /// For what.
        value: u32,
        /// Cyclically greater is enough.
        at_least: bool,
    },
}

/// An operation before it is submitted.
#[derive(Clone)]
pub struct Request {
    /// For people.
    pub what: String,
    /// What it uses.
    pub touches: Vec<Touch>,
    /// What it does.
    pub work: Work,
    /// How long that takes.
    pub delay: Duration,
}

impl Request {
    /// An operation that takes no time.
    pub fn new(what: impl Into<String>, touches: Vec<Touch>, work: Work) -> Self {
        Self { what: what.into(), touches, work, delay: Duration::ZERO }
    }
}

struct Queued {
    sequence: u64,
    after: Clock,
    work: Work,
    delay: Duration,
    due: Option<Instant>,
    /// A host function has been started.
    running: bool,
}

/// A sequence of operations.
pub struct Timeline {
    /// Where it belongs.
    pub context: ContextId,
    /// Everything that is ordered before the next operation, as far as this timeline says.
    pub clock: Clock,
    submitted: u64,
    completed: u64,
    queue: VecDeque<Queued>,
    /// Its stream is gone: it goes when the host knows all of it complete.
    orphan: bool,
}

/// All timelines.
#[derive(Default)]
pub struct Engine {
    timelines: BTreeMap<TimelineId, Timeline>,
    /// Those with something queued.
    active: BTreeSet<TimelineId>,
    last_timeline: TimelineId,
    /// What the host knows complete, because some thread has waited for it or asked.
    pub host: Clock,
    /// Events whose time of completion is still to be noted.
    pub unfinished_events: BTreeSet<usize>,
    /// What kernels have printed and nobody has waited for.
    pub printed: String,
}

impl Engine {
    /// A new timeline.
    pub fn new_timeline(&mut self, context: ContextId) -> TimelineId {
        self.last_timeline += 1;
        self.timelines.insert(
            self.last_timeline,
            Timeline {
                context,
                clock: Clock::default(),
                submitted: 0,
                completed: 0,
                queue: VecDeque::new(),
                orphan: false,
            },
        );
        self.last_timeline
    }

    /// A timeline that exists.
    pub fn timeline(&mut self, id: TimelineId) -> &mut Timeline {
        self.timelines.get_mut(&id).expect("a timeline outlives its stream")
    }

    /// Lets a timeline go once its work is known complete.
    pub fn abandon(&mut self, id: TimelineId) {
        self.timeline(id).orphan = true;
    }

    /// All of a clock has completed.
    pub fn is_complete(&self, clock: &Clock) -> bool {
        clock.entries().all(|(id, sequence)| {
            self.timelines.get(&id).is_none_or(|timeline| sequence <= timeline.completed)
        })
    }

    /// Drops what the host knows complete.
    pub fn trim(&self, clock: &mut Clock) {
        clock.retain(|id, sequence| {
            self.timelines.contains_key(&id) && !self.host.contains(id, sequence)
        });
    }
}

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
    sim.engine.trim(&mut after);
    let timeline = sim.engine.timeline(id);
    timeline.submitted += 1;
    let sequence = timeline.submitted;
    let mut done = after.clone();
    done.add(id, sequence);
    timeline.clock = done.clone();
    timeline.queue.push_back(Queued {
        sequence,
        after: after.clone(),
        work,
        delay,
        due: None,
        running: false,
    });
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
    for timeline in sim.engine.timelines.values().filter(|one| one.context == context) {
        all.join(&timeline.clock);
    }
    sim.engine.trim(&mut all);
    all
}

/// Blocks the calling thread, and no other, until all of a clock has completed.
pub fn wait(sim: &mut Locked, clock: &Clock) {
    while !poll(sim, clock) {
        let next = step(sim);
        match next {
            Some(time) => drop(CHANGED.wait_until(sim.guard(), time)),
            None => CHANGED.wait(sim.guard()),
        }
    }
    show_printed(sim);
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
    sim.engine.host.join(clock);
    for fault in sim.contexts.values_mut().filter_map(|context| context.fault.as_mut()) {
        let (timeline, sequence) = fault.operation;
        fault.known |= clock.contains(timeline, sequence);
    }
    let Engine { timelines, host, .. } = &sim.engine;
    let finished = |id: TimelineId, one: &Timeline| {
        one.orphan && (one.submitted == 0 || host.contains(id, one.submitted))
    };
    let gone: Vec<TimelineId> =
        timelines.iter().filter(|&(&id, one)| finished(id, one)).map(|(&id, _)| id).collect();
    if gone.is_empty() {
        return;
    }
    sim.shadow.sweep(&sim.engine.host);
    for id in gone {
        sim.engine.timelines.remove(&id);
        sim.engine.host.forget(id);
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
    let Some(head) = sim.engine.timelines.get(&id)?.queue.front() else {
        sim.engine.active.remove(&id);
        return None;
    };
    if head.running || !sim.engine.is_complete(&head.after) {
        return Some(Step::Blocked);
    }
    let context = sim.engine.timelines[&id].context;
    let faulty = sim.contexts.get(&context).is_some_and(|found| found.fault.is_some());
    let head = sim.engine.timeline(id).queue.front_mut().expect("it was there");
    let due = *head.due.get_or_insert(now + head.delay);
    if due > now && !faulty {
        return Some(Step::Later(due));
    }
    let work = head.work.clone();
    match work {
        Work::Host(call) => {
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
        _ => {}
    }
    complete(sim, id);
    Some(Step::Completed)
}

fn complete(sim: &mut Sim, id: TimelineId) {
    let timeline = sim.engine.timeline(id);
    if let Some(done) = timeline.queue.pop_front() {
        timeline.completed = done.sequence;
    }
}

/// A host function has returned.
pub fn host_function_returned(id: TimelineId) {
    let mut sim = state::lock();
    complete(&mut sim, id);
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

/// Shows what kernels have printed: the device's buffer is emptied when the host waits.
pub fn show_printed(sim: &mut Sim) {
    let text = std::mem::take(&mut sim.engine.printed);
    if text.is_empty() {
        return;
    }
    let text = std::ffi::CString::new(text).unwrap_or_default();
    // SAFETY: format and argument are terminated strings; through `printf`, because the program
    // expects its own output and the device's in one order.
    unsafe { libc::printf(c"%s".as_ptr(), text.as_ptr()) };
}

/// Fails once the host knows of a fault in a context.
pub fn fault_of(sim: &Sim, context: ContextId) -> Api {
    match sim.contexts.get(&context) {
        Some(Context { fault: Some(Fault { error, known: true, .. }), .. }) => Err(*error),
        Some(_) => Ok(()),
        None => Err(Error::CONTEXT_IS_DESTROYED),
    }
}

/// Starts the thread that makes time pass while no call does.
pub fn start() {
    let work = || {
        block_signals();
        let mut sim = state::lock();
        loop {
            match step(&mut sim) {
                Some(time) => drop(SUBMITTED.wait_until(sim.guard(), time)),
                None => SUBMITTED.wait(sim.guard()),
            }
        }
    };
    thread::Builder::new().name("simcuda".to_owned()).spawn(work).expect("a thread can be started");
}

/// Signals are the program's: its own threads take them.
pub fn block_signals() {
    // SAFETY: a set of signals is plain data, filled before it is used.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
    }
}
