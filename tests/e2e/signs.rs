//! The calls by which a program shows that it could tell a fence from a wait, each by name and by
//! `cuGetProcAddress`: at every one of them `auto` goes over to `strict`, and says why.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;

use cupool_tests::{Elf, LIBCUPOOL, Output, Victim, assert_same};

/// Why, the arguments that make the call a sign (as `victims/watched.c` takes them; none: any
/// call is one), and the symbols.
const SIGNS: &[(&str, &str, &str)] = &[
    ("pinned memory", "", "cuMemHostAlloc cuMemAllocHost cuMemAllocHost_v2"),
    ("registered memory", "", "cuMemHostRegister cuMemHostRegister_v2"),
    (
        "managed memory",
        "",
        "cuMemAllocManaged cuLibraryGetManaged cuStreamAttachMemAsync \
         cuStreamAttachMemAsync_ptsz",
    ),
    ("host-located memory", "2:8=2", "cuMemCreate"),
    ("host-located memory", "1:8=2", "cuMemPoolCreate"),
    ("host-located memory", "1:0=2", "cuMemGetDefaultMemPool cuMemGetMemPool"),
    (
        "host function",
        "",
        "cuLaunchHostFunc cuLaunchHostFunc_ptsz cuLaunchHostFunc_v2 cuLaunchHostFunc_v2_ptsz \
         cuGraphAddHostNode cuGraphHostNodeSetParams cuGraphExecHostNodeSetParams",
    ),
    ("stream callback", "", "cuStreamAddCallback cuStreamAddCallback_ptsz"),
    ("user object", "", "cuUserObjectCreate cuUserObjectRetain cuGraphRetainUserObject"),
    ("graph copy", "4:32=1", "cuGraphAddMemcpyNode"),
    ("graph copy", "1:120=1", "cuGraphMemcpyNodeSetParams"),
    ("graph copy", "2:32=4", "cuGraphExecMemcpyNodeSetParams"),
    ("graph copy", "4:0=1 5:0=1", "cuGraphAddNode"),
    ("graph copy", "5:0=3", "cuGraphAddNode_v2 cuGraphAddNode_v3"),
    ("graph copy", "1:0=1", "cuGraphNodeSetParams cuGraphNodeSetParams_v2"),
    ("graph copy", "2:0=1", "cuGraphExecNodeSetParams"),
    (
        "graph copy",
        "capture",
        "cuMemcpyAsync cuMemcpyAsync_ptsz cuMemcpyHtoDAsync cuMemcpyHtoDAsync_v2 \
         cuMemcpyHtoDAsync_v2_ptsz cuMemcpyDtoHAsync cuMemcpyDtoHAsync_v2 \
         cuMemcpyDtoHAsync_v2_ptsz cuMemcpyHtoAAsync cuMemcpyHtoAAsync_v2 \
         cuMemcpyHtoAAsync_v2_ptsz cuMemcpyAtoHAsync cuMemcpyAtoHAsync_v2 \
         cuMemcpyAtoHAsync_v2_ptsz cuMemcpy2DAsync cuMemcpy2DAsync_v2 cuMemcpy2DAsync_v2_ptsz \
         cuMemcpy3DAsync cuMemcpy3DAsync_v2 cuMemcpy3DAsync_v2_ptsz cuMemcpy3DPeerAsync \
         cuMemcpy3DPeerAsync_ptsz",
    ),
    (
        "batch copy",
        "",
        "cuMemcpyBatchAsync cuMemcpyBatchAsync_ptsz cuMemcpyBatchAsync_v2 \
         cuMemcpyBatchAsync_v2_ptsz cuMemcpy3DBatchAsync cuMemcpy3DBatchAsync_ptsz \
         cuMemcpy3DBatchAsync_v2 cuMemcpy3DBatchAsync_v2_ptsz cuMemcpyWithAttributesAsync \
         cuMemcpyWithAttributesAsync_ptsz cuMemcpy3DWithAttributesAsync \
         cuMemcpy3DWithAttributesAsync_ptsz cuFabricCpyBatchAsync cuFabricCpyBatchAsync_ptsz",
    ),
    (
        "inter-process communication",
        "",
        "cuIpcGetMemHandle cuIpcOpenMemHandle cuIpcOpenMemHandle_v2 cuIpcGetEventHandle \
         cuIpcOpenEventHandle cuLogicalEndpointCreate cuLogicalEndpointImport",
    ),
    (
        "shareable handle",
        "",
        "cuMemExportToShareableHandle cuMemImportFromShareableHandle \
         cuMemPoolExportToShareableHandle cuMemPoolImportFromShareableHandle \
         cuMemPoolExportPointer cuMemPoolImportPointer",
    ),
    ("dma-buf", "", "cuMemGetHandleForAddressRange"),
    ("external memory", "", "cuImportExternalMemory"),
    (
        "external semaphore",
        "",
        "cuImportExternalSemaphore cuSignalExternalSemaphoresAsync \
         cuSignalExternalSemaphoresAsync_ptsz cuWaitExternalSemaphoresAsync \
         cuWaitExternalSemaphoresAsync_ptsz cuGraphAddExternalSemaphoresSignalNode \
         cuGraphAddExternalSemaphoresWaitNode cuGraphExternalSemaphoresSignalNodeSetParams \
         cuGraphExternalSemaphoresWaitNodeSetParams \
         cuGraphExecExternalSemaphoresSignalNodeSetParams \
         cuGraphExecExternalSemaphoresWaitNodeSetParams",
    ),
    (
        "graphics interoperation",
        "",
        "cuGraphicsGLRegisterBuffer cuGraphicsGLRegisterImage cuGraphicsEGLRegisterImage \
         cuGraphicsVDPAURegisterOutputSurface cuGraphicsVDPAURegisterVideoSurface \
         cuGraphicsMapResources cuGraphicsMapResources_ptsz cuGLInit cuGLCtxCreate \
         cuGLCtxCreate_v2 cuGLRegisterBufferObject cuGLMapBufferObject cuGLMapBufferObject_v2 \
         cuGLMapBufferObject_v2_ptds cuGLMapBufferObjectAsync cuGLMapBufferObjectAsync_v2 \
         cuGLMapBufferObjectAsync_v2_ptsz cuVDPAUCtxCreate cuVDPAUCtxCreate_v2 \
         cuEGLStreamConsumerConnect cuEGLStreamConsumerConnectWithFlags \
         cuEGLStreamConsumerAcquireFrame cuEGLStreamProducerConnect \
         cuEGLStreamProducerPresentFrame cuEGLStreamProducerReturnFrame \
         cuEventCreateFromEGLSync",
    ),
    ("synchronous memory operations", "1=6", "cuPointerSetAttribute"),
    ("peer-to-peer token", "1=5", "cuPointerGetAttribute"),
    ("peer-to-peer token", "0=1 1:0=5 2:0=0", "cuPointerGetAttributes"),
    ("peer-to-peer token", "", "cuFlushGPUDirectRDMAWrites"),
    (
        "stream wait on a value",
        "1=block",
        "cuStreamWaitValue32 cuStreamWaitValue32_ptsz cuStreamWaitValue32_v2 \
         cuStreamWaitValue32_v2_ptsz cuStreamWaitValue64 cuStreamWaitValue64_ptsz \
         cuStreamWaitValue64_v2 cuStreamWaitValue64_v2_ptsz cuStreamBatchMemOp \
         cuStreamBatchMemOp_ptsz cuStreamBatchMemOp_v2 cuStreamBatchMemOp_v2_ptsz \
         cuGraphAddBatchMemOpNode cuGraphBatchMemOpNodeSetParams \
         cuGraphExecBatchMemOpNodeSetParams",
    ),
    ("second device", "", "cuCtxEnablePeerAccess cuMulticastAddDevice"),
    ("green context", "", "cuGreenCtxCreate cuCtxFromGreenCtx cuGreenCtxStreamCreate"),
];

