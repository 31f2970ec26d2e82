//! The driver's functions that the pool itself calls, declared once.
//!
//! From each line comes the slot, filled from the program's own `libcuda.so.1`, and the fallback:
//! a driver without a function that is not `optional` is not used at all.

use std::ffi::{c_char, c_int, c_uint, c_void};

use crate::libcuda::Libcuda;

/// An identifier as a C string.
macro_rules! symbol {
    ($symbol:ident) => {
        match ::std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($symbol), "\0").as_bytes()) {
            Ok(symbol) => symbol,
            Err(_) => panic!("an identifier holds no NUL"),
        }
    };
}
pub(crate) use symbol;

/// A `CUresult`.
pub type Status = c_int;

/// `CUmemLocation`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Location {
    pub kind: c_uint,
    pub id: c_int,
}

/// `CUmemAllocationProp`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AllocationProperties {
    pub kind: c_uint,
    pub handle_types: c_uint,
    pub location: Location,
    pub windows_metadata: *mut c_void,
    pub compression: u8,
    pub rdma: u8,
    pub usage: u16,
    pub reserved: [u8; 4],
}

/// `CUmemAccessDesc`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AccessDescription {
    pub location: Location,
    pub flags: c_uint,
}

const _: () =
    assert!(size_of::<AllocationProperties>() == 32 && size_of::<AccessDescription>() == 12);

macro_rules! functions {
    ($($name:ident: fn($($type:ty),*) $(, $optional:ident)?;)+) => {
        /// The functions, as pointers into the driver.
        #[allow(non_snake_case)]
        pub struct Functions {
            $(pub $name: functions!(@slot [$($type),*] $($optional)?),)+
        }

        impl Functions {
            /// Finds every function; `None` if one that is needed is not there.
            pub fn find(driver: &Libcuda) -> Option<Self> {
                Some(Self { $($name: functions!(@find driver $name [$($type),*] $($optional)?),)+ })
            }
        }
    };
    (@slot [$($type:ty),*]) => { unsafe extern "C" fn($($type),*) -> Status };
    (@slot [$($type:ty),*] optional) => { Option<unsafe extern "C" fn($($type),*) -> Status> };
    (@find $driver:ident $name:ident $types:tt) => {
        functions!(@find $driver $name $types optional)?
    };
    (@find $driver:ident $name:ident [$($type:ty),*] optional) => {{
        let found = $driver.symbol(const { symbol!($name) });
        // SAFETY: the driver exports the function of that type under this name.
        (found != 0).then(|| unsafe {
            std::mem::transmute::<usize, unsafe extern "C" fn($($type),*) -> Status>(found)
        })
    }};
}

functions! {
    cuDriverGetVersion: fn(*mut c_int);
    cuCtxGetCurrent: fn(*mut usize);
    cuCtxPushCurrent_v2: fn(usize);
    cuCtxPopCurrent_v2: fn(*mut usize);
    cuCtxGetDevice: fn(*mut c_int);
    cuCtxSynchronize: fn();
    cuDeviceGetName: fn(*mut c_char, c_int, c_int);
    cuDeviceGetUuid: fn(*mut [u8; 16], c_int), optional;
    cuDeviceGetUuid_v2: fn(*mut [u8; 16], c_int), optional;
    cuDeviceTotalMem_v2: fn(*mut usize, c_int);
    cuDeviceGetCount: fn(*mut c_int), optional;
    cuDeviceCanAccessPeer: fn(*mut c_int, c_int, c_int), optional;
    cuCtxDisablePeerAccess: fn(usize), optional;
    cuDeviceGetAttribute: fn(*mut c_int, c_int, c_int);
    cuDevicePrimaryCtxGetState: fn(c_int, *mut c_uint, *mut c_int);
    cuDevicePrimaryCtxRetain: fn(*mut usize, c_int);
    cuDevicePrimaryCtxRelease: fn(c_int);
    cuDevicePrimaryCtxRelease_v2: fn(c_int), optional;
    cuDeviceGetDefaultMemPool: fn(*mut usize, c_int), optional;
    cuDeviceGetMemPool: fn(*mut usize, c_int), optional;
    cuMemPoolGetAttribute: fn(usize, c_int, *mut u64), optional;
    cuMemPoolTrimTo: fn(usize, usize), optional;
    cuDeviceGetGraphMemAttribute: fn(c_int, c_int, *mut u64), optional;
    cuDeviceGraphMemTrim: fn(c_int), optional;
    cuMemAlloc_v2: fn(*mut u64, usize);
    cuMemFree_v2: fn(u64);
    cuStreamCreate: fn(*mut usize, c_uint), optional;
    cuMemsetD8Async: fn(u64, u8, usize, usize), optional;
    cuMemGetInfo_v2: fn(*mut usize, *mut usize), optional;
    cuEventCreate: fn(*mut usize, c_uint);
    cuEventQuery: fn(usize);
    cuEventSynchronize: fn(usize);
    cuCtxRecordEvent: fn(usize, usize), optional;
    cuCtxWaitEvent: fn(usize, usize), optional;
    cuThreadExchangeStreamCaptureMode: fn(*mut c_int), optional;
    cuStreamIsCapturing: fn(usize, *mut c_int), optional;
    cuPointerGetAttribute: fn(*mut c_void, c_int, u64), optional;
    cuPointerGetAttributes: fn(c_uint, *const c_int, *const *mut c_void, u64), optional;
    cuMemGetAllocationGranularity: fn(*mut usize, *const AllocationProperties, c_uint), optional;
    cuMemAddressReserve: fn(*mut u64, usize, usize, u64, u64), optional;
    cuMemAddressFree: fn(u64, usize), optional;
    cuMemCreate: fn(*mut u64, usize, *const AllocationProperties, u64), optional;
    cuMemRelease: fn(u64), optional;
    cuMemMap: fn(u64, usize, usize, u64, u64), optional;
    cuMemSetAccess: fn(u64, usize, *const AccessDescription, usize), optional;
    cuMemUnmap: fn(u64, usize), optional;
    cuMemExportToShareableHandle: fn(*mut c_void, u64, c_uint, u64), optional;
    cuMemImportFromShareableHandle: fn(*mut u64, *mut c_void, c_uint), optional;
}
