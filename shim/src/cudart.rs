//! The runtime's `cudaMalloc` and `cudaFree`.
//!
//! Programs that call them by name reach us first and are sent on to the definition they would
//! have had: lazy initialisation and the last error are the runtime's business, and the pool is
//! entered below it, at the driver. Several runtimes can live in one process, so the definition
//! depends on the caller.

use std::ffi::{CStr, c_int, c_void};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{RTLD_LAZY, RTLD_NODELETE, RTLD_NOLOAD};

use crate::{linker, object};

const MALLOC: &CStr = c"cudaMalloc";
const FREE: &CStr = c"cudaFree";
/// `cudaErrorSharedObjectSymbolNotFound`
const SYMBOL_NOT_FOUND: c_int = 302;

/// Whether `name` is one of the two.
pub fn exports(name: &CStr) -> bool {
    name == MALLOC || name == FREE
}

/// Where a call of `cudaMalloc` with the return address `caller` goes.
pub extern "C" fn malloc_for(caller: usize) -> usize {
    static CACHE: Cache = Cache::new();
    target(MALLOC, &CACHE, caller)
}

/// Where a call of `cudaFree` with the return address `caller` goes.
pub extern "C" fn free_for(caller: usize) -> usize {
    static CACHE: Cache = Cache::new();
    target(FREE, &CACHE, caller)
}

fn target(name: &CStr, cache: &Cache, caller: usize) -> usize {
    cache.get(caller).unwrap_or_else(|| {
        let found = catch_unwind(|| definition(name, caller)).unwrap_or(0);
        if found == 0 {
            return missing as *const () as usize;
        }
        cache.put(caller, found);
        found
    })
}

/// The definition after ours in the global scope, else the one in the caller's own scope. A caller
/// that found its definition in the scope of whoever loaded it gets the first one loaded.
fn definition(name: &CStr, caller: usize) -> usize {
    let mut found = linker::find(libc::RTLD_NEXT, name);
    if found.is_null() {
        found = object::find_in_scope_of(caller, name);
    }
    if found.is_null() {
        found = object::find_anywhere(name);
    }
    if !found.is_null() {
        pin(found);
    }
    found as usize
}

/// Keeps the object that `function` is in loaded, since the cache remembers the address.
fn pin(function: *mut c_void) {
    if let Some(path) = object::path_of(function) {
        // SAFETY: nothing is loaded, so no foreign code runs. The handle is kept on purpose.
        unsafe { libc::dlopen(path.as_ptr(), RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) };
    }
}

/// In the place of a runtime that is not there.
extern "C" fn missing() -> c_int {
    SYMBOL_NOT_FOUND
}

/// Targets by return address. Entries are written once; what finds no room is looked up each time.
struct Cache([Entry; Cache::SIZE]);

struct Entry {
    /// 0: free; [`Entry::BUSY`]: being written; else the return address.
    caller: AtomicUsize,
    target: AtomicUsize,
}

impl Entry {
    const BUSY: usize = 1;
}

impl Cache {
    const SIZE: usize = 256;
    const PROBES: usize = 8;

    const fn new() -> Self {
        Self(
            [const { Entry { caller: AtomicUsize::new(0), target: AtomicUsize::new(0) } };
                Self::SIZE],
        )
    }

    fn entries(&self, caller: usize) -> impl Iterator<Item = &Entry> {
        // Return addresses differ in all their low bits.
        let first = caller ^ (caller >> 8);
        (0..Self::PROBES).map(move |probe| &self.0[(first + probe) % Self::SIZE])
    }

    fn get(&self, caller: usize) -> Option<usize> {
        let mut entries = self.entries(caller);
        let entry = entries.find(|entry| entry.caller.load(Ordering::Acquire) == caller)?;
        Some(entry.target.load(Ordering::Relaxed))
    }

    fn put(&self, caller: usize, target: usize) {
        for entry in self.entries(caller) {
            let claimed =
                entry.caller.compare_exchange(0, Entry::BUSY, Ordering::Relaxed, Ordering::Relaxed);
            if claimed.is_ok() {
                entry.target.store(target, Ordering::Relaxed);
                entry.caller.store(caller, Ordering::Release);
                return;
            }
        }
    }
}
