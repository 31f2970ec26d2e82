//! What is around the pools in this process: for the choice of a backing, and for whether there are to be
//! pools at all.

use std::env;
use std::ffi::{CStr, c_int, c_void};
use std::path::Path;

use cupool::backing::{Surroundings, launcher, shares_memory};
use libc::dl_phdr_info;

use crate::driver;

/// Reads the environment and the loader's list of objects in memory, and asks the driver about peers.
/// In the Windows Subsystem for Linux CUDA works through `/dev/dxg`, and the driver lies in a directory
/// of its own.
pub fn look() -> Surroundings {
    Surroundings {
        wsl: loaded(is_driver_of_wsl).is_some() || Path::new("/dev/dxg").exists(),
        launcher: launcher(|name| env::var(name).ok()),
        library: loaded(|path| shares_memory(file_name(path))),
        peers: driver::has_peers(),
    }
}

fn is_driver_of_wsl(path: &[u8]) -> bool {
    file_name(path).starts_with(b"libcuda.so") && path.split(is_slash).any(|part| part == b"wsl")
}

/// A path's last part.
pub fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(is_slash).next().unwrap_or_default()
}

fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}

/// The file name of the first object in memory whose path is `wanted`.
pub fn loaded(wanted: fn(&[u8]) -> bool) -> Option<String> {
    let mut search = Search { wanted, found: None };
    // SAFETY: `visit` takes its data as the search that is passed here and outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

struct Search {
    wanted: fn(&[u8]) -> bool,
    found: Option<String>,
}

/// Stops at the first object that is wanted.
unsafe extern "C" fn visit(info: *mut dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` describes a loaded object, whose name is a C string or null.
    let path = unsafe {
        let name = (*info).dlpi_name;
        if name.is_null() { c"" } else { CStr::from_ptr(name) }
    };
    let path = path.to_bytes();
    // SAFETY: `dl_iterate_phdr` passes on what `loaded` gave it, which nobody else holds.
    let search = unsafe { &mut *search.cast::<Search>() };
    if !(search.wanted)(path) {
        return 0;
    }
    search.found = Some(String::from_utf8_lossy(file_name(path)).into_owned());
    1
}
