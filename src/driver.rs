//! The driver calls that the pool makes, as a trait.
//!
//! The real implementation lives in the shim, simulated ones in tests. Every call returns a typed
//! error; none of them may be made while a pool's lock is held.

use std::fmt;
use std::num::NonZeroI32;

/// Why a driver call failed: a `CUresult` other than `CUDA_SUCCESS`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DriverError(NonZeroI32);

impl DriverError {
    /// `CUDA_ERROR_INVALID_VALUE`
    pub const INVALID_VALUE: Self = Self::constant(1);
    /// `CUDA_ERROR_OUT_OF_MEMORY`
    pub const OUT_OF_MEMORY: Self = Self::constant(2);
    /// `CUDA_ERROR_NOT_INITIALIZED`
    pub const NOT_INITIALIZED: Self = Self::constant(3);
    /// `CUDA_ERROR_DEINITIALIZED`: the driver is shutting down with the process.
    pub const DEINITIALIZED: Self = Self::constant(4);
    /// `CUDA_ERROR_INVALID_CONTEXT`: also what an allocation without a current context gets.
    pub const INVALID_CONTEXT: Self = Self::constant(201);
    /// `CUDA_ERROR_MAP_FAILED`
    pub const MAP_FAILED: Self = Self::constant(205);
    /// `CUDA_ERROR_INVALID_HANDLE`
    pub const INVALID_HANDLE: Self = Self::constant(400);
    /// `CUDA_ERROR_NOT_FOUND`
    pub const NOT_FOUND: Self = Self::constant(500);
    /// `CUDA_ERROR_NOT_READY`: the answer "not yet" of the queries.
    pub const NOT_READY: Self = Self::constant(600);
    /// `CUDA_ERROR_NOT_SUPPORTED`
    pub const NOT_SUPPORTED: Self = Self::constant(801);
    /// `CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED`
    pub const STREAM_CAPTURE_UNSUPPORTED: Self = Self::constant(900);

    const fn constant(code: i32) -> Self {
        match NonZeroI32::new(code) {
            Some(code) => Self(code),
            None => panic!("CUDA_SUCCESS is no error"),
        }
    }

    /// The error for a `CUresult`; `None` for `CUDA_SUCCESS`.
    pub const fn from_code(code: i32) -> Option<Self> {
        match NonZeroI32::new(code) {
            Some(code) => Some(Self(code)),
            None => None,
        }
    }

    /// `Ok` for `CUDA_SUCCESS`, the error otherwise.
    pub const fn check(code: i32) -> Result<(), Self> {
        match Self::from_code(code) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// The `CUresult`.
    pub const fn code(self) -> i32 {
        self.0.get()
    }
}

impl fmt::Debug for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CUresult {}", self.0)
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for DriverError {}

/// A `CUdeviceptr`: an address on a device, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DevicePtr(pub u64);

/// A `CUcontext` that is not null. The driver may give the handle of a destroyed context out again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Context(pub usize);

/// A `CUdevice` ordinal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Device(pub i32);

/// A `CUevent`, made without timing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event(pub usize);

/// A `CUstream` as a program names it; only compared, never used.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stream(pub usize);

/// A `CUmemGenericAllocationHandle`: physical memory, wherever it is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Memory(pub u64);

/// What a device can do and is, asked once per device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Name as `cuDeviceGetName` gives it.
    pub name: String,
    /// `GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, as `nvidia-smi -L` prints it; empty if unknown.
    pub uuid: String,
    /// Memory in bytes.
    pub total_bytes: u64,
    /// `CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS`: kernels can touch any host memory.
    pub pageable_access: bool,
    /// How its virtual memory is managed; `None` where the device or the driver cannot.
    pub vmm: Option<Vmm>,
}

/// What a device's virtual memory management can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vmm {
    /// `cuMemGetAllocationGranularity`: mappings are multiples of this many bytes.
    pub granularity: u64,
    /// `CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED`: memory can be shared by
    /// descriptor.
    pub shareable: bool,
    /// `CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED`
    pub rdma: bool,
}

