//! Watched functions: the slots between a thunk and the driver's function.
//!
//! Each exported thunk has the slot of its row. Since one name can lead to several functions, a
//! look-up that finds another one gets a spare thunk, by the *pointer* that was found.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::arch::{self, SPARES, SavedArguments};
use crate::entry;
use crate::libcuda::{self, Libcuda};
use crate::table::{Row, WATCHED, Watch, What};

/// More than there are rows.
const EXPORTS: usize = 256;
const _: () = assert!(WATCHED.len() <= EXPORTS);

/// The real functions of the exported thunks; 0 until the first call.
static EXPORTED: [AtomicUsize; EXPORTS] = [const { AtomicUsize::new(0) }; EXPORTS];

/// A spare thunk. It is taken without a lock: a process may fork while another thread looks
/// something up, and its child looks up too.
struct Slot {
    /// What to tell before; null while free. Never changes once set.
    watch: AtomicPtr<Watch>,
    /// The function to jump to; 0 until it is set, after `watch` and before anybody gets the thunk.
    real: AtomicUsize,
}

static SLOTS: [Slot; SPARES] =
    [const { Slot { watch: AtomicPtr::new(ptr::null_mut()), real: AtomicUsize::new(0) } }; SPARES];

/// The thunk that tells `watch` and jumps to `real`; `real` itself if there are no more thunks. Two
/// threads that ask for the same at the same time may get one each.
pub fn around(real: usize, watch: &'static Watch) -> usize {
    let watch = ptr::from_ref(watch).cast_mut();
    for (index, slot) in SLOTS.iter().enumerate() {
        let free = ptr::null_mut();
        match slot.watch.compare_exchange(free, watch, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => slot.real.store(real, Ordering::Release),
            Err(taken) if taken == watch && slot.real.load(Ordering::Acquire) == real => {}
            Err(_) => continue,
        }
        return arch::spare(index);
    }
    real
}

/// Called by every thunk: tells the pools, and returns the function to jump to. `slot` is the index
/// of an exported thunk or an address inside a spare one.
pub extern "C" fn note(slot: usize, arguments: &SavedArguments) -> usize {
    if let Some(row) = WATCHED.get(slot) {
        let What::Watch(watch) = &row.what else { return missing as *const () as usize };
        tell(watch, arguments);
        return exported(slot, row);
    }
    let slot = arch::spare_index(slot).map(|index| &SLOTS[index]);
    let Some(slot) = slot else { return missing as *const () as usize };
    let real = slot.real.load(Ordering::Acquire);
    // SAFETY: the pointer came from a `&'static Watch`, and was set before `real`.
    if let Some(watch) = unsafe { slot.watch.load(Ordering::Relaxed).as_ref() } {
        tell(watch, arguments);
    }
    real
}

fn tell(watch: &Watch, arguments: &SavedArguments) {
    // SAFETY: the table pairs a predicate with the functions whose arguments it asks about.
    if watch.when.is_some_and(|when| unsafe { !when(arguments) }) {
        return;
    }
    entry::sign(watch.sign);
}

/// The driver's function for an exported thunk.
fn exported(index: usize, row: &Row) -> usize {
    let real = EXPORTED[index].load(Ordering::Relaxed);
    if real != 0 {
        return real;
    }
    match libcuda::get() {
        None => libcuda::not_loaded as *const () as usize,
        Some(driver) => find(driver, row, index),
    }
}

#[cold]
fn find(driver: &Libcuda, row: &Row, index: usize) -> usize {
    let real = driver.symbol(row.symbol);
    if real == 0 {
        return missing as *const () as usize;
    }
    EXPORTED[index].store(real, Ordering::Relaxed);
    real
}

/// In the place of a function that this driver does not have: `CUDA_ERROR_NOT_FOUND`.
pub extern "C" fn missing() -> i32 {
    500
}
