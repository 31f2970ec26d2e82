//! The functions for programs that know of cupool, as documented in `include/cupool.h`.

use std::ffi::{CStr, c_char, c_int};
use std::mem::size_of;
use std::panic::{self, AssertUnwindSafe};

use cupool::pools::Pools;
use cupool::stats::{FlushReason, Gauge, PoolSnapshot, Snapshot};

use crate::cancel::Uncancelled;
use crate::guard::Guard;
use crate::{dump, signal, state};

/// Declares [`Stats`], and checks that its fields are 64-bit words without gaps, in the order of
/// the header.
macro_rules! stats {
    ($($field:ident,)+) => {
        /// `struct cupool_stats`
        #[repr(C)]
        #[derive(Clone, Copy, Default)]
        struct Stats {
            $($field: u64,)+
        }

        const _: () = {
            let mut words = 0;
            $(
                assert!(std::mem::offset_of!(Stats, $field) == words * size_of::<u64>());
                words += 1;
            )+
            assert!(size_of::<Stats>() == words * size_of::<u64>());
            assert!(words == 24, "as the header says; it only grows");
        };
    };
}

stats! {
    size,
    active,
    pools,
    allocated_bytes,
    allocated_bytes_peak,
    requested_bytes,
    requested_bytes_peak,
    reserved_bytes,
    reserved_bytes_peak,
    idle_bytes,
    allocations,
    allocations_total,
    frees_total,
    segments,
    hits,
    misses,
    num_alloc_retries,
    num_ooms,
    num_device_alloc,
    num_device_free,
    fences,
    host_syncs,
    dump_failures,
    num_device_move,
}

impl Stats {
    fn of(snapshot: &Snapshot) -> Self {
        let sum = |f: fn(&PoolSnapshot) -> u64| snapshot.pools.iter().map(f).sum();
        let idle = |pool: &PoolSnapshot| {
            let Gauge { current: allocated, .. } = pool.counters.allocated_bytes;
            pool.counters.reserved_bytes.current.saturating_sub(allocated)
        };
        Self {
            active: u64::from(snapshot.retired.is_empty()),
            pools: snapshot.pools.len() as u64,
            allocated_bytes: sum(|pool| pool.counters.allocated_bytes.current),
            allocated_bytes_peak: sum(|pool| pool.counters.allocated_bytes.peak),
            requested_bytes: sum(|pool| pool.counters.requested_bytes.current),
            requested_bytes_peak: sum(|pool| pool.counters.requested_bytes.peak),
            reserved_bytes: sum(|pool| pool.counters.reserved_bytes.current),
            reserved_bytes_peak: sum(|pool| pool.counters.reserved_bytes.peak),
            idle_bytes: sum(idle),
            allocations: sum(|pool| pool.counters.allocation.current),
            allocations_total: sum(|pool| pool.counters.allocation.allocated),
            frees_total: sum(|pool| pool.counters.allocation.freed),
            segments: sum(|pool| pool.counters.segment.current),
            hits: sum(|pool| pool.counters.hits),
            misses: sum(|pool| pool.counters.misses),
            num_alloc_retries: sum(|pool| pool.counters.num_alloc_retries),
            num_ooms: sum(|pool| pool.counters.num_ooms),
            num_device_alloc: sum(|pool| pool.counters.num_device_alloc),
            num_device_free: sum(|pool| pool.counters.num_device_free),
            num_device_move: sum(|pool| pool.counters.num_device_move),
            fences: sum(|pool| pool.counters.fences),
            host_syncs: sum(|pool| pool.counters.host_syncs),
            ..Self::default()
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn empty_cache() {
    cupool_empty_cache();
}

#[unsafe(no_mangle)]
extern "C" fn cupool_empty_cache() -> usize {
    at_the_border(0, || {
        let pools = state::pools()?;
        let released = pools.flush_asked(FlushReason::EmptyCache, None).given_back();
        if pools.has_rest() {
            signal::look();
        }
        Some(usize::try_from(released).unwrap_or(usize::MAX))
    })
}

/// # Safety
/// `path` is null or a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn cupool_stats_dump(path: *const c_char) -> c_int {
    let path = (!path.is_null()).then(|| {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(path) }
    });
    let done = at_the_border(Err(libc::EDEADLK), || {
        let Some(pools) = state::pools() else { return Some(Err(libc::ENOTCONN)) };
        let Ok(path) = path.map(CStr::to_str).transpose() else { return Some(Err(libc::EINVAL)) };
        if path == Some("") {
            return Some(Err(libc::ENOENT));
        }
        Some(dump::write(pools, path, "request").map_err(|failure| failure.errno()))
    });
    status(done)
}

/// # Safety
/// `stats` is null or points to `size` bytes that can be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn cupool_get_stats(stats: *mut Stats, size: usize) -> c_int {
    if stats.is_null() {
        return status(Err(libc::EINVAL));
    }
    let filled = at_the_border(Stats::default(), || Some(Stats::of(&state::pools()?.snapshot())));
    let filled =
        Stats { size: size_of::<Stats>() as u64, dump_failures: dump::failures(), ..filled };
    let known = size.min(size_of::<Stats>());
    let (from, to) = ((&raw const filled).cast::<u8>(), stats.cast::<u8>());
    // SAFETY: by the caller's promise there are `size` bytes, of which `known` are in `filled` too.
    unsafe {
        to.copy_from_nonoverlapping(from, known);
        to.add(known).write_bytes(0, size - known);
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn cupool_reset_peak_stats() {
    at_the_border((), || state::pools().map(Pools::reset_peaks));
}

#[unsafe(no_mangle)]
extern "C" fn cupool_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version holds no NUL"),
        };
    VERSION.as_ptr()
}

/// Runs `f` so that no panic crosses into the program: `otherwise` is the answer then, and where
/// there are no pools, or this is a signal handler that has interrupted them. After a panic the
/// pools retire.
fn at_the_border<T>(otherwise: T, f: impl FnOnce() -> Option<T>) -> T {
    let Some(_guard) = Guard::enter() else { return otherwise };
    let _uncancelled = Uncancelled::enter();
    match panic::catch_unwind(AssertUnwindSafe(f)) {
        Ok(answer) => answer.unwrap_or(otherwise),
        Err(_) => {
            state::retire("panic in an exported function");
            otherwise
        }
    }
}

/// 0, or −1 with `errno` set.
fn status(result: Result<(), c_int>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(error) => {
            // SAFETY: errno's address is valid as long as the thread runs.
            unsafe { *libc::__errno_location() = error };
            -1
        }
    }
}