/// The driver calls the pool makes. All act on the *current* context of the calling thread unless
/// they name one.
pub trait Driver: Send + Sync + 'static {
    /// `cuCtxGetCurrent`; `None` where the thread has none.
    fn current_context(&self) -> Result<Option<Context>, DriverError>;
    /// `cuCtxPushCurrent`
    fn push_context(&self, context: Context) -> Result<(), DriverError>;
    /// `cuCtxPopCurrent`
    fn pop_context(&self) -> Result<(), DriverError>;
    /// `cuCtxGetDevice`
    fn context_device(&self) -> Result<Device, DriverError>;
    /// `cuCtxSynchronize`: waits for all work of the current context; reports asynchronous faults.
    fn synchronize(&self) -> Result<(), DriverError>;
    /// What is known of `device`.
    fn device_facts(&self, device: Device) -> Result<DeviceFacts, DriverError>;

    /// The devices whose primary context exists: `cuDevicePrimaryCtxGetState`. Makes none.
    fn active_devices(&self) -> Vec<Device>;
    /// Gives back what the driver caches for stream-ordered allocations of `device`, in its default
    /// pool and in the current one (`cuMemPoolTrimTo`), and for graphs (`cuDeviceGraphMemTrim`). Gives
    /// the bytes, as far as the driver tells.
    fn trim_driver_pools(&self, device: Device) -> u64;

    /// `cuMemAlloc`. Waits for nothing.
    fn allocate(&self, bytes: u64) -> Result<DevicePtr, DriverError>;
    /// `cuMemGetInfo`: bytes that are free on the device of the current context.
    fn free_memory(&self) -> Result<u64, DriverError> {
        Err(DriverError::NOT_SUPPORTED)
    }

    /// `cuStreamCreate(CU_STREAM_NON_BLOCKING)` in the current context.
    fn create_stream(&self) -> Result<Stream, DriverError> {
        Err(DriverError::NOT_SUPPORTED)
    }
    /// `cuMemsetD8Async` in `stream`, which must be of the current context.
    fn fill(
        &self,
        _ptr: DevicePtr,
        _byte: u8,
        _bytes: u64,
        _stream: Stream,
    ) -> Result<(), DriverError> {
        Err(DriverError::NOT_SUPPORTED)
    }

    /// `cuMemFree`. Waits for all work of the block's context.
    fn free(&self, ptr: DevicePtr) -> Result<(), DriverError>;

    /// `cuMemAddressReserve`: `bytes` addresses with nothing behind them.
    fn reserve_addresses(&self, bytes: u64, alignment: u64) -> Result<DevicePtr, DriverError>;
    /// `cuMemAddressFree`: all of a reservation, of which nothing is mapped any more.
    fn free_addresses(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError>;
    /// `cuMemCreate`: `bytes` of physical memory of `device`, shareable and open to RDMA where `vmm`
    /// says so.
    fn create_memory(&self, device: Device, vmm: Vmm, bytes: u64) -> Result<Memory, DriverError>;
    /// `cuMemRelease`: memory that is mapped stays until it is unmapped.
    fn release_memory(&self, memory: Memory) -> Result<(), DriverError>;
    /// `cuMemMap`: all of `memory`, whose size is `bytes`, at `ptr`.
    fn map_memory(&self, ptr: DevicePtr, bytes: u64, memory: Memory) -> Result<(), DriverError>;
    /// `cuMemSetAccess`: `device` may read and write what is mapped in this range.
    fn allow_access(&self, device: Device, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError>;
    /// `cuMemUnmap`: whole mappings. Does not wait for work that uses them.
    fn unmap_memory(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError>;

    /// Whether context events exist (driver 12.5 and later); without them there is no fence.
    fn has_context_events(&self) -> bool;
    /// `cuEventCreate(CU_EVENT_DISABLE_TIMING)` in the current context.
    fn create_event(&self) -> Result<Event, DriverError>;
    /// `cuEventQuery`: whether the work before its last record is done.
    fn event_done(&self, event: Event) -> Result<bool, DriverError>;
    /// `cuEventSynchronize`
    fn wait_event(&self, event: Event) -> Result<(), DriverError>;
    /// `cuCtxRecordEvent`: `event` completes after all work submitted to `context` so far.
    /// Invalidates any capture in the context.
    fn record_context(&self, context: Context, event: Event) -> Result<(), DriverError>;
    /// `cuCtxWaitEvent`: all work submitted to `context` from now on runs after `event`.
    /// Invalidates any capture in the context.
    fn context_waits(&self, context: Context, event: Event) -> Result<(), DriverError>;

    /// `cuThreadExchangeStreamCaptureMode(RELAXED)`: what the thread calls afterwards disturbs no
    /// capture. Gives the previous mode for [`Driver::restore_capture_mode`].
    fn relax_capture_mode(&self) -> Result<i32, DriverError>;
    /// `cuThreadExchangeStreamCaptureMode(mode)`
    fn restore_capture_mode(&self, mode: i32) -> Result<(), DriverError>;
    /// `cuStreamIsCapturing`: whether `stream` still belongs to a capture, valid or invalidated.
    fn is_capturing(&self, stream: Stream) -> Result<bool, DriverError>;
}

/// The calling thread's capture mode is relaxed while this lives, so that allocating, freeing,
/// querying and waiting disturb no capture.
pub struct Relaxed<'a, D: Driver> {
    driver: &'a D,
    previous: Option<i32>,
}

impl<'a, D: Driver> Relaxed<'a, D> {
    /// Relaxes the calling thread. A driver without the call has no capture to disturb either.
    pub fn enter(driver: &'a D) -> Self {
        Self { driver, previous: driver.relax_capture_mode().ok() }
    }
}

impl<D: Driver> Drop for Relaxed<'_, D> {
    fn drop(&mut self) {
        if let Some(mode) = self.previous {
            // The exchange only fails for a mode that does not exist, and this one was in force.
            let _ = self.driver.restore_capture_mode(mode);
        }
    }
}

/// `context` is the calling thread's current one while this lives.
pub struct Current<'a, D: Driver> {
    driver: &'a D,
}

impl<'a, D: Driver> Current<'a, D> {
    /// Makes `context` current.
    pub fn enter(driver: &'a D, context: Context) -> Result<Self, DriverError> {
        driver.push_context(context)?;
        Ok(Self { driver })
    }
}

impl<D: Driver> Drop for Current<'_, D> {
    fn drop(&mut self) {
        // Nothing can be done about a context that was destroyed meanwhile, and nothing needs to.
        let _ = self.driver.pop_context();
    }
}
