//! Leave to work in a context on the pool's own account.
//!
//! A flush works in contexts that are not its own. Before a context ends, its lease is revoked: no
//! new work begins there, and the work under way is waited for.

use parking_lot::{Condvar, Mutex};

#[derive(Default)]
struct State {
    holders: usize,
    revoked: bool,
}

/// Leave to work in a context, until it is revoked.
#[derive(Default)]
pub struct Lease {
    state: Mutex<State>,
    returned: Condvar,
}

/// The context stays while this lives.
pub struct Held<'a>(&'a Lease);

impl Lease {
    /// Leave to work; `None` once revoked.
    pub fn hold(&self) -> Option<Held<'_>> {
        let mut state = self.state.lock();
        if state.revoked {
            return None;
        }
        state.holders += 1;
        Some(Held(self))
    }

    /// Lets no more work begin, and waits for what is under way.
    pub fn revoke(&self) {
        let mut state = self.state.lock();
        state.revoked = true;
        self.returned.wait_while(&mut state, |state| state.holders > 0);
    }

    /// Gives leave again: the context did not end after all.
    pub fn restore(&self) {
        self.state.lock().revoked = false;
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.holders -= 1;
        if state.holders == 0 {
            self.0.returned.notify_all();
        }
    }
}
