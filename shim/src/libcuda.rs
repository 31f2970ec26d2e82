//! The driver library that the program itself loaded.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::transmute;

use libloading::os::unix::{Library, RTLD_LAZY};
use once_cell::race::OnceBox;

use crate::{linker, object};

/// A handle on the loaded `libcuda.so.1`, never on a second copy of it.
pub struct Libcuda {
    handle: usize,
    base: usize,
    get_proc_address: Option<GetProcAddress>,
}

type GetProcAddress = unsafe extern "C" fn(*const c_char, *mut usize, c_int, u64) -> c_int;
type GetProcAddressV2 =
    unsafe extern "C" fn(*const c_char, *mut usize, c_int, u64, *mut c_int) -> c_int;

/// The driver library; `None` as long as the program has not loaded it.
pub fn get() -> Option<&'static Libcuda> {
    // Two threads may both find it: neither waits for the other, which might hold the loader's
    // lock.
    static LOADED: OnceBox<Libcuda> = OnceBox::new();
    LOADED.get_or_try_init(|| Libcuda::find().map(Box::new).ok_or(())).ok()
}

impl Libcuda {
    fn find() -> Option<Self> {
        // SAFETY: nothing is loaded, so no foreign code runs.
        let library = unsafe { Library::open(Some("libcuda.so.1"), RTLD_LAZY | libc::RTLD_NOLOAD) };
        // The handle is never closed: pointers into the library are kept for good.
        let handle = library.ok()?.into_raw();
        let version = linker::find(handle, c"cuDriverGetVersion");
        let get_proc_address = linker::find(handle, c"cuGetProcAddress");
        // SAFETY: the driver exports the first form of the function under this name.
        let get_proc_address = (!get_proc_address.is_null())
            .then(|| unsafe { transmute::<*mut c_void, GetProcAddress>(get_proc_address) });
        let base = object::base_of(version)?;
        Some(Self { handle: handle as usize, base, get_proc_address })
    }

    /// The function that the library exports under `name`; 0 if there is none.
    pub fn symbol(&self, name: &CStr) -> usize {
        linker::find(self.handle as *mut c_void, name) as usize
    }

    /// The function that `cuGetProcAddress` gives; 0 if there is none.
    pub fn versioned(&self, family: &CStr, version: i32, flags: u64) -> usize {
        let mut found = 0;
        let result = match self.get_proc_address {
            // SAFETY: the name is a C string, and `found` can be written.
            Some(get) => unsafe { get(family.as_ptr(), &raw mut found, version, flags) },
            None => return self.versioned_v2(family, version, flags),
        };
        if result == 0 { found } else { 0 }
    }

    fn versioned_v2(&self, family: &CStr, version: i32, flags: u64) -> usize {
        let get = self.symbol(c"cuGetProcAddress_v2");
        if get == 0 {
            return 0;
        }
        // SAFETY: the driver exports the second form of the function under this name.
        let get = unsafe { transmute::<usize, GetProcAddressV2>(get) };
        let (mut found, mut status) = (0, 0);
        // SAFETY: the name is a C string, and what is to be written can be.
        let result =
            unsafe { get(family.as_ptr(), &raw mut found, version, flags, &raw mut status) };
        if result == 0 { found } else { 0 }
    }

    /// Whether `address` is in the library.
    pub fn holds(&self, address: usize) -> bool {
        object::base_of(address as *const c_void) == Some(self.base)
    }
}

/// In the place of a driver that is not loaded: `CUDA_ERROR_NOT_INITIALIZED`.
pub extern "C" fn not_loaded() -> c_int {
    3
}
