//! The driver API as the tests use it.

use std::env;
use std::ffi::{CStr, c_void};

use libloading::Library;

macro_rules! functions {
    ($($name:ident($($parameter:ident: $type:ty),*);)*) => {
        impl Cuda {
            $(#[allow(clippy::too_many_arguments)]
            pub fn $name(&self, $($parameter: $type),*) -> u32 {
                // SAFETY: the driver API's signature; the tests pass what it asks for.
                unsafe {
                    let function: libloading::Symbol<unsafe extern "C" fn($($type),*) -> u32> =
                        self.library.get(stringify!($name).as_bytes()).expect("exported");
                    function($($parameter),*)
                }
            })*
        }
    };
}

/// `void (*)(void *)`
pub type HostFunction = extern "C" fn(*mut c_void);

functions! {
    cuInit(flags: u32);
    cuDevicePrimaryCtxRetain(context: &mut usize, device: i32);
    cuDevicePrimaryCtxRelease_v2(device: i32);
    cuDevicePrimaryCtxReset_v2(device: i32);
    cuDevicePrimaryCtxGetState(device: i32, flags: &mut u32, active: &mut i32);
    cuCtxCreate_v2(context: &mut usize, flags: u32, device: i32);
    cuCtxDestroy_v2(context: usize);
    cuCtxGetCurrent(context: &mut usize);
    cuCtxSetCurrent(context: usize);
    cuCtxSynchronize();
    cuCtxEnablePeerAccess(peer: usize, flags: u32);
    cuCtxDisablePeerAccess(peer: usize);
    cuCtxRecordEvent(context: usize, event: usize);
    cuCtxWaitEvent(context: usize, event: usize);
    cuMemAlloc(pointer: *mut u32, bytes: u32);
    cuMemAlloc_v2(pointer: &mut u64, bytes: usize);
    cuMemFree_v2(pointer: u64);
    cuMemAllocAsync(pointer: &mut u64, bytes: usize, stream: usize);
    cuMemFreeAsync(pointer: u64, stream: usize);
    cuDeviceGetDefaultMemPool(pool: &mut usize, device: i32);
    cuMemPoolGetAttribute(pool: usize, attribute: u32, value: &mut u64);
    cuMemPoolSetAttribute(pool: usize, attribute: u32, value: &u64);
    cuMemPoolTrimTo(pool: usize, keep: usize);
    cuMemGetInfo_v2(free: &mut usize, total: &mut usize);
    cuMemGetAddressRange_v2(base: &mut u64, size: &mut usize, pointer: u64);
    cuMemHostAlloc(pointer: &mut u64, bytes: usize, flags: u32);
    cuMemFreeHost(pointer: u64);
    cuMemcpyHtoD_v2(to: u64, from: *const u32, bytes: usize);
    cuMemcpyHtoDAsync_v2(to: u64, from: *const u32, bytes: usize, stream: usize);
    cuMemcpyDtoH_v2(to: *mut u32, from: u64, bytes: usize);
    cuMemcpyDtoHAsync_v2(to: *mut u32, from: u64, bytes: usize, stream: usize);
    cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize);
    cuMemsetD32_v2(pointer: u64, value: u32, count: usize);
    cuMemsetD32Async(pointer: u64, value: u32, count: usize, stream: usize);
    cuStreamCreate(stream: &mut usize, flags: u32);
    cuStreamSynchronize(stream: usize);
    cuStreamQuery(stream: usize);
    cuStreamWaitEvent(stream: usize, event: usize, flags: u32);
    cuStreamBeginCapture_v2(stream: usize, mode: u32);
    cuStreamEndCapture(stream: usize, graph: &mut usize);
    cuStreamIsCapturing(stream: usize, status: &mut u32);
    cuThreadExchangeStreamCaptureMode(mode: &mut u32);
    cuLaunchHostFunc(stream: usize, function: HostFunction, data: *mut c_void);
    cuEventCreate(event: &mut usize, flags: u32);
    cuEventRecord(event: usize, stream: usize);
    cuEventQuery(event: usize);
    cuEventSynchronize(event: usize);
    cuEventElapsedTime(milliseconds: &mut f32, start: usize, end: usize);
    cuGraphInstantiateWithFlags(executable: &mut usize, graph: usize, flags: u64);
    cuGraphLaunch(executable: usize, stream: usize);
    cuModuleLoadData(module: &mut usize, image: *const u8);
    cuModuleGetFunction(function: &mut usize, module: usize, name: *const i8);
    cuLaunchKernel(function: usize, gx: u32, gy: u32, gz: u32, bx: u32, by: u32, bz: u32, shared: u32, stream: usize, parameters: *const *const c_void, extra: usize);
    cuGetProcAddress(name: *const i8, code: &mut usize, version: i32, flags: u64);
    cuGetProcAddress_v2(name: *const i8, code: &mut usize, version: i32, flags: u64, status: *mut u32);
    cuMemAddressReserve(pointer: &mut u64, bytes: usize, alignment: usize, wish: u64, flags: u64);
    cuMemAddressFree(pointer: u64, bytes: usize);
    cuMemCreate(handle: &mut u64, bytes: usize, properties: &[u32; 8], flags: u64);
    cuMemRelease(handle: u64);
    cuMemExportToShareableHandle(descriptor: &mut i32, handle: u64, kind: u32, flags: u64);
    cuMemImportFromShareableHandle(handle: &mut u64, descriptor: usize, kind: u32);
    cuMemMap(pointer: u64, bytes: usize, offset: usize, handle: u64, flags: u64);
    cuMemUnmap(pointer: u64, bytes: usize);
    cuMemSetAccess(pointer: u64, bytes: usize, access: &[u32; 3], count: usize);
    cuMemRetainAllocationHandle(handle: &mut u64, pointer: u64);
    cuPointerGetAttribute(value: &mut u64, attribute: u32, pointer: u64);
    cuIpcGetMemHandle(handle: &mut [u64; 8], pointer: u64);
}

