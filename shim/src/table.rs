//! The driver functions that do not reach the driver unseen, in one table.
//!
//! Two kinds of rows. *Hooks* ([`hooks`]) replace a function whose arguments are known. *Watched*
//! functions, listed here, run as they are; before each call the pools are told what it gives
//! away. The lists follow `cuda.h` of CUDA 13.5 and its typedefs, old variants included.
//!
//! A function has two names. Under its *symbol* (`cuMemAlloc_v2`) the library exports it; under its
//! *family* (`cuMemAlloc`) `cuGetProcAddress` gives one of its variants.

use std::ffi::CStr;

use cupool::order::Sign;

use crate::ffi::symbol;
use crate::hooks::{self, Real};
use crate::predicate::{self, Predicate};

/// A row.
pub struct Row {
    /// The exported name.
    pub symbol: &'static CStr,
    /// The bytes of `symbol` that are its family.
    family: usize,
    /// The CUDA version that brought it, as `cuGetProcAddress` takes it; 0 where it does not matter
    /// which variant of a family this is.
    pub since: i32,
    /// What becomes of it.
    pub what: What,
}

/// What becomes of a function when a program looks it up.
pub enum What {
    /// It is replaced by one of ours, which calls the real one if need be.
    Hook(Code, &'static Real),
    /// The same, but nothing is lost where that cannot be.
    Retried(Code, &'static Real),
    /// It is replaced by a thunk that tells and jumps on.
    Watch(Watch),
    /// It is left alone, though a relative of it is not.
    Untouched,
}

/// The address of a function.
#[derive(Clone, Copy)]
pub struct Code(pub *const ());

// SAFETY: the address of a function is the same, and as good, in every thread.
unsafe impl Sync for Code {}

/// What a thunk tells.
#[derive(Clone, Copy)]
pub struct Watch {
    /// What a call gives away.
    pub sign: Sign,
    /// Which calls mean it; `None`: all.
    pub when: Option<Predicate>,
}

/// What is told of a variant that came after this table, where the variants differ.
pub static UNKNOWN: Watch = always(Sign::UnknownVariant);

const fn always(sign: Sign) -> Watch {
    Watch { sign, when: None }
}

const fn when(predicate: Predicate, sign: Sign) -> Watch {
    Watch { sign, when: Some(predicate) }
}

impl Row {
    /// A row for `symbol`.
    pub const fn new(symbol: &'static CStr, since: i32, what: What) -> Self {
        Self { symbol, family: family(symbol.to_bytes()), since, what }
    }

    /// The name by which `cuGetProcAddress` knows it.
    pub fn family(&self) -> &'static [u8] {
        &self.symbol.to_bytes()[..self.family]
    }

    /// What every call of a watched function tells, whatever its arguments.
    pub fn tells_always(&self) -> Option<&Watch> {
        match &self.what {
            What::Watch(watch) if watch.when.is_none() => Some(watch),
            _ => None,
        }
    }

    /// The flag by which `cuGetProcAddress` is asked for this variant of the default stream.
    pub fn flags(&self) -> u64 {
        const PER_THREAD_DEFAULT_STREAM: u64 = 2;
        let symbol = self.symbol.to_bytes();
        let per_thread = symbol.ends_with(b"_ptsz") || symbol.ends_with(b"_ptds");
        if per_thread { PER_THREAD_DEFAULT_STREAM } else { 0 }
    }
}

/// The length of a symbol without `_ptsz` and `_v2`.
const fn family(symbol: &[u8]) -> usize {
    let mut length = symbol.len();
    if length > 5 && matches!(symbol.split_at(length - 5).1, b"_ptsz" | b"_ptds") {
        length -= 5;
    }
    if length > 3 && symbol[length - 3] == b'_' && symbol[length - 2] == b'v' {
        length -= 3;
    }
    length
}

/// The rows of one family, older variants first.
pub fn rows_of(name: &CStr) -> impl Iterator<Item = &'static Row> {
    let name = name.to_bytes();
    let name = &name[..family(name)];
    let rows = UNTOUCHED.iter().chain(hooks::ROWS).chain(hooks::reclaim::ROWS);
    let rows = rows.chain(hooks::fault::ROWS).chain(hooks::fault::looks::ROWS);
    let rows = rows.chain(hooks::fault::copies::ROWS).chain(WATCHED);
    rows.filter(move |row| row.family == name.len() && row.family() == name)
}

