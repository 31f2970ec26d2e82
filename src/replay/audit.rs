//! What must never happen, whatever a pool does to be fast.

use std::collections::{BTreeMap, VecDeque};

use crate::driver::DevicePtr;

/// A moment in the trace: which of its calls, counted from 1, and when in nanoseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Moment {
    pub call: u64,
    pub ns: u64,
}

/// A block that the program gave back.
struct Freed {
    start: u64,
    end: u64,
    when: Moment,
}

/// Follows every block and finds what the device would stumble over:
///
/// - a block handed out where another one is, or where nothing can be accessed;
/// - a block handed out while earlier work may still touch it and no fence orders the two;
/// - memory taken away while the program holds it, or while the device may still touch it.
#[derive(Default)]
pub(super) struct Audit {
    /// End of each block in the program's hands, by its start.
    live: BTreeMap<u64, u64>,
    /// Blocks whose last work may not be done, in the order of their frees.
    freed: VecDeque<Freed>,
    /// The call up to which later work runs behind all earlier work.
    ordered: u64,
    violations: Vec<String>,
}

impl Audit {
    /// The program got a block. `usable` tells whether the device can access all of it, `done` what
    /// it has finished.
    pub(super) fn allocated(
        &mut self,
        ptr: DevicePtr,
        bytes: u64,
        usable: bool,
        now: Moment,
        done: impl Fn(Moment) -> bool,
    ) {
        self.forget(done);
        let (start, end) = (ptr.0, ptr.0 + bytes);
        if !usable {
            self.violation(now, format!("block {start:#x} of {bytes} bytes is not mapped"));
        }
        if let Some(other) = self.live_in(start, end) {
            self.violation(now, format!("block {start:#x} overlaps the live one at {other:#x}"));
        }
        let ordered = self.ordered;
        if self.overlapping(start, end).any(|freed| freed.when.call > ordered) {
            self.violation(now, format!("block {start:#x} is reused without a fence"));
        }
        self.live.insert(start, end);
    }

    /// The program is about to give a block back.
    pub(super) fn freed(&mut self, ptr: DevicePtr, when: Moment) {
        if let Some(end) = self.live.remove(&ptr.0) {
            self.freed.push_back(Freed { start: ptr.0, end, when });
        }
    }

    /// All work from now on runs behind the work up to `call`.
    pub(super) fn ordered(&mut self, call: u64) {
        self.ordered = self.ordered.max(call);
    }

    /// Memory goes, by `name`. `done` tells what the device has finished.
    pub(super) fn taken_away(
        &mut self,
        name: &str,
        start: u64,
        bytes: u64,
        now: Moment,
        done: impl Fn(Moment) -> bool,
    ) {
        let end = start + bytes;
        self.forget(&done);
        if let Some(live) = self.live_in(start, end) {
            self.violation(now, format!("{name} of {start:#x} takes the live block {live:#x}"));
        }
        if self.overlapping(start, end).any(|freed| !done(freed.when)) {
            self.violation(now, format!("{name} of {start:#x} while the device may touch it"));
        }
    }

    /// What was found.
    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    /// What the device has finished can be reused in any way.
    fn forget(&mut self, done: impl Fn(Moment) -> bool) {
        while self.freed.front().is_some_and(|freed| done(freed.when)) {
            self.freed.pop_front();
        }
    }

    /// The last live block that reaches into a range.
    fn live_in(&self, start: u64, end: u64) -> Option<u64> {
        let (&live, &live_end) = self.live.range(..end).next_back()?;
        (live_end > start).then_some(live)
    }

    fn overlapping(&self, start: u64, end: u64) -> impl Iterator<Item = &Freed> {
        self.freed.iter().filter(move |freed| freed.start < end && freed.end > start)
    }

    fn violation(&mut self, now: Moment, what: String) {
        self.violations.push(format!("call {}: {what}", now.call));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(call: u64) -> Moment {
        Moment { call, ns: call }
    }

    fn audit_of(steps: impl FnOnce(&mut Audit)) -> Vec<String> {
        let mut audit = Audit::default();
        steps(&mut audit);
        audit.violations
    }

    #[test]
    fn what_is_right_passes() {
        let found = audit_of(|audit| {
            audit.allocated(DevicePtr(0x1000), 0x1000, true, at(1), |_| false);
            audit.allocated(DevicePtr(0x2000), 0x1000, true, at(2), |_| false);
            audit.freed(DevicePtr(0x1000), at(3));
            audit.ordered(3);
            audit.allocated(DevicePtr(0x1000), 0x800, true, at(4), |_| false);
            audit.freed(DevicePtr(0x1000), at(5));
            audit.taken_away("cuMemUnmap", 0x1000, 0x1000, at(6), |_| true);
            // Nothing orders what is there anew.
            audit.allocated(DevicePtr(0x1000), 0x1000, true, at(7), |_| false);
        });
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn each_violation_is_found() {
        let block =
            |audit: &mut Audit| audit.allocated(DevicePtr(0x1000), 0x1000, true, at(1), |_| false);
        for (expected, steps) in [
            (
                "not mapped",
                (|audit| {
                    audit.allocated(DevicePtr(0x1000), 0x1000, false, at(1), |_| false);
                }) as fn(&mut Audit),
            ),
            ("overlaps", |audit| {
                audit.allocated(DevicePtr(0x1800), 0x1000, true, at(2), |_| false)
            }),
            ("without a fence", |audit| {
                audit.freed(DevicePtr(0x1000), at(2));
                audit.ordered(1);
                audit.allocated(DevicePtr(0x1800), 8, true, at(3), |_| false);
            }),
            ("takes the live block", |audit| {
                audit.taken_away("cuMemUnmap", 0, 0x1001, at(2), |_| true);
            }),
            ("may touch it", |audit| {
                audit.freed(DevicePtr(0x1000), at(2));
                audit.ordered(2);
                audit.taken_away("cuMemUnmap", 0x1fff, 1, at(3), |moment| moment.call < 2);
            }),
        ] {
            let found = audit_of(|audit| {
                if expected != "not mapped" {
                    block(audit);
                }
                steps(audit);
            });
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
    }
}
