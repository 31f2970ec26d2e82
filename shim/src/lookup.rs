//! The substitute for a driver function that a program has looked up, by the pointer it found.

use std::ffi::{CStr, CString, c_void};

use crate::libcuda::{self, Libcuda};
use crate::table::{self, Row, UNKNOWN, What};
use crate::{object, thunk};

/// The substitute for what the dynamic linker found under `name`, which is not null. What is not
/// the driver's stays as it is.
pub fn substitute_symbol(name: &CStr, found: *mut c_void) -> *mut c_void {
    let address = found as usize;
    match libcuda::get() {
        Some(driver) if driver.holds(address) => substitute(driver, name, address) as *mut c_void,
        _ => found,
    }
}

/// The substitute for what `cuGetProcAddress` found under `name`, which is not 0.
pub fn substitute_proc(name: &CStr, found: usize) -> usize {
    match libcuda::get() {
        Some(driver) if table::knows(name) && !object::is_ours(found as *const c_void) => {
            substitute(driver, name, found)
        }
        _ => found,
    }
}

fn substitute(driver: &Libcuda, name: &CStr, found: usize) -> usize {
    match table::rows_of(name).find(|row| leads_to(driver, row, found)) {
        Some(Row { what: What::Hook(code, real) | What::Retried(code, real), .. }) => {
            real.set(found);
            code.0 as usize
        }
        Some(Row { what: What::Watch(watch), .. }) => thunk::around(found, watch),
        Some(Row { what: What::Untouched, .. }) => found,
        None => substitute_unknown(name, found),
    }
}

/// Whether `found` is the function of that row. Older rows are asked first: where the driver lacks
/// a newer variant, it gives the older one instead.
fn leads_to(driver: &Libcuda, row: &Row, found: usize) -> bool {
    if driver.symbol(row.symbol) == found {
        return true;
    }
    let family = CString::new(row.family()).unwrap_or_default();
    row.since != 0 && driver.versioned(&family, row.since, row.flags()) == found
}

/// A variant that none of the rows knows. Where all variants tell the same whatever their
/// arguments, so does this one; else it goes to the driver, and the order is told, unless nothing
/// is lost by not knowing it.
fn substitute_unknown(name: &CStr, found: usize) -> usize {
    let retried = |row: &Row| matches!(row.what, What::Retried(..) | What::Untouched);
    if table::rows_of(name).all(retried) {
        return found;
    }
    let mut rows = table::rows_of(name);
    let common = rows.next().and_then(Row::tells_always);
    let common = common.filter(|first| {
        rows.all(|row| row.tells_always().is_some_and(|watch| watch.sign == first.sign))
    });
    thunk::around(found, common.unwrap_or(&UNKNOWN))
}
