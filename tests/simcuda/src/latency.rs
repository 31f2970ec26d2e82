//! `SIMCUDA_LATENCY=facts`: calls take the time that they take on an H200 with driver 580.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// What a call costs, in nanoseconds: each time, and for each MiB that it is about.
struct Cost {
    call: u64,
    mebibyte: u64,
}

thread_local! {
    /// What the call in progress is about: bytes, and the physical handles among them.
    static ABOUT: Cell<(u64, u64)> = const { Cell::new((0, 1)) };
}

/// Says how many bytes, in how many physical handles, the call in progress is about.
pub fn about(bytes: u64, handles: u64) {
    ABOUT.set((bytes, handles));
}

fn cost(name: &str) -> Cost {
    let (call, mebibyte) = match name {
        "cuMemAlloc" | "cuMemAllocPitch" => (45_000, 200),
        "cuMemFree" => (38_000, 550),
        "cuMemCreate" => (9_000, 20),
        "cuMemRelease" => (10_000, 280),
        "cuMemMap" => (1_000, 0),
        "cuMemSetAccess" => (27_000, 50),
        "cuMemUnmap" => (17_000, 20),
        "cuMemAllocAsync" | "cuMemFreeAsync" => (550, 0),
        "cuLaunchKernel" | "cuLaunchKernelEx" => (2_000, 0),
        "cuCtxRecordEvent" => (210, 0),
        "cuCtxWaitEvent" => (180, 0),
        "cuCtxSynchronize" => (300, 0),
        "cuEventQuery" => (200, 0),
        _ => (30, 0),
    };
    Cost { call, mebibyte }
}

/// Keeps the processor busy until a call that `began` then has taken its time.
pub fn spend(name: &str, began: Instant) {
    let (bytes, handles) = ABOUT.replace((0, 1));
    let Cost { call, mebibyte } = cost(name);
    let end = began + Duration::from_nanos(call * handles + mebibyte * (bytes >> 20));
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
