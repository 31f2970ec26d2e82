//! Calls that are not in order get the driver's own answers.

use cupool_tests::Victim;

use crate::{ALL, same};

same! {
    runtime: Victim::new("errors_runtime"), ALL;
    driver: Victim::new("errors_driver"), ALL;
    freed_in_stream_order: Victim::new("free_async"), ALL;
    freed_in_stream_order_where_blocks_are_native:
        Victim::new("free_async"), &["backing:exact", "backing:exact,order:lazy"];
    a_fault_under_strict: Victim::new("fault"), &["order:strict"];
}

/// The table as the driver of a real GPU gives it.
#[test]
fn the_native_table() {
    let bare = Victim::new("errors_runtime").bare();
    for line in [
        "cudaMalloc(&p, 0) = 0",
        "pointer NULL",
        "cudaFree(NULL) = 0",
        "cudaFree((char *)block + 4096) = 1",
        "cudaMalloc(&p, (size_t)1 << 60) = 2",
        "goes on: 7",
    ] {
        assert!(bare.stdout.lines().any(|found| found == line), "no `{line}`\n{}", bare.report());
    }
    let bare = Victim::new("errors_driver").bare();
    for line in ["cuMemAlloc(&p, 0) = 1", "cuMemFree(0) = 0", "range: its base, 1000 bytes"] {
        assert!(bare.stdout.lines().any(|found| found == line), "no `{line}`\n{}", bare.report());
    }
}

/// Without the host's wait a fault cannot surface in the free that follows it; it does at the
/// next call that waits.
#[test]
fn a_fault_surfaces_at_the_next_call_that_waits() {
    for order in ["order:fence", "order:auto", "order:lazy"] {
        let pooled = Victim::new("fault").pooled(order);
        let lines: Vec<&str> = pooled.succeeded().stdout.lines().collect();
        assert_eq!(lines.get(1), Some(&"synchronize reports the fault"), "{}", pooled.report());
    }
}

/// Once the program knows of a fault, every call reports it, whatever could be served without the
/// driver, and however the program has heard.
#[test]
fn a_fault_that_is_known() {
    for how in ["device", "stream", "event", "copy", "query", "done"] {
        crate::runs_alike(&Victim::new("fault_known").arg(how), ALL);
    }
}

/// Calls by which a program hears of a fault, as `victims/fault_heard.c` takes them: those that wait for
/// the device, and those that give it something to do.
const TELLING: &[&str] = &[
    "cuCtxSynchronize cuStreamSynchronize cuEventSynchronize cuEventQuery cuStreamQuery \
     cuEventElapsedTime cuEventElapsedTime_v2 cuMemFreeHost cuMemHostUnregister",
    "cuLaunchKernel cuLaunchKernelEx cuLaunchCooperativeKernel cuGraphLaunch cuMemFree_v2",
    "cuMemcpy cuMemcpyPeer cuMemcpyHtoD_v2 cuMemcpyDtoH_v2 cuMemcpyDtoD_v2 cuMemcpyDtoA_v2 \
     cuMemcpyAtoD_v2 cuMemcpyHtoA_v2 cuMemcpyAtoH_v2 cuMemcpyAtoA_v2 cuMemcpy2D_v2 \
     cuMemcpy2DUnaligned_v2 cuMemcpy3D_v2 cuMemcpy3DPeer",
    "cuMemcpyAsync cuMemcpyPeerAsync cuMemcpyHtoDAsync_v2 cuMemcpyDtoHAsync_v2 \
     cuMemcpyDtoDAsync_v2 cuMemcpyHtoAAsync_v2 cuMemcpyAtoHAsync_v2 cuMemcpy2DAsync_v2 \
     cuMemcpy3DAsync_v2 cuMemcpy3DPeerAsync",
    "cuMemsetD8_v2 cuMemsetD16_v2 cuMemsetD32_v2 cuMemsetD2D8_v2 cuMemsetD2D16_v2 \
     cuMemsetD2D32_v2 cuMemsetD8Async cuMemsetD16Async cuMemsetD32Async cuMemsetD2D8Async \
     cuMemsetD2D16Async cuMemsetD2D32Async",
    "cuEventRecord cuEventRecordWithFlags cuStreamWaitEvent",
];

