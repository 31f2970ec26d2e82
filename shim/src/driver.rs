//! The real driver.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use cupool::driver::{
    Context, Device, DeviceFacts, DevicePtr, Driver, DriverError, Event, Memory, Stream, Vmm,
};
use once_cell::race::OnceBox;

use crate::cancel::Uncancelled;
use crate::ffi::{AccessDescription, AllocationProperties, Functions, Location, Status};
use crate::hooks::green;
use crate::libcuda;

/// `CU_STREAM_NON_BLOCKING`
const NON_BLOCKING: c_uint = 1;
/// `CU_EVENT_DISABLE_TIMING`
const DISABLE_TIMING: u32 = 2;
/// `CU_STREAM_CAPTURE_MODE_RELAXED`
const RELAXED: c_int = 2;
/// `CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS`
const PAGEABLE_MEMORY_ACCESS: c_int = 88;
/// `CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED`
const VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED: c_int = 102;
/// `CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED`
const POSIX_FILE_DESCRIPTOR_SUPPORTED: c_int = 103;
/// `CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED`
const RDMA_WITH_VMM_SUPPORTED: c_int = 110;
/// `CU_MEM_ALLOCATION_TYPE_PINNED`
const PINNED: u32 = 1;
/// `CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR`
const POSIX_FILE_DESCRIPTOR: u32 = 1;
/// `CU_MEM_LOCATION_TYPE_DEVICE`
const ON_DEVICE: u32 = 1;
/// `CU_MEM_ACCESS_FLAGS_PROT_READWRITE`
const READ_WRITE: u32 = 3;
/// `CU_POINTER_ATTRIBUTE_HOST_POINTER`
const HOST_POINTER: c_int = 4;
/// `CU_POINTER_ATTRIBUTE_IS_MANAGED`
const IS_MANAGED: c_int = 8;
/// `CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT`
const POOL_RESERVED_MEM_CURRENT: c_int = 5;
/// `CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT`
const GRAPH_RESERVED_MEM_CURRENT: c_int = 2;
/// The version that brought `cuCtxRecordEvent` and `cuCtxWaitEvent`.
const CONTEXT_EVENTS: c_int = 12050;

/// The driver that the program uses.
#[derive(Clone, Copy)]
pub struct RealDriver {
    functions: &'static Functions,
    context_events: bool,
}

/// The driver that the program has loaded; `None` if there is none that the pool can use.
pub fn real_driver() -> Option<RealDriver> {
    let functions = functions()?;
    Some(RealDriver { functions, context_events: has_context_events(functions) })
}

/// Whether `pointer` is into managed memory. A driver that cannot say has none.
pub fn is_managed(pointer: u64) -> bool {
    let ask = functions().and_then(|functions| functions.cuPointerGetAttribute);
    let Some(ask) = ask else { return false };
    // The driver writes a truth value of at most this size.
    let mut managed = 0_u64;
    // SAFETY: what is to be written can be, and the driver checks the pointer.
    let status = unsafe { ask((&raw mut managed).cast(), IS_MANAGED, pointer) };
    status == 0 && managed != 0
}

/// An address where no allocation can be.
const NOWHERE: u64 = 1;

/// What `cuPointerGetAttribute` answers where nothing is, as for memory that has been freed.
///
/// # Safety
/// `data` is null or can hold the attribute.
pub unsafe fn attribute_of_nothing(data: *mut c_void, attribute: c_int) -> Status {
    let ask = functions().and_then(|functions| functions.cuPointerGetAttribute);
    // SAFETY: as the caller says, and the driver checks the pointer.
    ask.map_or(DriverError::INVALID_VALUE.code(), |ask| unsafe { ask(data, attribute, NOWHERE) })
}

