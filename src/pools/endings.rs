//! Contexts whose end is under way.
//!
//! As soon as a context is destroyed, the driver may give its handle to the next one, in another
//! thread, while the one that ended it is not yet back from the driver. What the pools know by that
//! handle is then still the old context's. So an end is noted *before* the driver is called, and
//! whoever got a handle from the driver waits until no end that was noted under it is under way.
//!
//! Nothing is held across the call itself: contexts come and go beside each other.

use parking_lot::{Condvar, Mutex};

use crate::driver::Context;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Endings {
    under_way: Mutex<Vec<Context>>,
    over: Condvar,
}

/// The end of a context is under way while this lives.
pub(super) struct Ending<'a> {
    endings: &'a Endings,
    context: Context,
}

impl Endings {
    /// The driver is about to be asked to end `context`.
    pub(super) fn begin(&self, context: Context) -> Ending<'_> {
        self.under_way.lock().push(context);
        Ending { endings: self, context }
    }

    /// Returns once no end of a context with this handle is under way.
    pub(super) fn pass(&self, context: Context) {
        let mut under_way = self.under_way.lock();
        self.over.wait_while(&mut under_way, |contexts| contexts.contains(&context));
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut under_way = self.endings.under_way.lock();
        if let Some(at) = under_way.iter().position(|&context| context == self.context) {
            under_way.swap_remove(at);
        }
        self.endings.over.notify_all();
    }
}
