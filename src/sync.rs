//! What the protocols that threads share are built on. The model checker puts its own in its place
//! (`src/model.rs`).

use std::hint::spin_loop;
use std::ops::Deref;
use std::thread;
use std::time::Duration;

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use parking_lot::{Mutex, MutexGuard};

/// Rounds in which a waiting thread keeps its processor: some microseconds, several times what is
/// waited for takes unless its thread was put off its own processor.
const SPINS: u32 = 128;
/// Further rounds in which it lets others run.
const YIELDS: u32 = 32;
/// How long it sleeps in each round after those.
const NAP: Duration = Duration::from_micros(50);
/// How often that is doubled where many may wait: hundreds that wake every 50 µs keep the processors
/// from the one that they wait for.
const DOUBLINGS: u32 = 6;

/// A thread waits for another one that is about to be done.
#[derive(Default)]
pub(crate) struct Backoff {
    rounds: u32,
}

impl Backoff {
    /// Waits for a moment, for the one thread that is to go on next.
    pub(crate) fn wait(&mut self) {
        if self.rounds < SPINS {
            spin_loop();
        } else if self.rounds < SPINS + YIELDS {
            thread::yield_now();
        } else {
            thread::sleep(NAP);
            return;
        }
        self.rounds += 1;
    }

    /// Waits for a moment, a longer one the longer it has lasted, where many threads may do so.
    pub(crate) fn wait_among_many(&mut self) {
        match self.rounds.checked_sub(SPINS + YIELDS) {
            None => self.wait(),
            Some(naps) => {
                thread::sleep(NAP * (1 << naps.min(DOUBLINGS)));
                self.rounds = self.rounds.saturating_add(1);
            }
        }
    }
}

/// Alone on its cache lines (processors fetch them in pairs), so that threads which write to its
/// neighbours do not take it away from those that read it.
#[derive(Default)]
#[repr(align(128))]
pub struct Padded<T>(pub(crate) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