/// The same for `cuPointerGetAttributes`. As the driver does, it tells what a program takes for host
/// memory by its own address.
///
/// # Safety
/// `attributes` points to `count` attributes, `data` to as many places for them.
pub unsafe fn attributes_of_nothing(
    count: c_uint,
    attributes: *const c_int,
    data: *const *mut c_void,
    ptr: u64,
) -> Status {
    let ask = functions().and_then(|functions| functions.cuPointerGetAttributes);
    let Some(ask) = ask else { return DriverError::INVALID_VALUE.code() };
    // SAFETY: as above.
    let status = unsafe { ask(count, attributes, data, NOWHERE) };
    for index in 0..count as usize {
        // SAFETY: so many there are, as the caller says.
        let (attribute, place) = unsafe { (*attributes.add(index), *data.add(index)) };
        if status != 0 || attribute != HOST_POINTER || place.is_null() {
            continue;
        }
        let place = place.cast::<u64>();
        // SAFETY: not null, so the driver has just written that attribute there, which is 64 bits wide.
        unsafe {
            if place.read_unaligned() == NOWHERE {
                place.write_unaligned(ptr);
            }
        }
    }
    status
}

/// Whether any device that the process sees can be given access to another's memory.
pub fn has_peers() -> bool {
    let Some(functions) = functions() else { return false };
    let (Some(count_devices), Some(can_access)) =
        (functions.cuDeviceGetCount, functions.cuDeviceCanAccessPeer)
    else {
        return false;
    };
    let (mut count, mut able) = (0, 0);
    // SAFETY: what is to be written can be.
    let known = unsafe { count_devices(&raw mut count) } == 0;
    let mut pairs = (0..count).flat_map(|a| (0..count).map(move |b| (a, b)));
    // SAFETY: as before; the driver checks the ordinals.
    known
        && pairs
            .any(|(a, b)| a != b && unsafe { can_access(&raw mut able, a, b) } == 0 && able != 0)
}

/// Takes back what `cuCtxEnablePeerAccess` has just given the current context.
pub fn disable_peer_access(peer: Context) {
    let disable = functions().and_then(|functions| functions.cuCtxDisablePeerAccess);
    if let Some(disable) = disable {
        // It was given, so it can be taken. SAFETY: the driver checks the handle.
        let _ = unsafe { disable(peer.0) };
    }
}

/// Whether `device` has a primary context now.
pub fn has_primary_context(device: c_int) -> bool {
    let Some(functions) = functions() else { return false };
    let (mut flags, mut active) = (0, 0);
    // SAFETY: what is to be written can be.
    let status =
        unsafe { (functions.cuDevicePrimaryCtxGetState)(device, &raw mut flags, &raw mut active) };
    status == 0 && active != 0
}

/// The primary context of `device`, without making one; `None` if there is none.
pub fn primary_context(device: c_int) -> Option<Context> {
    let functions = functions()?;
    if !has_primary_context(device) {
        return None;
    }
    let mut context = 0;
    // Only retaining tells the handle. The program's own count stays what it was.
    let release = functions.cuDevicePrimaryCtxRelease_v2;
    let release = release.unwrap_or(functions.cuDevicePrimaryCtxRelease);
    // SAFETY: as before; what was retained is released.
    let status = unsafe {
        let status = (functions.cuDevicePrimaryCtxRetain)(&raw mut context, device);
        if status == 0 { release(device) } else { status }
    };
    (status == 0 && context != 0).then_some(Context(context))
}

fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceBox<Functions> = OnceBox::new();
    let find = || Functions::find(libcuda::get()?).map(Box::new);
    FUNCTIONS.get_or_try_init(|| find().ok_or(())).ok()
}

/// Both functions are exported and offered for their version, by a driver of at least that version.
fn has_context_events(functions: &Functions) -> bool {
    let mut version = 0;
    // SAFETY: what is to be written can be.
    let status = unsafe { (functions.cuDriverGetVersion)(&raw mut version) };
    let offered = |name: &CStr| {
        libcuda::get().is_some_and(|driver| driver.versioned(name, CONTEXT_EVENTS, 0) != 0)
    };
    status == 0
        && version >= CONTEXT_EVENTS
        && functions.cuCtxRecordEvent.is_some()
        && functions.cuCtxWaitEvent.is_some()
        && offered(c"cuCtxRecordEvent")
        && offered(c"cuCtxWaitEvent")
}

