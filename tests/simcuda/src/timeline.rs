//! Operations that wait or run, and the sequences that they form.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::clock::{Clock, TimelineId};
use crate::context::ContextId;
use crate::copy::Row;
use crate::fill::Pattern;
use crate::hazard::Touch;
use crate::host_function::HostCall;
use crate::kernels::Kernel;

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

/// An operation that has not completed.
pub struct Queued {
    /// Its place in the timeline.
    pub sequence: u64,
    /// What must have completed before it begins.
    pub after: Clock,
    /// What it does.
    pub work: Work,
    /// How long that takes.
    pub delay: Duration,
    /// When it is over, once it has begun.
    pub due: Option<Instant>,
    /// A host function has been started.
    pub running: bool,
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

impl Timeline {
    /// Appends an operation; returns its place.
    pub fn push(&mut self, after: Clock, work: Work, delay: Duration) -> u64 {
        self.submitted += 1;
        let sequence = self.submitted;
        self.queue.push_back(Queued { sequence, after, work, delay, due: None, running: false });
        sequence
    }

    /// The operation that runs, or will run next.
    pub fn head(&mut self) -> Option<&mut Queued> {
        self.queue.front_mut()
    }

    /// The head has completed.
    pub fn complete(&mut self) {
        if let Some(done) = self.queue.pop_front() {
            self.completed = done.sequence;
        }
    }
}

/// All timelines, and what is known of them.
#[derive(Default)]
pub struct Engine {
    timelines: BTreeMap<TimelineId, Timeline>,
    /// Those with something queued.
    pub active: BTreeSet<TimelineId>,
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

    /// All timelines.
    pub fn timelines(&self) -> impl Iterator<Item = &Timeline> {
        self.timelines.values()
    }

    /// The abandoned timelines all of whose work the host knows complete.
    pub fn finished_orphans(&self) -> Vec<TimelineId> {
        let finished = |id: TimelineId, timeline: &Timeline| {
            let all = timeline.submitted;
            timeline.orphan && (all == 0 || self.host.contains(id, all))
        };
        let all = self.timelines.iter();
        all.filter(|&(&id, timeline)| finished(id, timeline)).map(|(&id, _)| id).collect()
    }

    /// Removes a finished timeline.
    pub fn remove(&mut self, id: TimelineId) {
        self.timelines.remove(&id);
        self.host.forget(id);
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
