//! What other processes hold idle is free to this one: they are asked before an allocation fails.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::{Phase, Pools};
use crate::driver::{Device, Driver};

/// How long other processes are waited for, in all.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long they are given between two tries to use what they are about to give back.
const PAUSE: Duration = Duration::from_millis(5);

/// The other processes that use a device.
pub trait Neighbours: Send + Sync {
    /// Asks all that use the device with this UUID to give back what they hold idle there, and waits
    /// until they have said what came of it, at most until `deadline`.
    fn ask(&self, uuid: &str, deadline: Instant) -> Answer;
}

/// What neighbours have given back, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// By now.
    pub released: u64,
    /// As soon as the device is done with it.
    pub pending: u64,
    /// Processes that have not answered in time. They may have given something back all the same.
    pub silent: u32,
}

/// How it stands with the neighbours while one allocation is tried again and again.
#[derive(Default)]
pub(super) struct Asking {
    asked: Option<(Answer, Instant)>,
}

impl<D: Driver> Pools<D> {
    /// The same with `neighbours`, who are asked unless the option `ask_neighbours` says no.
    pub fn beside(mut self, neighbours: impl FnOnce() -> Option<Box<dyn Neighbours>>) -> Self {
        if self.options.ask_neighbours {
            self.neighbours = neighbours();
        }
        self
    }

    /// There is no memory on `device`. Whether to try once more, since neighbours have given some back,
    /// or are about to.
    ///
    /// No lock is held that an answer needs: whoever asks answers others at the same time, by
    /// cupool's own thread, and has given back what it holds idle before it asks.
    pub(super) fn neighbours_help(&self, device: Device, asking: &mut Asking) -> bool {
        let Some(neighbours) = &self.neighbours else { return false };
        if self.phase() != Phase::Open {
            return false;
        }
        match asking.asked {
            None => {
                let pools = self.table.all();
                let pool = pools.iter().find(|pool| pool.device == device);
                let uuid = match pool {
                    Some(pool) => pool.facts().uuid.clone(),
                    None => match self.driver.device_facts(device) {
                        Ok(facts) => facts.uuid,
                        Err(_) => return false,
                    },
                };
                let deadline = Instant::now() + PATIENCE;
                let answer = neighbours.ask(&uuid, deadline);
                tracing::info!(
                    "other processes have given {} bytes back, {} more may follow",
                    answer.released,
                    answer.pending,
                );
                if let Some(pool) = pool {
                    let counter = &pool.events.neighbours_released;
                    counter.fetch_add(answer.released, Ordering::Relaxed);
                }
                asking.asked = Some((answer, deadline));
                answer.released > 0 || answer.pending > 0 || answer.silent > 0
            }
            Some((answer, deadline)) => {
                let waits = answer.pending > 0 && Instant::now() < deadline;
                if waits {
                    thread::sleep(PAUSE);
                }
                waits
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::config::Options;
    use crate::driver::DriverError;
    use crate::fake::FakeDriver;

    const MIB: u64 = 1 << 20;

    /// A neighbour that answers the same to everybody, and counts.
    struct Always(Answer, Arc<AtomicU32>);

    impl Neighbours for Always {
        fn ask(&self, _uuid: &str, deadline: Instant) -> Answer {
            assert!(deadline <= Instant::now() + PATIENCE);
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0
        }
    }

    /// How often a neighbour was asked in vain by an allocation, and how long that took.
    fn in_vain(conf: &str, answer: Answer) -> (u32, Duration) {
        let (options, _) = Options::parse(conf, false);
        let asked = Arc::new(AtomicU32::new(0));
        let neighbour = Always(answer, asked.clone());
        let pools = Pools::new(FakeDriver::new(64 * MIB).with_vmm(), &options)
            .beside(|| Some(Box::new(neighbour)));
        let held = pools.allocate(48 * MIB).unwrap();
        let started = Instant::now();
        assert_eq!(pools.allocate(32 * MIB), Err(DriverError::OUT_OF_MEMORY));
        let took = started.elapsed();
        pools.free(held).unwrap();
        assert!(pools.allocate(32 * MIB).is_ok());
        let counters = &pools.snapshot().pools[0].counters;
        assert_eq!(counters.num_ooms, 1);
        let told = asked.load(Ordering::Relaxed) as u64 * answer.released;
        assert_eq!(counters.neighbours_released, told);
        (asked.load(Ordering::Relaxed), took)
    }

    #[test]
    fn neighbours_are_asked_once_and_waited_for_as_long_as_more_may_come() {
        for conf in ["backing:arena", "backing:exact"] {
            let (asked, _) = in_vain(conf, Answer::default());
            assert_eq!(asked, 1, "{conf}");
            let (asked, _) = in_vain(conf, Answer { released: 1, ..Answer::default() });
            assert_eq!(asked, 1, "{conf}");
            let (asked, took) = in_vain(conf, Answer { pending: 1, ..Answer::default() });
            assert_eq!(asked, 1, "{conf}");
            assert!(took >= PATIENCE && took < 10 * PATIENCE, "{conf}: {took:?}");
        }
    }

    /// How often the driver is asked for memory in vain.
    fn tries(answer: Answer) -> usize {
        let (options, _) = Options::parse("backing:exact", false);
        let neighbour = Always(answer, Arc::default());
        let pools =
            Pools::new(FakeDriver::new(64 * MIB), &options).beside(|| Some(Box::new(neighbour)));
        assert_eq!(pools.allocate(65 * MIB), Err(DriverError::OUT_OF_MEMORY));
        let before = pools.driver().count("allocate");
        let _held = pools.allocate(48 * MIB).unwrap();
        assert_eq!(pools.allocate(32 * MIB), Err(DriverError::OUT_OF_MEMORY));
        pools.driver().count("allocate") - before
    }

    #[test]
    fn what_one_gives_back_that_does_not_answer_in_time_is_looked_for() {
        let silent = Answer { silent: 1, ..Answer::default() };
        assert_eq!(tries(silent), tries(Answer::default()) + 1);
    }

    #[test]
    fn neighbours_are_left_alone_if_so_told() {
        let (asked, _) =
            in_vain("ask_neighbours:off", Answer { released: 1, pending: 1, silent: 1 });
        assert_eq!(asked, 0);
    }
}
