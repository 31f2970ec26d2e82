//! The live page of this process, as its worker keeps it.

use std::time::{Duration, Instant};

use cupool::config::Options;
use cupool::driver::Device;
use cupool::files::Target;
use cupool::live::{
    self, Asked, Figures, Flush, LONGEST_PERIOD, Neighbourhood, Page, Process, SHORTEST_PERIOD,
    Urgency, WATCHED_PERIOD,
};
use cupool::pools::{Neighbours, Pools};
use cupool::report::ProcessFacts;
use cupool::snapshot;
use cupool::stats::FlushReason;

use crate::driver::RealDriver;
use crate::signal;

/// What a page is made of, gathered where the environment may be read.
pub struct Plan {
    target: Target,
    facts: ProcessFacts,
    process: Process,
}

impl Plan {
    /// The page that `options` ask for, if any. Reads the environment.
    pub fn new(options: &Options) -> Option<Self> {
        options.live.then(|| {
            let facts = ProcessFacts::of_this_process();
            let process = Process::current(&facts, options.signal.number());
            Self { target: Page::place(&process), facts, process }
        })
    }
}

/// The other processes of this user under cupool. Reads the environment.
pub fn neighbours() -> Option<Box<dyn Neighbours>> {
    let process = Process::current(&ProcessFacts::of_this_process(), None);
    Some(Box::new(Neighbourhood::of(process)))
}

/// The page, if there is one.
pub struct Live {
    page: Option<Page>,
    /// When figures were published last.
    published: Instant,
    /// When they are to be again, unless somebody watches.
    pause: Duration,
    /// [`Figures::changes`] then.
    changes: u64,
    /// The last flush that was asked for here.
    answer: Option<(u64, Flush)>,
}

impl Live {
    /// Makes the page, and has whoever asks there wake the worker, whose thread calls this. A page
    /// that cannot be had is no page: the program goes on.
    pub fn begin(plan: Option<Plan>) -> Self {
        let make = |plan: Plan| match Page::make(plan.target, plan.facts, plan.process) {
            Ok(page) => Some(page),
            Err(error) => {
                tracing::info!("no live page: {error}");
                None
            }
        };
        let page = plan.and_then(make);
        if let Some(page) = &page {
            tracing::debug!(path = %page.path().display(), "live page");
            signal::wait_there(page.wake());
            page.listen(true);
            live::sweep(page.path());
        }
        let (published, pause) = (Instant::now(), Duration::ZERO);
        Self { page, published, pause, changes: 0, answer: None }
    }

    /// When figures are to be published next.
    pub fn next(&self) -> Option<Instant> {
        let watched = self.page.as_ref()?.is_watched();
        let period = if watched { self.pause.min(WATCHED_PERIOD) } else { self.pause };
        self.published.checked_add(period)
    }

    /// A flush that somebody asks for.
    pub fn asked(&mut self) -> Option<Asked> {
        self.page.as_mut()?.asked()
    }

    /// Makes that flush.
    pub fn serve(&mut self, pools: &Pools<RealDriver>, asked: Asked) {
        self.answer = Some((asked.number, flush(pools, asked)));
        self.publish(pools);
    }

    /// Writes the memory snapshot that somebody asks for. False if nobody does.
    pub fn serve_snapshot(&mut self, pools: &Pools<RealDriver>) -> bool {
        let Some(page) = &mut self.page else { return false };
        page.serve_snapshot(|process| snapshot::json(pools, process, "request"))
    }

    /// Publishes figures.
    pub fn publish(&mut self, pools: &Pools<RealDriver>) {
        let Some(page) = &mut self.page else { return };
        let snapshot = pools.snapshot();
        let mut figures = Figures::new(&snapshot);
        if let Some((served, answer)) = &mut self.answer {
            // What the device still used then may have come back since.
            let request = snapshot.flushes.iter().find(|flush| flush.time == answer.time);
            if let Some(record) = request.filter(|record| record.pending == answer.pending_bytes) {
                answer.released_later_bytes = record.released_later;
            }
            figures.served = *served;
            figures.answer = Some(answer.clone());
        }
        page.publish(&mut figures);
        let changes = figures.changes();
        // Before the first time there is no pause.
        self.pause = if changes == self.changes && !self.pause.is_zero() {
            (self.pause * 2).min(LONGEST_PERIOD)
        } else {
            SHORTEST_PERIOD
        };
        self.changes = changes;
        self.published = Instant::now();
    }

    /// The process ends.
    pub fn end(&self) {
        if let Some(page) = &self.page {
            page.remove();
        }
    }
}

/// Flushes the devices with these bits. Of several flushes, the sum.
fn flush(pools: &Pools<RealDriver>, asked: Asked) -> Flush {
    let flush = |only| {
        Flush::from(&match asked.urgency {
            Urgency::Asked => pools.flush_asked(FlushReason::Request, only),
            Urgency::Forced => pools.flush_on(FlushReason::Request, only),
            Urgency::Neighbour => pools.flush_on(FlushReason::Neighbour, only),
        })
    };
    if asked.devices == Asked::ALL {
        return flush(None);
    }
    let ordinals = (0..u64::BITS as i32).filter(|ordinal| asked.devices >> ordinal & 1 == 1);
    let flushes = ordinals.map(|ordinal| flush(Some(Device(ordinal))));
    flushes.reduce(Flush::and).unwrap_or_default()
}
