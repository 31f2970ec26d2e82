//! The protocols that threads share, under a model checker, which decides at each step of a thread
//! which one goes on. What a thread writes, all others see at once; what comes of processors on which
//! they do not is for Miri.
//!
//! The very files of the library are compiled a second time here, with the checker's atomics in the
//! place of the processor's.

mod sync {
    //! As `crate::sync`.

    use std::ops::Deref;

    pub(crate) use shuttle::sync::MutexGuard;
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    #[derive(Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("no model panics and goes on")
        }
    }

    #[derive(Default)]
    pub(crate) struct Backoff(());

    impl Backoff {
        pub(crate) fn wait(&mut self) {
            shuttle::thread::yield_now();
        }

        pub(crate) fn wait_among_many(&mut self) {
            self.wait();
        }
    }

    #[derive(Default)]
    pub(crate) struct Padded<T>(pub(crate) T);

    impl<T> Deref for Padded<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }
}

/// Orders in which each model is run.
const ORDERS: usize = 4000;

#[expect(clippy::duplicate_mod, reason = "compiled with the checker's atomics")]
#[allow(dead_code, reason = "some is not needed in a model")]
#[path = "front/bins.rs"]
mod bins;
mod fences;
mod idle;
mod peak;
#[expect(clippy::duplicate_mod, reason = "compiled with the checker's atomics")]
#[allow(dead_code, reason = "some is not needed in a model")]
#[path = "front/tally.rs"]
mod tally;
#[expect(clippy::duplicate_mod, reason = "compiled with the checker's atomics")]
#[path = "order/turn.rs"]
mod turn;

/// Runs `body` in many orders of its threads' steps: half of them at random, half of them with the few
/// changes of thread at which mistakes of such protocols show.
fn in_many_orders(body: impl Fn() + Copy + Sync + Send + 'static) {
    in_orders(ORDERS, body);
}

/// The same in so many orders.
fn in_orders(orders: usize, body: impl Fn() + Copy + Sync + Send + 'static) {
    shuttle::check_random(body, orders / 2);
    shuttle::check_pct(body, orders / 2, 3);
}