/// Calls a function of the driver. Nothing here passes it a pointer that it could keep.
macro_rules! call {
    ($driver:expr, $name:ident($($argument:expr),*)) => {
        // SAFETY: the handles come from the driver, which refuses what it does not know, and what
        // is to be written can be.
        DriverError::check(unsafe { ($driver.functions.$name)($($argument),*) })
    };
    ($driver:expr, optional $name:ident($($argument:expr),*)) => {
        match $driver.functions.$name {
            // SAFETY: as above.
            Some(function) => DriverError::check(unsafe { function($($argument),*) }),
            None => Err(DriverError::NOT_SUPPORTED),
        }
    };
}

impl Driver for RealDriver {
    fn current_context(&self) -> Result<Option<Context>, DriverError> {
        let mut context = 0;
        call!(self, cuCtxGetCurrent(&raw mut context))?;
        Ok((context != 0).then(|| Context(green::owner(context))))
    }

    fn push_context(&self, context: Context) -> Result<(), DriverError> {
        call!(self, cuCtxPushCurrent_v2(context.0))
    }

    fn pop_context(&self) -> Result<(), DriverError> {
        let mut context = 0;
        call!(self, cuCtxPopCurrent_v2(&raw mut context))
    }

    fn context_device(&self) -> Result<Device, DriverError> {
        let mut device = 0;
        call!(self, cuCtxGetDevice(&raw mut device))?;
        Ok(Device(device))
    }

    fn synchronize(&self) -> Result<(), DriverError> {
        let _uncancelled = Uncancelled::enter();
        call!(self, cuCtxSynchronize())
    }

    fn device_facts(&self, device: Device) -> Result<DeviceFacts, DriverError> {
        let mut name = [0; 256];
        // For people only: without it the name is empty.
        let _ = call!(self, cuDeviceGetName(name.as_mut_ptr(), name.len() as c_int - 1, device.0));
        let mut total = 0;
        call!(self, cuDeviceTotalMem_v2(&raw mut total, device.0))?;
        let attribute = |attribute| {
            let mut value = 0;
            call!(self, cuDeviceGetAttribute(&raw mut value, attribute, device.0)).is_ok()
                && value != 0
        };
        Ok(DeviceFacts {
            // SAFETY: the driver's string ends within the array, which ends with a zero.
            name: unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned(),
            uuid: self.uuid(device),
            total_bytes: total as u64,
            pageable_access: attribute(PAGEABLE_MEMORY_ACCESS),
            vmm: if attribute(VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED) {
                self.vmm(
                    Vmm {
                        granularity: 0,
                        shareable: attribute(POSIX_FILE_DESCRIPTOR_SUPPORTED),
                        rdma: attribute(RDMA_WITH_VMM_SUPPORTED),
                    },
                    device,
                )
            } else {
                None
            },
        })
    }

    fn active_devices(&self) -> Vec<Device> {
        let mut count = 0;
        // Without an answer there is none.
        let _ = call!(self, optional cuDeviceGetCount(&raw mut count));
        (0..count).filter(|&device| has_primary_context(device)).map(Device).collect()
    }

    fn trim_driver_pools(&self, device: Device) -> u64 {
        let _uncancelled = Uncancelled::enter();
        let mut pools = [0; 2];
        // A driver without such pools has nothing to give back; one that has tells the two apart.
        let _ = call!(self, optional cuDeviceGetDefaultMemPool(&raw mut pools[0], device.0));
        let _ = call!(self, optional cuDeviceGetMemPool(&raw mut pools[1], device.0));
        if pools[1] == pools[0] {
            pools[1] = 0;
        }
        let mut released = 0;
        for pool in pools.into_iter().filter(|&pool| pool != 0) {
            let before = self.pool_bytes(pool);
            let _ = call!(self, optional cuMemPoolTrimTo(pool, 0));
            released += before.saturating_sub(self.pool_bytes(pool));
        }
        let before = self.graph_bytes(device);
        let _ = call!(self, optional cuDeviceGraphMemTrim(device.0));
        released + before.saturating_sub(self.graph_bytes(device))
    }

    fn allocate(&self, bytes: u64) -> Result<DevicePtr, DriverError> {
        let _uncancelled = Uncancelled::enter();
        let mut ptr = 0;
        call!(self, cuMemAlloc_v2(&raw mut ptr, bytes as usize))?;
        Ok(DevicePtr(ptr))
    }