/// Exported functions of the driver that are replaced for another purpose: no sign by themselves.
const NO_SIGN: &[&str] = &[
    // The pool.
    "cuMemAlloc_v2 cuMemFree_v2 cuMemFreeAsync cuMemFreeAsync_ptsz cuMemGetAddressRange_v2 \
     cuIpcCloseMemHandle",
    // See `giving_back.rs`.
    "cuMemGetInfo_v2",
    // See `pointers.rs`.
    "cuMemRetainAllocationHandle",
    // A sign if what it finds is managed: see `order.rs`.
    "cuModuleGetGlobal_v2",
    // Look-ups.
    "cuGetProcAddress cuGetProcAddress_v2",
    // Contexts.
    "cuCtxAttach cuCtxCreate cuCtxCreate_v2 cuCtxCreate_v3 cuCtxCreate_v4 cuCtxDestroy \
     cuCtxDestroy_v2 cuCtxDetach cuCtxPushCurrent cuCtxPushCurrent_v2 cuCtxSetCurrent \
     cuDevicePrimaryCtxRelease cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxReset \
     cuDevicePrimaryCtxReset_v2 cuDevicePrimaryCtxRetain cuGreenCtxDestroy",
    // Captures.
    "cuStreamBeginCapture cuStreamBeginCapture_ptsz cuStreamBeginCapture_v2 \
     cuStreamBeginCapture_v2_ptsz cuStreamBeginCaptureToGraph \
     cuStreamBeginCaptureToGraph_ptsz cuStreamBeginRecaptureToGraph \
     cuStreamBeginRecaptureToGraph_ptsz cuStreamBeginCaptureToCig \
     cuStreamBeginCaptureToCig_ptsz cuStreamEndCapture cuStreamEndCapture_ptsz \
     cuStreamEndCaptureToCig cuStreamEndCaptureToCig_ptsz cuStreamDestroy cuStreamDestroy_v2",
    // Calls by which a program hears of a fault: see `errors.rs`.
    "cuCtxSynchronize cuCtxSynchronize_v2 cuStreamSynchronize cuStreamSynchronize_ptsz \
     cuEventSynchronize cuMemFreeHost cuMemHostUnregister cuMemcpy cuMemcpy_ptds cuMemcpyPeer \
     cuMemcpyPeer_ptds cuMemcpyHtoD_v2 cuMemcpyHtoD_v2_ptds cuMemcpyDtoH_v2 \
     cuMemcpyDtoH_v2_ptds cuMemcpyDtoD_v2 cuMemcpyDtoD_v2_ptds cuMemcpyDtoA_v2 \
     cuMemcpyDtoA_v2_ptds cuMemcpyAtoD_v2 cuMemcpyAtoD_v2_ptds cuMemcpyHtoA_v2 \
     cuMemcpyHtoA_v2_ptds cuMemcpyAtoH_v2 cuMemcpyAtoH_v2_ptds cuMemcpyAtoA_v2 \
     cuMemcpyAtoA_v2_ptds cuMemcpy2D_v2 cuMemcpy2D_v2_ptds cuMemcpy2DUnaligned_v2 \
     cuMemcpy2DUnaligned_v2_ptds cuMemcpy3D_v2 cuMemcpy3D_v2_ptds cuMemcpy3DPeer \
     cuMemcpy3DPeer_ptds cuMemcpyDtoDAsync_v2 cuMemcpyDtoDAsync_v2_ptsz cuMemcpyPeerAsync \
     cuMemcpyPeerAsync_ptsz cuMemsetD8_v2 cuMemsetD8_v2_ptds cuMemsetD16_v2 \
     cuMemsetD16_v2_ptds cuMemsetD32_v2 cuMemsetD32_v2_ptds cuMemsetD2D8_v2 \
     cuMemsetD2D8_v2_ptds cuMemsetD2D16_v2 cuMemsetD2D16_v2_ptds cuMemsetD2D32_v2 \
     cuMemsetD2D32_v2_ptds cuMemsetD8Async cuMemsetD8Async_ptsz cuMemsetD16Async \
     cuMemsetD16Async_ptsz cuMemsetD32Async cuMemsetD32Async_ptsz cuMemsetD2D8Async \
     cuMemsetD2D8Async_ptsz cuMemsetD2D16Async cuMemsetD2D16Async_ptsz cuMemsetD2D32Async \
     cuMemsetD2D32Async_ptsz cuEventRecord cuEventRecord_ptsz cuEventRecordWithFlags \
     cuEventRecordWithFlags_ptsz cuStreamWaitEvent cuStreamWaitEvent_ptsz",
    // An owed wait is paid.
    "cuEventQuery cuStreamQuery cuStreamQuery_ptsz cuEventElapsedTime cuEventElapsedTime_v2",
    // Memory taken by other ways: run once more after a flush.
    "cuMemAllocPitch_v2 cuMemAllocAsync cuMemAllocAsync_ptsz cuMemAllocFromPoolAsync \
     cuMemAllocFromPoolAsync_ptsz cuArrayCreate_v2 cuArray3DCreate_v2 cuMipmappedArrayCreate \
     cuModuleLoad cuModuleLoadData cuModuleLoadDataEx cuModuleLoadFatBinary \
     cuModuleGetFunction cuLibraryLoadData cuLibraryLoadFromFile cuLibraryGetModule \
     cuKernelGetFunction cuFuncLoad cuGraphInstantiate cuGraphInstantiate_v2 \
     cuGraphInstantiateWithFlags cuGraphInstantiateWithParams \
     cuGraphInstantiateWithParams_ptsz cuGraphUpload cuGraphUpload_ptsz cuGraphLaunch \
     cuGraphLaunch_ptsz cuLaunchKernel cuLaunchKernel_ptsz cuLaunchKernelEx \
     cuLaunchKernelEx_ptsz cuLaunchCooperativeKernel cuLaunchCooperativeKernel_ptsz cuMemMap \
     cuMemSetAccess cuCtxSetLimit cuStreamCreate cuStreamCreateWithPriority cuEventCreate \
     cuLibraryGetGlobal cuLaunch cuLaunchGrid cuLaunchGridAsync \
     cuLaunchCooperativeKernelMultiDevice",
];

