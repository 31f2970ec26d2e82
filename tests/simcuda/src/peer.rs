//! Access of devices to each other's memory.
//!
//! What `cuMemAlloc` gave is open to the contexts that have enabled access to its own, what is mapped
//! to the devices that `cuMemSetAccess` named. Copies need neither, as on a real driver.

use crate::context::{self, ContextId};
use crate::error::{Api, Error};
use crate::hazard::{self, Touch};
use crate::memory::{Block, Kind};
use crate::settings::SETTINGS;
use crate::state::{self, Sim};

/// `cuCtxEnablePeerAccess`
pub fn enable(peer: ContextId, flags: u32) -> Api {
    if !SETTINGS.peers {
        return Err(if SETTINGS.devices < 2 {
            Error::INVALID_CONTEXT
        } else {
            Error::NOT_SUPPORTED
        });
    }
    let mut sim = state::lock();
    let own = context::current(&sim)?;
    let other = sim.contexts.get(&peer).ok_or(Error::INVALID_CONTEXT)?.device;
    if flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    let context = sim.contexts.get_mut(&own).expect("it is current");
    if context.device == other {
        return Err(Error::PEER_ACCESS_UNSUPPORTED);
    }
    if context.peers.insert(peer) { Ok(()) } else { Err(Error::PEER_ACCESS_ALREADY_ENABLED) }
}

/// `cuCtxDisablePeerAccess`
pub fn disable(peer: ContextId) -> Api {
    let mut sim = state::lock();
    let own = context::current(&sim)?;
    let context = sim.contexts.get_mut(&own).expect("it is current");
    if context.peers.remove(&peer) { Ok(()) } else { Err(Error::PEER_ACCESS_NOT_ENABLED) }
}

impl Sim {
    /// Ends the process if a kernel or a fill of a context touches what its device does not reach.
    pub fn check_reach(&self, what: &str, touch: &Touch, context: ContextId) {
        let mut at = touch.range.start;
        while at < touch.range.end {
            let Some((start, block)) = self.memory.around(at) else { return };
            if !self.reaches(context, block) {
                hazard::report(&[
                    "memory of another device used without access to it",
                    &format!("{what}, {:?} from {at:#x}", touch.access),
                ]);
            }
            at = start + block.bytes.max(1);
        }
    }

    fn reaches(&self, context: ContextId, block: &Block) -> bool {
        let Some(own) = self.contexts.get(&context) else { return true };
        match block.kind {
            Kind::Device | Kind::Ordered => {
                block.device == own.device || own.peers.contains(&block.context)
            }
            Kind::Mapped => block.open_to.contains(&own.device),
            Kind::Managed | Kind::Pinned | Kind::Registered => true,
        }
    }
}