/// Whether a look-up of `name` may have to be answered with something of ours.
pub fn knows(name: &CStr) -> bool {
    rows_of(name).next().is_some()
}

/// The 32-bit interface of CUDA 3.1, which the driver still exports under the plain names.
static UNTOUCHED: &[Row] = &[
    Row::new(c"cuMemAlloc", 2000, What::Untouched),
    Row::new(c"cuMemFree", 2000, What::Untouched),
    Row::new(c"cuMemGetInfo", 2000, What::Untouched),
    Row::new(c"cuMemGetAddressRange", 2000, What::Untouched),
    Row::new(c"cuMemAllocPitch", 2000, What::Untouched),
    Row::new(c"cuModuleGetGlobal", 2000, What::Untouched),
    Row::new(c"cuArrayCreate", 2000, What::Untouched),
    Row::new(c"cuArray3DCreate", 2000, What::Untouched),
];

/// `what a call tells => symbol [since version], …;`
macro_rules! watched {
    ($($watch:expr => $($symbol:ident $(since $since:literal)?),+;)+) => {
        /// Indices into [`WATCHED`], by symbol.
        #[allow(non_camel_case_types, clippy::enum_variant_names)]
        enum Index { $($($symbol),+),+ }

        /// Every watched function.
        pub static WATCHED: &[Row] = &[$($(
            Row::new(
                symbol!($symbol),
                0 $(+ $since)?,
                What::Watch($watch),
            )
        ),+),+];

        crate::arch::export_thunks! { $($($symbol = Index::$symbol as usize,)+)+ }
    };
}

use Sign::*;

