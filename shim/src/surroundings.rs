//! What is around the pools in this process, for the choice of a backing.

use std::env;
use std::ffi::{CStr, c_int, c_void};
use std::path::Path;

use cupool::backing::{Surroundings, launcher, shares_memory};
use libc::dl_phdr_info;

use crate::driver;

/// Reads the environment and the loader's list of objects in memory, asks the driver about peers,
/// and whether `/dev/dxg` is there, through which CUDA works in the Windows Subsystem for Linux.
pub fn look() -> Surroundings {
    let mut library: Option<String> = None;
    // SAFETY: `visit` takes its data as the name that is passed here and outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut library).cast()) };
    Surroundings {
        wsl: Path::new("/dev/dxg").exists(),
        launcher: launcher(|name| env::var(name).ok()),
        library,
        peers: driver::has_peers(),
    }
}

/// Stops at the first object that shares memory.
unsafe extern "C" fn visit(info: *mut dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` describes a loaded object, whose name is a C string or null.
    let path = unsafe {
        let name = (*info).dlpi_name;
        if name.is_null() { c"" } else { CStr::from_ptr(name) }
    };
    let name = path.to_bytes().rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    if !shares_memory(name) {
        return 0;
    }
    // SAFETY: `dl_iterate_phdr` passes on what `look` gave it, which nobody else holds.
    let found = unsafe { &mut *found.cast::<Option<String>>() };
    *found = Some(String::from_utf8_lossy(name).into_owned());
    1
}