/// A driver that has every one of these functions.
const NEWEST: &str = "13050";

/// One function, and one way of finding it.
struct Case {
    reason: &'static str,
    arguments: &'static str,
    symbol: &'static str,
    query: bool,
}

impl Case {
    fn victim(&self) -> Victim {
        let victim = Victim::new("watched").env("SIMCUDA_DRIVER_VERSION", NEWEST);
        if !self.query {
            return victim.arg("dlsym").arg(self.symbol);
        }
        let flags = if self.symbol.contains("_pt") { "2" } else { "0" };
        victim.arg("query").arg(self.family()).arg(NEWEST).arg(flags)
    }

    /// The name by which `cuGetProcAddress` knows the function.
    fn family(&self) -> &'static str {
        let name = self.symbol.split("_pt").next().unwrap_or_default();
        name.split("_v").next().unwrap_or_default()
    }

    /// What is wrong with it, if anything.
    fn problem(&self) -> Option<String> {
        let words = || self.arguments.split_whitespace();
        let victim = words().fold(self.victim(), Victim::arg);
        let pooled = victim.clone().env("SIMCUDA_LOG", "calls").pooled("order:auto");
        assert_same(&victim.bare(), &pooled);
        let reason = pooled.stats().0.pointer("/order_reason").cloned();
        let called = pooled.stdout.contains("returned");
        let paid = pays_before(&pooled, self.family());
        // The same call without what makes it a sign.
        let harmless = words().any(|word| !word.ends_with("=block"));
        let oversensitive = harmless && {
            let plain = self.victim().pooled("order:auto");
            plain.succeeded().stats().at("/order") != "fence"
        };
        let right = reason.as_ref().is_some_and(|reason| reason == self.reason);
        let name = format!("{}{}", self.symbol, if self.query { ", queried" } else { "" });
        match (right && called, oversensitive) {
            (true, false) if paid => None,
            (true, false) => Some(format!("{name}: called before what was owed is paid")),
            (true, true) => Some(format!("{name}: a sign whatever its arguments")),
            (false, _) => Some(format!("{name}: called: {called}, reason: {reason:?}")),
        }
    }
}