watched! {
    always(ManagedMemory) => cuLibraryGetManaged, cuStreamAttachMemAsync,
        cuStreamAttachMemAsync_ptsz;
    when(predicate::creates_host_pool, HostLocatedMemory) => cuMemPoolCreate since 11020;
    when(predicate::names_host_location, HostLocatedMemory) =>
        cuMemGetDefaultMemPool since 13000, cuMemGetMemPool since 13000;

    always(HostFunction) => cuLaunchHostFunc, cuLaunchHostFunc_ptsz, cuLaunchHostFunc_v2,
        cuLaunchHostFunc_v2_ptsz, cuGraphAddHostNode, cuGraphHostNodeSetParams,
        cuGraphExecHostNodeSetParams;
    always(StreamCallback) => cuStreamAddCallback, cuStreamAddCallback_ptsz;
    always(UserObject) => cuUserObjectCreate, cuUserObjectRetain, cuGraphRetainUserObject;

    when(predicate::copies_host_4, GraphHostCopy) => cuGraphAddMemcpyNode since 10000;
    when(predicate::copies_host_1, GraphHostCopy) => cuGraphMemcpyNodeSetParams since 10000;
    when(predicate::copies_host_2, GraphHostCopy) => cuGraphExecMemcpyNodeSetParams since 10020;
    when(predicate::node_tells_4, GraphHostCopy) => cuGraphAddNode since 12020;
    when(predicate::node_tells_5, GraphHostCopy) =>
        cuGraphAddNode_v2 since 12030, cuGraphAddNode_v3 since 13040;
    when(predicate::node_tells_1, GraphHostCopy) =>
        cuGraphNodeSetParams since 12020, cuGraphNodeSetParams_v2 since 13040;
    when(predicate::node_tells_2, GraphHostCopy) => cuGraphExecNodeSetParams since 12020;
    when(predicate::capturing, GraphHostCopy) =>
        cuMemcpyHtoDAsync since 2000, cuMemcpyDtoHAsync since 2000, cuMemcpyHtoAAsync since 2000,
        cuMemcpyAtoHAsync since 2000, cuMemcpy2DAsync since 2000, cuMemcpy3DAsync since 2000;

    always(BatchCopy) => cuMemcpyBatchAsync, cuMemcpyBatchAsync_ptsz, cuMemcpyBatchAsync_v2,
        cuMemcpyBatchAsync_v2_ptsz, cuMemcpy3DBatchAsync, cuMemcpy3DBatchAsync_ptsz,
        cuMemcpy3DBatchAsync_v2, cuMemcpy3DBatchAsync_v2_ptsz, cuMemcpyWithAttributesAsync,
        cuMemcpyWithAttributesAsync_ptsz, cuMemcpy3DWithAttributesAsync,
        cuMemcpy3DWithAttributesAsync_ptsz, cuFabricCpyBatchAsync, cuFabricCpyBatchAsync_ptsz;

    always(Ipc) => cuIpcGetEventHandle, cuIpcOpenEventHandle, cuLogicalEndpointCreate,
        cuLogicalEndpointImport;
    always(ShareableHandle) => cuMemExportToShareableHandle, cuMemImportFromShareableHandle,
        cuMemPoolExportToShareableHandle, cuMemPoolImportFromShareableHandle,
        cuMemPoolExportPointer, cuMemPoolImportPointer;
    always(ExternalMemory) => cuImportExternalMemory;
    always(ExternalSemaphore) => cuImportExternalSemaphore, cuSignalExternalSemaphoresAsync,
        cuSignalExternalSemaphoresAsync_ptsz, cuWaitExternalSemaphoresAsync,
        cuWaitExternalSemaphoresAsync_ptsz, cuGraphAddExternalSemaphoresSignalNode,
        cuGraphAddExternalSemaphoresWaitNode, cuGraphExternalSemaphoresSignalNodeSetParams,
        cuGraphExternalSemaphoresWaitNodeSetParams,
        cuGraphExecExternalSemaphoresSignalNodeSetParams,
        cuGraphExecExternalSemaphoresWaitNodeSetParams;

    always(GraphicsInterop) => cuGraphicsGLRegisterBuffer, cuGraphicsGLRegisterImage,
        cuGraphicsEGLRegisterImage, cuGraphicsVDPAURegisterOutputSurface,
        cuGraphicsVDPAURegisterVideoSurface, cuGraphicsMapResources, cuGraphicsMapResources_ptsz,
        cuGLInit, cuGLCtxCreate, cuGLCtxCreate_v2, cuGLRegisterBufferObject,
        cuGLMapBufferObject, cuGLMapBufferObject_v2, cuGLMapBufferObject_v2_ptds,
        cuGLMapBufferObjectAsync, cuGLMapBufferObjectAsync_v2, cuGLMapBufferObjectAsync_v2_ptsz,
        cuVDPAUCtxCreate, cuVDPAUCtxCreate_v2, cuEGLStreamConsumerConnect,
        cuEGLStreamConsumerConnectWithFlags, cuEGLStreamConsumerAcquireFrame,
        cuEGLStreamProducerConnect, cuEGLStreamProducerPresentFrame,
        cuEGLStreamProducerReturnFrame, cuEventCreateFromEGLSync;

    always(P2pToken) => cuFlushGPUDirectRDMAWrites;

    always(StreamWaitValue) => cuStreamWaitValue32, cuStreamWaitValue32_ptsz,
        cuStreamWaitValue32_v2, cuStreamWaitValue32_v2_ptsz, cuStreamWaitValue64, cuStreamWaitValue64_ptsz,
        cuStreamWaitValue64_v2, cuStreamWaitValue64_v2_ptsz, cuStreamBatchMemOp,
        cuStreamBatchMemOp_ptsz, cuStreamBatchMemOp_v2, cuStreamBatchMemOp_v2_ptsz,
        cuGraphAddBatchMemOpNode, cuGraphBatchMemOpNodeSetParams,
        cuGraphExecBatchMemOpNodeSetParams;

    always(SecondDevice) => cuMulticastAddDevice;
}
