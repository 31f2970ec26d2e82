//! What is around the pools in this process, for the choice of a backing.

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
    let mut loaded = Loaded::default();
    // SAFETY: `visit` takes its data as what is passed here and outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut loaded).cast()) };
    Surroundings {
        wsl: loaded.driver_of_wsl || Path::new("/dev/dxg").exists(),
        launcher: launcher(|name| env::var(name).ok()),
        library: loaded.library,
        peers: driver::has_peers(),
    }
}

/// What the objects in memory tell.
#[derive(Default)]
struct Loaded {
    /// The file name of the first that shares memory.
    library: Option<String>,
    /// The driver is that of the Windows Subsystem for Linux.
    driver_of_wsl: bool,
}

/// Looks at one object.
unsafe extern "C" fn visit(info: *mut dl_phdr_info, _: usize, loaded: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` describes a loaded object, whose name is a C string or null.
    let path = unsafe {
        let name = (*info).dlpi_name;
        if name.is_null() { c"" } else { CStr::from_ptr(name) }
    };
    let mut parts = path.to_bytes().rsplit(|&byte| byte == b'/');
    let name = parts.next().unwrap_or_default();
    // SAFETY: `dl_iterate_phdr` passes on what `look` gave it, which nobody else holds.
    let loaded = unsafe { &mut *loaded.cast::<Loaded>() };
    if loaded.library.is_none() && shares_memory(name) {
        loaded.library = Some(String::from_utf8_lossy(name).into_owned());
    }
    loaded.driver_of_wsl |= name.starts_with(b"libcuda.so") && parts.any(|part| part == b"wsl");
    0
}
