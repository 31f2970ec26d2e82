//! Whether the process shares memory in ways that only native allocations allow, and so which
//! backing a new pool gets.

use std::sync::OnceLock;

use super::Pools;
use crate::backing::{Arena, Backing, Exact, Kind, Surroundings, choose, wants_native};
use crate::driver::{Device, DeviceFacts, Driver};
use crate::order::Sign;

/// What is known of that.
pub(super) struct Sharing {
    /// The first call that asked for what the arena cannot do.
    seen: OnceLock<Sign>,
    /// What is around the pools.
    look: fn() -> Surroundings,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { seen: OnceLock::new(), look: Surroundings::default }
    }
}

impl Sharing {
    /// A call gave `sign`.
    pub(super) fn see(&self, sign: Sign) {
        if wants_native(sign) {
            // Only the first is told of.
            let _ = self.seen.set(sign);
        }
    }
}

impl<D: Driver> Pools<D> {
    /// The same in a process of which `look` tells what is around the pools, asked once for each
    /// pool that is made.
    pub fn among(mut self, look: fn() -> Surroundings) -> Self {
        self.sharing.look = look;
        self
    }

    /// The backing for a new pool on `device`, and why.
    pub(super) fn choose_backing(
        &self,
        device: Device,
        facts: &DeviceFacts,
    ) -> (Box<dyn Backing<D>>, String) {
        let seen = self.sharing.seen.get().copied();
        let (kind, reason) = choose(self.options.backing, facts.vmm, seen, &(self.sharing.look)());
        let (Kind::Arena, Some(vmm)) = (kind, facts.vmm) else {
            return (Box::new(Exact::new()), reason);
        };
        match Arena::reserve(&self.driver, device, vmm, facts.total_bytes) {
            Ok(arena) => (Box::new(arena), reason),
            Err(error) => {
                (Box::new(Exact::new()), format!("no addresses could be reserved: {error}"))
            }
        }
    }
}