/// The library, loaded.
pub struct Cuda {
    library: Library,
}

/// A word of every test's blocks is 4 bytes.
pub const WORDS: u64 = 1024;
/// Their size.
pub const BYTES: usize = 4 * WORDS as usize;
/// Longer than a test's own steps take.
pub const LATE: i64 = 30_000;

impl Cuda {
    /// Loads the library that lies beside the test binary.
    pub fn load() -> Self {
        let test = env::current_exe().expect("the test binary has a path");
        let path = test
            .ancestors()
            .skip(1)
            .map(|folder| folder.join("libsimcuda.so"))
            .find(|path| path.exists())
            .expect("cargo has built the library");
        // SAFETY: its initialisers need nothing that is not there yet.
        Self { library: unsafe { Library::new(path) }.expect("the library can be loaded") }
    }

    /// A context on the only device, current.
    pub fn context(&self) -> usize {
        assert_eq!(self.cuInit(0), 0);
        let mut context = 0;
        assert_eq!(self.cuDevicePrimaryCtxRetain(&mut context, 0), 0);
        assert_eq!(self.cuCtxSetCurrent(context), 0);
        context
    }

    /// The symbol is exported.
    pub fn has(&self, name: &CStr) -> bool {
        // SAFETY: only looked up.
        unsafe { self.library.get::<*const ()>(name.to_bytes_with_nul()) }.is_ok()
    }

    pub fn alloc(&self) -> u64 {
        let mut pointer = 0;
        assert_eq!(self.cuMemAlloc_v2(&mut pointer, BYTES), 0);
        pointer
    }

    /// A non-blocking stream.
    pub fn stream(&self) -> usize {
        let mut stream = 0;
        assert_eq!(self.cuStreamCreate(&mut stream, 1), 0);
        stream
    }

    /// A stream that the legacy default stream waits for.
    pub fn blocking_stream(&self) -> usize {
        let mut stream = 0;
        assert_eq!(self.cuStreamCreate(&mut stream, 0), 0);
        stream
    }

    pub fn event(&self) -> usize {
        let mut event = 0;
        assert_eq!(self.cuEventCreate(&mut event, 0), 0);
        event
    }

    /// An event recorded in a stream.
    pub fn recorded(&self, stream: usize) -> usize {
        let event = self.event();
        assert_eq!(self.cuEventRecord(event, stream), 0);
        event
    }

    /// All later work of the context waits for all earlier work.
    pub fn fence(&self, context: usize) {
        let event = self.event();
        assert_eq!(self.cuCtxRecordEvent(context, event), 0);
        assert_eq!(self.cuCtxWaitEvent(context, event), 0);
    }

    /// Launches a kernel.
    pub fn launch(&self, name: &CStr, stream: usize, parameters: &[*const c_void]) -> u32 {
        let (mut module, mut function) = (0, 0);
        assert_eq!(self.cuModuleLoadData(&mut module, c"simcuda kernels".as_ptr().cast()), 0);
        assert_eq!(self.cuModuleGetFunction(&mut function, module, name.as_ptr()), 0);
        self.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, parameters.as_ptr(), 0)
    }

    /// Writes a block, late.
    pub fn fill(&self, pointer: u64, value: u32, stream: usize) {
        let result =
            self.launch(c"fill", stream, &[at(&pointer), at(&WORDS), at(&value), at(&LATE)]);
        assert_eq!(result, 0);
    }

    /// Reads a block and writes another, late.
    pub fn copy(&self, to: u64, from: u64, stream: usize) {
        let result = self.launch(c"copy", stream, &[at(&to), at(&from), at(&WORDS), at(&LATE)]);
        assert_eq!(result, 0);
    }

    /// Spins until a word of device memory has the value.
    pub fn wait_flag(&self, flag: u64, value: u32, stream: usize) {
        assert_eq!(self.launch(c"wait_flag", stream, &[at(&flag), at(&value)]), 0);
    }

    /// The block's first and last word, by a copy of its own in a stream.
    pub fn ends(&self, pointer: u64, stream: usize) -> (u32, u32) {
        let mut words = vec![0_u32; WORDS as usize];
        assert_eq!(self.cuMemcpyDtoHAsync_v2(words.as_mut_ptr(), pointer, BYTES, stream), 0);
        assert_eq!(self.cuStreamSynchronize(stream), 0);
        (words[0], words[WORDS as usize - 1])
    }
}

fn at<T>(value: &T) -> *const c_void {
    std::ptr::from_ref(value).cast()
}