    fn free(&self, ptr: DevicePtr) -> Result<(), DriverError> {
        let _uncancelled = Uncancelled::enter();
        call!(self, cuMemFree_v2(ptr.0))
    }

    fn create_stream(&self) -> Result<Stream, DriverError> {
        let mut stream = 0;
        call!(self, optional cuStreamCreate(&raw mut stream, NON_BLOCKING))?;
        Ok(Stream(stream))
    }

    fn fill(
        &self,
        ptr: DevicePtr,
        byte: u8,
        bytes: u64,
        stream: Stream,
    ) -> Result<(), DriverError> {
        call!(self, optional cuMemsetD8Async(ptr.0, byte, bytes as usize, stream.0))
    }

    fn free_memory(&self) -> Result<u64, DriverError> {
        let _uncancelled = Uncancelled::enter();
        let (mut free, mut total) = (0, 0);
        call!(self, optional cuMemGetInfo_v2(&raw mut free, &raw mut total))?;
        Ok(free as u64)
    }

    fn reserve_addresses(&self, bytes: u64, alignment: u64) -> Result<DevicePtr, DriverError> {
        let mut ptr = 0;
        let (bytes, alignment) = (bytes as usize, alignment as usize);
        call!(self, optional cuMemAddressReserve(&raw mut ptr, bytes, alignment, 0, 0))?;
        Ok(DevicePtr(ptr))
    }

    fn free_addresses(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        call!(self, optional cuMemAddressFree(ptr.0, bytes as usize))
    }

    fn create_memory(&self, device: Device, vmm: Vmm, bytes: u64) -> Result<Memory, DriverError> {
        let _uncancelled = Uncancelled::enter();
        let properties = properties(device, vmm);
        let mut handle = 0;
        call!(self, optional cuMemCreate(&raw mut handle, bytes as usize, &raw const properties, 0))?;
        Ok(Memory(handle))
    }

    fn release_memory(&self, memory: Memory) -> Result<(), DriverError> {
        let _uncancelled = Uncancelled::enter();
        call!(self, optional cuMemRelease(memory.0))
    }

    fn map_memory(&self, ptr: DevicePtr, bytes: u64, memory: Memory) -> Result<(), DriverError> {
        let _uncancelled = Uncancelled::enter();
        call!(self, optional cuMemMap(ptr.0, bytes as usize, 0, memory.0, 0))
    }

    fn allow_access(&self, device: Device, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        let _uncancelled = Uncancelled::enter();
        let access = AccessDescription { location: location(device), flags: READ_WRITE };
        call!(self, optional cuMemSetAccess(ptr.0, bytes as usize, &raw const access, 1))
    }

    fn unmap_memory(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        let _uncancelled = Uncancelled::enter();
        call!(self, optional cuMemUnmap(ptr.0, bytes as usize))
    }

    fn has_context_events(&self) -> bool {
        self.context_events
    }

    fn create_event(&self) -> Result<Event, DriverError> {
        let mut event = 0;
        call!(self, cuEventCreate(&raw mut event, DISABLE_TIMING))?;
        Ok(Event(event))
    }

