//! Captures and contexts: what begins and ends around the pools.

use std::sync::atomic::Ordering;

use super::Pools;
use crate::driver::{Context, Driver, Stream};

impl<D: Driver> Pools<D> {
    /// Whether a stream capture is under way, in any context.
    pub fn is_capturing(&self) -> bool {
        self.captures.any()
    }

    /// The devices that have pools, a bit for each of the first 63.
    pub fn devices(&self) -> u64 {
        let ordinals = self.table.all().into_iter().map(|pool| pool.device.0);
        ordinals
            .filter(|ordinal| (0..63).contains(ordinal))
            .fold(0, |bits, ordinal| bits | 1 << ordinal)
    }

    /// Runs begin-capture of `stream`, `call`, and gives its `CUresult`.
    pub fn begin_capture(&self, stream: Stream, call: impl FnOnce() -> i32) -> i32 {
        self.captures.announce(stream, self.driver.current_context().ok().flatten());
        for pool in self.table.all() {
            pool.fences.pass();
        }
        let result = call();
        if result != 0 && self.captures.forget(stream) {
            self.captures_ended();
        }
        result
    }

    /// Runs end-capture of `stream`, `call`, and gives its `CUresult`.
    pub fn end_capture(&self, stream: Stream, call: impl FnOnce() -> i32) -> i32 {
        let result = call();
        if self.captures.ended(stream, &self.driver) {
            self.captures_ended();
        }
        result
    }

    /// Runs the destruction of `stream`, `call`, and gives its `CUresult`.
    pub fn destroy_stream(&self, stream: Stream, call: impl FnOnce() -> i32) -> i32 {
        let result = call();
        if result == 0 && self.captures.any() && self.captures.forget(stream) {
            self.captures_ended();
        }
        result
    }

    fn captures_ended(&self) {
        for pool in self.table.all() {
            // Another thread may be destroying the context of this one.
            if let Some(_held) = pool.lease.hold() {
                pool.captures_ended(&self.driver, &self.captures);
            }
        }
    }

    /// The driver has given `context` to the program, as a new one or one more time: returns once
    /// nothing is left here of one that had its handle before.
    pub fn context_given(&self, context: Context) {
        self.endings.pass(context);
    }

    /// Runs what is to end `context`, `call` (its destruction, the primary context's reset or
    /// release), and gives its `CUresult`. What is owed is paid first, and no flush works in the
    /// context meanwhile. `remains` tells whether the context exists after a call that succeeded.
    pub fn end_context(
        &self,
        context: Context,
        call: impl FnOnce() -> i32,
        remains: impl FnOnce() -> bool,
    ) -> i32 {
        self.settle();
        let _ending = self.endings.begin(context);
        let mut pools = self.table.all();
        pools.retain(|pool| pool.context == context);
        pools.iter().for_each(|pool| pool.lease.revoke());
        let result = call();
        if result == 0 && !remains() {
            self.context_ended(context);
        } else {
            pools.iter().for_each(|pool| pool.lease.restore());
        }
        result
    }

    /// `context` is no more: its pools are forgotten, and what outlives a context is given back.
    pub fn context_ended(&self, context: Context) {
        let _ =
            self.first_context.compare_exchange(context.0, 0, Ordering::AcqRel, Ordering::Acquire);
        if self.captures.forget_context(context) {
            self.captures_ended();
        }
        self.end_imports(context);
        self.peers.forget(context);
        for pool in self.table.remove(context) {
            let (held, snapshot) = pool.end(&self.driver);
            self.strike(pool.number, held);
            let mut ended = self.ended.lock();
            match ended.iter_mut().find(|other| other.device == snapshot.device) {
                Some(other) => other.counters.absorb(&snapshot.counters),
                None => ended.push(snapshot),
            }
        }
    }
}
