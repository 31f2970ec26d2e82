//! The loaded objects around us: whose code an address is, and what an object can see.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::{Dl_info, RTLD_LAZY, RTLD_NOLOAD, dl_phdr_info};

use crate::linker;

/// The address at which the object that holds `address` is loaded; `None` if there is none.
pub fn base_of(address: *const c_void) -> Option<usize> {
    info(address).map(|info| info.dli_fbase as usize)
}

/// Whether `address` is in this library.
pub fn is_ours(address: *const c_void) -> bool {
    static OURS: AtomicUsize = AtomicUsize::new(0);
    let mut ours = OURS.load(Ordering::Relaxed);
    if ours == 0 {
        ours = base_of(is_ours as *const c_void).unwrap_or(0);
        OURS.store(ours, Ordering::Relaxed);
    }
    base_of(address) == Some(ours)
}

/// What the object that holds `caller` finds under `name` in its own scope, apart from the global
/// one: in itself and in what it is linked against. Null if nothing; `dlerror` is then cleared.
pub fn find_in_scope_of(caller: usize, name: &CStr) -> *mut c_void {
    match path_of(caller as *const c_void) {
        Some(path) => find_in_object(&path, name),
        None => ptr::null_mut(),
    }
}

/// The path of the object that holds `address`, by which `dlopen` finds it again.
pub fn path_of(address: *const c_void) -> Option<CString> {
    let path = info(address)?.dli_fname;
    // SAFETY: `dladdr` gives a C string that lives as long as the object, whose code is in use.
    (!path.is_null()).then(|| unsafe { CStr::from_ptr(path) }.to_owned())
}

/// What any loaded object defines under `name`, in the order of loading; null if none does.
pub fn find_anywhere(name: &CStr) -> *mut c_void {
    let mut paths: Vec<CString> = Vec::new();
    // SAFETY: `collect` takes its data as the vector that is passed here and outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut paths).cast()) };
    let found = paths.iter().map(|path| find_in_object(path, name));
    found.into_iter().find(|found| !found.is_null()).unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn collect(info: *mut dl_phdr_info, _: usize, paths: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` passes on what `find_anywhere` gave it, which nobody else holds.
    let paths = unsafe { &mut *paths.cast::<Vec<CString>>() };
    // SAFETY: `dl_iterate_phdr` describes a loaded object, whose name is a C string or null.
    let name: *const c_char = unsafe { (*info).dlpi_name };
    if !name.is_null() {
        // SAFETY: as before.
        paths.push(unsafe { CStr::from_ptr(name) }.to_owned());
    }
    0
}

/// What the loaded object at `path` finds under `name`; null if that is ours.
fn find_in_object(path: &CStr, name: &CStr) -> *mut c_void {
    if path.is_empty() {
        return ptr::null_mut();
    }
    // SAFETY: nothing is loaded, so no foreign code runs.
    let handle = unsafe { libc::dlopen(path.as_ptr(), RTLD_LAZY | RTLD_NOLOAD) };
    if handle.is_null() {
        return ptr::null_mut();
    }
    let found = linker::find(handle, name);
    // SAFETY: the handle is ours, and the object stays: it was loaded before.
    unsafe { libc::dlclose(handle) };
    if found.is_null() || is_ours(found) { ptr::null_mut() } else { found }
}

fn info(address: *const c_void) -> Option<Dl_info> {
    let mut info = MaybeUninit::<Dl_info>::zeroed();
    // SAFETY: `dladdr` takes any address, and fills in what it is given.
    let found = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    // SAFETY: all zeroes are a `Dl_info`, and so is what `dladdr` leaves.
    (found != 0).then(|| unsafe { info.assume_init() })
}