/// Whether the last fence before the driver's first call of `family` had been waited for by then.
/// The log has a line for each call, in the order in which they end; a function of CUDA 3.1 that
/// shares its name with a later one ends in `_v1` there.
fn pays_before(output: &Output, family: &str) -> bool {
    let log = std::fs::read_to_string(output.directory.path().join("calls")).unwrap_or_default();
    let names = log.lines().filter_map(|line| line.split(' ').next());
    let names: Vec<_> = names.map(|name| name.trim_end_matches("_v1")).collect();
    let Some(call) = names.iter().rposition(|&name| name == family) else { return false };
    let last = |name| names[..call].iter().rposition(|&other| other == name);
    let (fence, wait) = (last("cuCtxWaitEvent"), last("cuEventSynchronize"));
    fence.is_some() && wait > fence
}

#[test]
fn every_watched_call_switches() {
    let symbols = SIGNS.iter().flat_map(|&(reason, arguments, symbols)| {
        symbols.split_whitespace().map(move |symbol| (reason, arguments, symbol))
    });
    let cases = symbols.flat_map(|(reason, arguments, symbol)| {
        [false, true].map(|query| Case { reason, arguments, symbol, query })
    });
    let cases = Mutex::new(cases);
    let next = || cases.lock().ok().and_then(|mut cases| cases.next());
    let problems = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = next() {
                    let problem = case.problem();
                    problems.lock().expect("no thread panicked").extend(problem);
                }
            });
        }
    });
    let problems = problems.into_inner().expect("no thread panicked");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Variants that came after this library. Where all known ones tell the same, so does the new one; a
