//! Waiting for memory that is free as soon as the device is done with it.

use std::time::{Duration, Instant};

use super::Pools;
use crate::driver::{Device, Driver};
use crate::pool::Pool;

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
            // Another thread may be destroying the context, which waits too.
            let Some(_held) = other.lease.hold() else { continue };
            let until = other.order_idle(&self.driver, &self.captures, self.mode.mode());
            if other.number == pool.number {
                other.wait_pending(&self.driver);
            } else {
                while other.awaits(&self.driver, until) && Instant::now() < deadline {
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// How far the contexts of a device are known to have come. It grows whenever one comes further.
    pub(super) fn reached(&self, device: Device) -> u64 {
        let pools = self.table.all();
        let here = pools.iter().filter(|pool| pool.device == device);
        here.map(|pool| pool.fences.completed().0).sum()
    }
}
