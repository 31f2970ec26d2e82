//! The default pool of each device, from which `cuMemAllocAsync` allocates: it keeps freed memory up
//! to a threshold.

use crate::abi::{In, Out};
use crate::device::{self, Device};
use crate::error::{Api, Error};
use crate::state::{self, Locked};

/// What the handles of the pools begin with, and how far apart they are.
const HANDLES: usize = 0x0b00_0000_0000;
const STEP: usize = 0x40;

/// `CUmemPool_attribute`
mod attributes {
    pub const RELEASE_THRESHOLD: u32 = 4;
    pub const RESERVED_MEM_CURRENT: u32 = 5;
    pub const USED_MEM_CURRENT: u32 = 7;
}
use attributes::{RELEASE_THRESHOLD, RESERVED_MEM_CURRENT, USED_MEM_CURRENT};

/// A pool. All in bytes.
#[derive(Default)]
pub struct Pool {
    used: u64,
    cached: u64,
    threshold: u64,
}

impl Device {
    /// Takes memory through the pool.
    pub fn take_ordered(&mut self, bytes: u64) -> Api {
        let again = self.pool.cached.min(bytes);
        self.take(bytes - again)?;
        self.pool.cached -= again;
        self.pool.used += bytes;
        Ok(())
    }

    /// Gives memory back through the pool.
    pub fn give_ordered(&mut self, bytes: u64) {
        let pool = &mut self.pool;
        pool.used -= bytes;
        let kept = pool.threshold.saturating_sub(pool.used + pool.cached).min(bytes);
        pool.cached += kept;
        self.give(bytes - kept);
    }

    /// The pool keeps at most so many bytes, in use or not.
    fn trim_pool(&mut self, keep: u64) {
        let pool = &mut self.pool;
        let excess = (pool.used + pool.cached).saturating_sub(keep).min(pool.cached);
        pool.cached -= excess;
        self.give(excess);
    }
}

fn of(sim: &mut Locked, handle: usize) -> Api<&mut Device> {
    let ordinal = handle.checked_sub(HANDLES).map(|offset| offset / STEP);
    ordinal.and_then(|ordinal| sim.devices.get_mut(ordinal)).ok_or(Error::INVALID_VALUE)
}

/// `cuDeviceGetDefaultMemPool`, `cuDeviceGetMemPool`: there is no other.
pub fn of_device(pool: Out<usize>, device: i32) -> Api {
    pool.set(HANDLES + device::check(device)? * STEP)
}

/// `cuMemPoolGetAttribute`
pub fn get_attribute(pool: usize, attribute: u32, value: Out<u64>) -> Api {
    let mut sim = state::lock();
    let pool = &of(&mut sim, pool)?.pool;
    value.set(match attribute {
        RELEASE_THRESHOLD => pool.threshold,
        RESERVED_MEM_CURRENT => pool.used + pool.cached,
        USED_MEM_CURRENT => pool.used,
        _ => return Err(Error::INVALID_VALUE),
    })
}

/// `cuMemPoolSetAttribute`
pub fn set_attribute(pool: usize, attribute: u32, value: In<u64>) -> Api {
    let mut sim = state::lock();
    let pool = &mut of(&mut sim, pool)?.pool;
    if attribute != RELEASE_THRESHOLD {
        return Err(Error::INVALID_VALUE);
    }
    pool.threshold = value.get()?;
    Ok(())
}

/// `cuMemPoolTrimTo`
pub fn trim(pool: usize, keep: usize) -> Api {
    of(&mut state::lock(), pool)?.trim_pool(keep as u64);
    Ok(())
}

/// `cuDeviceGetGraphMemAttribute`: memory nodes of graphs are not simulated.
pub fn get_graph_attribute(device: i32, _attribute: u32, value: Out<u64>) -> Api {
    device::check(device)?;
    value.set(0)
}

/// `cuDeviceGraphMemTrim`
pub fn trim_graphs(device: i32) -> Api {
    device::check(device).map(drop)
}
