//! The host's wait that a fence leaves owed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether a wait is owed. Looked at in calls that a program may make by the million, so a look
/// takes two loads.
#[derive(Default)]
pub struct Debt {
    owed: AtomicBool,
    /// Threads that are paying.
    payers: AtomicUsize,
}

/// One thread pays while this lives.
struct Paying<'a>(&'a Debt);

impl Debt {
    /// A fence was placed without a wait.
    pub fn incur(&self) {
        if !self.owed.load(Ordering::Relaxed) {
            self.owed.store(true, Ordering::SeqCst);
        }
    }

    /// Runs `wait` if one is owed, or is being paid by another thread: until that is done, the
    /// calling thread could still see the device at work.
    pub fn pay(&self, wait: impl FnOnce()) {
        // In the reverse order of the two changes below: whoever sees no debt any more sees the
        // payer, or what it waited for is done.
        if !self.owed.load(Ordering::SeqCst) && self.payers.load(Ordering::SeqCst) == 0 {
            return;
        }
        let _paying = Paying::begin(self);
        // Before the wait, so that what is owed meanwhile is paid by the next.
        self.owed.store(false, Ordering::SeqCst);
        wait();
    }
}

impl<'a> Paying<'a> {
    fn begin(debt: &'a Debt) -> Self {
        debt.payers.fetch_add(1, Ordering::SeqCst);
        Self(debt)
    }
}

impl Drop for Paying<'_> {
    fn drop(&mut self) {
        self.0.payers.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_debt_is_paid_once() {
        let debt = Debt::default();
        let paid = Cell::new(0);
        let pay = || debt.pay(|| paid.set(paid.get() + 1));
        pay();
        assert_eq!(paid.get(), 0, "nothing is owed");
        debt.incur();
        debt.incur();
        pay();
        pay();
        assert_eq!(paid.get(), 1);
        debt.incur();
        pay();
        assert_eq!(paid.get(), 2);
    }

    #[test]
    fn who_comes_while_another_pays_waits_too() {
        let debt = Debt::default();
        let second = Cell::new(false);
        debt.incur();
        debt.pay(|| debt.pay(|| second.set(true)));
        assert!(second.get());
    }
}
