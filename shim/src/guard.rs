//! Whether the calling thread is inside the pools.

use std::cell::Cell;

thread_local! {
    /// The calling thread is inside the pools, whose own driver calls are none of the program's.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is inside the pools while this lives. A call that comes in meanwhile is the
/// driver's own, or that of a signal handler which has interrupted the pools: it stays outside.
pub struct Guard(());

impl Guard {
    /// `None` if it already is.
    #[inline]
    pub fn enter() -> Option<Self> {
        // A thread that is being torn down has no flag any more, and goes to the driver.
        let outside = INSIDE.try_with(|inside| !inside.replace(true)).unwrap_or(false);
        outside.then_some(Self(()))
    }
}

impl Drop for Guard {
    #[inline]
    fn drop(&mut self) {
        let _ = INSIDE.try_with(|inside| inside.set(false));
    }
}