/// function that only ever runs once more after a flush needs no sign; whatever else there is may
/// give a program away.
#[test]
fn variants_of_drivers_to_come() {
    for (symbol, reason) in [
        ("cuUserObjectCreate_v2", Some("user object")),
        ("cuMemPoolCreate_v2", Some("unknown entry point")),
        ("cuMemAlloc_v3", Some("unknown entry point")),
        ("cuLaunchKernel_v2", None),
    ] {
        let (family, _) = symbol.rsplit_once("_v").expect("a variant");
        let victim = Victim::new("watched").env("SIMCUDA_DRIVER_VERSION", "99000");
        for victim in [
            victim.clone().arg("dlsym").arg(symbol),
            victim.arg("query").arg(family).arg("99000").arg("0"),
        ] {
            let pooled = victim.pooled("order:auto");
            // Once past the table, the call reaches the driver as it is.
            pooled.printed("returned 801\n");
            assert_same(&victim.bare(), &pooled);
            let told = pooled.stats().at("/order_reason").as_str();
            assert_eq!(told.filter(|reason| !reason.is_empty()), reason, "{symbol}");
        }
    }
}

/// The two lists are all there is: nothing is replaced that no test knows of.
#[test]
fn the_lists_are_complete() {
    let listed: BTreeSet<&str> = SIGNS
        .iter()
        .flat_map(|(_, _, symbols)| symbols.split_whitespace())
        .chain(NO_SIGN.iter().flat_map(|symbols| symbols.split_whitespace()))
        .collect();
    let exports = Elf::read(LIBCUPOOL).exports;
    let driver = |name: &&str| {
        name.strip_prefix("cu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    let exported: BTreeSet<&str> = exports.iter().map(String::as_str).filter(driver).collect();
    let unknown: Vec<_> = exported.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&exported).collect();
    assert!(unknown.is_empty() && gone.is_empty(), "unknown {unknown:?}, gone {gone:?}");
}
