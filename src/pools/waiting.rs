//! Waiting for memory that is free as soon as the device is done with it.

use std::time::{Duration, Instant};

use super::grow::RETRY_FOR;
use super::neighbours::Asking;
use super::{Phase, Pools};
use crate::driver::{Device, Driver};
use crate::pool::Pool;
use crate::stats::FlushReason;

/// How long the device is given between two looks at whether it is done.
const PAUSE: Duration = Duration::from_millis(1);

impl<D: Driver> Pools<D> {
    /// Waits until the device is done with what was freed so far: in `pool` for as long as that takes,
    /// as the driver's free would have; until `deadline` in other contexts of its device, whose work
    /// may in turn wait for the calling thread.
    ///
    /// Captures are no obstacle: what is waited for was recorded outside of them.
    pub(super) fn wait_for_idle(&self, pool: &Pool<D>, deadline: Instant) {
        let pools = self.table.all();
        for other in pools.iter().filter(|other| other.device == pool.device) {
            if other.number == pool.number {
                // Another thread may be destroying the context, which waits too.
                let Some(_held) = pool.lease.hold() else { continue };
                pool.order_idle(&self.driver, &self.captures, self.mode.mode());
                pool.wait_pending(&self.driver);
            } else {
                self.wait_until(other, deadline);
            }
        }
    }

    /// The same for one context, until `deadline`.
    fn wait_until(&self, pool: &Pool<D>, deadline: Instant) {
        let Some(_held) = pool.lease.hold() else { return };
        let until = pool.order_idle(&self.driver, &self.captures, self.mode.mode());
        while pool.awaits(&self.driver, &until) && Instant::now() < deadline {
            std::thread::sleep(PAUSE);
        }
    }

    /// Another call than an allocation of ours found no memory: gives back what is idle, on all
    /// devices. With `wait`, first waits until they are done with it, ten seconds at most, and asks
    /// the neighbours on the current device. Whether anything was given back.
    pub fn make_room(&self, wait: bool) -> bool {
        if wait && self.phase() == Phase::Open {
            let deadline = Instant::now() + RETRY_FOR;
            self.table.all().iter().for_each(|pool| self.wait_until(pool, deadline));
        }
        let flushed =
            if wait { self.flush_waiting(None) } else { self.flush(FlushReason::OutOfMemory) };
        let given_back = flushed.given_back() > 0;
        let device = if wait { self.driver.context_device().ok() } else { None };
        device.is_some_and(|device| self.neighbours_help(device, &mut Asking::default()))
            || given_back
    }

    /// How far the contexts of a device are known to have come. It grows whenever one comes further.
    pub(super) fn reached(&self, device: Device) -> u64 {
        let pools = self.table.all();
        let here = pools.iter().filter(|pool| pool.device == device);
        here.map(|pool| pool.reached()).sum()
    }
}