/// Where nothing of the pool's would ask the driver, it knows of a fault from each of them.
#[test]
fn a_fault_that_any_call_tells() {
    for symbol in TELLING.iter().flat_map(|symbols| symbols.split_whitespace()) {
        let (family, _) = symbol.split_once("_v").unwrap_or((symbol, ""));
        let victim = Victim::new("fault_heard").env("SIMCUDA_PROMPT", "1");
        for victim in [
            victim.clone().args(&["dlsym", symbol]),
            victim.clone().args(&["query", family, "13000", "0"]),
            victim.args(&["query", family, "13000", "2"]),
        ] {
            let bare = victim.bare();
            assert!(bare.stdout.starts_with("heard 700\nalloc 700\n"), "{}", bare.report());
            for options in ["order:lazy", "order:lazy,backing:exact"] {
                cupool_tests::assert_same(&bare, &victim.pooled(options));
            }
        }
    }
}

/// The pool's own driver calls may fail for reasons of the driver: the program must not notice.
#[test]
fn failures_of_the_pools_own_calls_stay_unnoticed() {
    let bare = Victim::new("runtime_static").bare();
    let functions = [
        "cuCtxRecordEvent",
        "cuCtxWaitEvent",
        "cuEventCreate",
        "cuEventQuery",
        "cuEventSynchronize",
        "cuMemFree",
        "cuThreadExchangeStreamCaptureMode",
        "cuDeviceGetName",
        "cuDeviceGetAttribute",
    ];
    let mut noticed = Vec::new();
    for fault in functions.iter().flat_map(|name| [1, 5].map(|call| format!("{name}:{call}=999"))) {
        for options in ["order:fence,max_idle:1M", "order:lazy"] {
            let victim = Victim::new("runtime_static").env("SIMCUDA_FAULTS", &fault);
            let pooled = victim.pooled(options);
            if pooled.stdout != bare.stdout {
                noticed.push(format!("{fault}\n{}", pooled.report()));
            }
        }
    }
    assert!(noticed.is_empty(), "{}", noticed.join("\n"));
}

/// The driver runs out of memory once, though there is some: another process may have had it.
#[test]
fn a_passing_lack_of_memory_is_retried() {
    // After so many misses of other sizes there is something to give back.
    let native = Victim::new("runtime_static").env("SIMCUDA_FAULTS", "cuMemAlloc:5=2");
    assert_eq!(native.bare().code, Some(1));
    let pooled = native.pooled("backing:exact");
    assert!(pooled.succeeded().stats().sum("/num_alloc_retries") > 0, "{}", pooled.report());
    assert_eq!(pooled.stats().sum("/num_ooms"), 0, "{}", pooled.report());
    // The arena moves what it has before it gives anything back.
    let mapped = Victim::new("runtime_static").env("SIMCUDA_FAULTS", "cuMemCreate:2=2");
    let pooled = mapped.pooled("backing:arena");
    assert_eq!(pooled.succeeded().stats().sum("/num_ooms"), 0, "{}", pooled.report());
}

/// What the driver refuses, the pool refuses with the driver's code, and goes on.
#[test]
fn a_scripted_failure_of_the_driver_reaches_the_program() {
    // CUDA_ERROR_LAUNCH_FAILED from the very first allocation.
    let victim = Victim::new("runtime_static").env("SIMCUDA_FAULTS", "cuMemAlloc:1=719");
    let bare = victim.bare();
    assert_eq!(bare.code, Some(1), "{}", bare.report());
    cupool_tests::assert_same(&bare, &victim.pooled("backing:exact"));
    for call in ["cuMemCreate", "cuMemMap", "cuMemSetAccess"] {
        let victim = Victim::new("runtime_static").env("SIMCUDA_FAULTS", format!("{call}:1=719"));
        cupool_tests::assert_same(&bare, &victim.pooled("backing:arena"));
    }
}
