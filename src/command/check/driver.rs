//! What the driver of this machine can do.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::mem;

/// The driver, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Driver {
    /// The version of CUDA that it is for, as in 13000.
    pub version: c_int,
    /// What initialising it gave: 0, or the error.
    pub initialised: c_int,
    /// How many devices there are.
    pub devices: c_int,
    /// How many of them have virtual memory management.
    pub with_vmm: c_int,
    /// Whether it can make a whole context wait for an event.
    pub has_context_events: bool,
}

/// `CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED`
const VMM: c_int = 102;

/// Asks the driver that a program would load. `None` if there is none.
pub fn look() -> Option<Driver> {
    // SAFETY: a C string; the driver's constructors run, as they would in a program.
    let handle =
        unsafe { libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    (!handle.is_null()).then(|| ask(handle))?
}

fn ask(handle: *mut c_void) -> Option<Driver> {
    let symbol = |name: &CStr| {
        // SAFETY: the handle was just opened and is never closed.
        let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    };
    // SAFETY: these are the types of the driver's functions of these names.
    let (get_version, init, count, get, attribute) = unsafe {
        (
            mem::transmute::<*mut c_void, extern "C" fn(*mut c_int) -> c_int>(symbol(
                c"cuDriverGetVersion",
            )?),
            mem::transmute::<*mut c_void, extern "C" fn(u32) -> c_int>(symbol(c"cuInit")?),
            mem::transmute::<*mut c_void, extern "C" fn(*mut c_int) -> c_int>(symbol(
                c"cuDeviceGetCount",
            )?),
            mem::transmute::<*mut c_void, extern "C" fn(*mut c_int, c_int) -> c_int>(symbol(
                c"cuDeviceGet",
            )?),
            mem::transmute::<*mut c_void, extern "C" fn(*mut c_int, c_int, c_int) -> c_int>(
                symbol(c"cuDeviceGetAttribute")?,
            ),
        )
    };
    let mut driver = Driver {
        version: 0,
        initialised: 0,
        devices: 0,
        with_vmm: 0,
        has_context_events: symbol(c"cuCtxRecordEvent").is_some(),
    };
    get_version(&raw mut driver.version);
    driver.initialised = init(0);
    if driver.initialised == 0 && count(&raw mut driver.devices) == 0 {
        for ordinal in 0..driver.devices {
            let (mut device, mut has) = (0, 0);
            get(&raw mut device, ordinal);
            attribute(&raw mut has, VMM, device);
            driver.with_vmm += c_int::from(has == 1);
        }
    }
    Some(driver)
}