    fn event_done(&self, event: Event) -> Result<bool, DriverError> {
        match call!(self, cuEventQuery(event.0)) {
            Ok(()) => Ok(true),
            Err(DriverError::NOT_READY) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn wait_event(&self, event: Event) -> Result<(), DriverError> {
        let _uncancelled = Uncancelled::enter();
        call!(self, cuEventSynchronize(event.0))
    }

    fn record_context(&self, context: Context, event: Event) -> Result<(), DriverError> {
        call!(self, optional cuCtxRecordEvent(context.0, event.0))
    }

    fn context_waits(&self, context: Context, event: Event) -> Result<(), DriverError> {
        call!(self, optional cuCtxWaitEvent(context.0, event.0))
    }

    fn relax_capture_mode(&self) -> Result<i32, DriverError> {
        let mut mode = RELAXED;
        call!(self, optional cuThreadExchangeStreamCaptureMode(&raw mut mode))?;
        Ok(mode)
    }

    fn restore_capture_mode(&self, mut mode: i32) -> Result<(), DriverError> {
        call!(self, optional cuThreadExchangeStreamCaptureMode(&raw mut mode))
    }

    fn is_capturing(&self, stream: Stream) -> Result<bool, DriverError> {
        let mut status = 0;
        call!(self, optional cuStreamIsCapturing(stream.0, &raw mut status))?;
        Ok(status != 0)
    }
}

fn location(device: Device) -> Location {
    Location { kind: ON_DEVICE, id: device.0 }
}

fn properties(device: Device, vmm: Vmm) -> AllocationProperties {
    AllocationProperties {
        kind: PINNED,
        handle_types: if vmm.shareable { POSIX_FILE_DESCRIPTOR } else { 0 },
        location: location(device),
        windows_metadata: std::ptr::null_mut(),
        compression: 0,
        rdma: u8::from(vmm.rdma),
        usage: 0,
        reserved: [0; 4],
    }
}

impl RealDriver {
    /// `cuMemExportToShareableHandle`: a descriptor by which another process gets this memory.
    pub fn export_memory(&self, memory: Memory) -> Result<OwnedFd, DriverError> {
        let mut descriptor: c_int = -1;
        let out = (&raw mut descriptor).cast();
        call!(self, optional cuMemExportToShareableHandle(out, memory.0, POSIX_FILE_DESCRIPTOR, 0))?;
        // SAFETY: the driver has just made it, for us.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: no memory is passed.
        unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        Ok(descriptor)
    }

    /// `cuMemImportFromShareableHandle`: the memory that another process exported. The descriptor is
    /// not needed any more afterwards.
    pub fn import_memory(&self, descriptor: &OwnedFd) -> Result<Memory, DriverError> {
        let mut handle = 0;
        let descriptor = descriptor.as_raw_fd() as usize as *mut c_void;
        let kind = POSIX_FILE_DESCRIPTOR;
        call!(self, optional cuMemImportFromShareableHandle(&raw mut handle, descriptor, kind))?;
        Ok(Memory(handle))
    }

    /// Bytes that a stream-ordered pool has taken; 0 where that is not known.
    fn pool_bytes(&self, pool: usize) -> u64 {
        let mut bytes = 0;
        let told = call!(self, optional cuMemPoolGetAttribute(pool, POOL_RESERVED_MEM_CURRENT, &raw mut bytes));
        if told.is_ok() { bytes } else { 0 }
    }

    /// The same of what the graphs of a device have taken.
    fn graph_bytes(&self, device: Device) -> u64 {
        let mut bytes = 0;
        let told = call!(
            self,
            optional cuDeviceGetGraphMemAttribute(device.0, GRAPH_RESERVED_MEM_CURRENT, &raw mut bytes)
        );
        if told.is_ok() { bytes } else { 0 }
    }

    /// `vmm` with its granularity; `None` where a call is missing.
    fn vmm(&self, vmm: Vmm, device: Device) -> Option<Vmm> {
        let functions = self.functions;
        let complete = functions.cuMemAddressReserve.is_some()
            && functions.cuMemAddressFree.is_some()
            && functions.cuMemCreate.is_some()
            && functions.cuMemRelease.is_some()
            && functions.cuMemMap.is_some()
            && functions.cuMemSetAccess.is_some()
            && functions.cuMemUnmap.is_some();
        let properties = properties(device, vmm);
        let mut bytes = 0;
        // 0: the least that works, not the recommended.
        call!(self, optional cuMemGetAllocationGranularity(&raw mut bytes, &raw const properties, 0))
            .ok()?;
        (complete && bytes > 0).then_some(Vmm { granularity: bytes as u64, ..vmm })
    }

    /// As `nvidia-smi -L` prints it; empty if the driver does not tell.
    fn uuid(&self, device: Device) -> String {
        let mut bytes = [0u8; 16];
        let told = call!(self, optional cuDeviceGetUuid_v2(&raw mut bytes, device.0))
            .or_else(|_| call!(self, optional cuDeviceGetUuid(&raw mut bytes, device.0)));
        if told.is_err() {
            return String::new();
        }
        let hex = |range: std::ops::Range<usize>| -> String {
            bytes[range].iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let parts = [hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)];
        format!("GPU-{}", parts.join("-"))
    }
}
