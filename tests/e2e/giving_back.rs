//! Idle memory goes back: on request, and before anybody is refused for its sake.

use cupool_tests::{Victim, assert_same};

use crate::{ALL, same};

/// A gibibyte, so that a program fills it quickly.
const SMALL: &str = "1073741824";
/// Nothing goes back by itself: what does was asked for.
const KEEP: &[&str] = &[
    "order:strict,max_idle:none",
    "order:fence,max_idle:none",
    "order:auto,max_idle:none",
    "order:lazy,max_idle:none",
    "order:strict,backing:exact,max_idle:none",
    "order:fence,backing:exact,max_idle:none",
    "order:lazy,backing:exact,max_idle:none",
];

same! {
    out_of_memory: Victim::new("oom").env("SIMCUDA_MEMORY", SMALL), KEEP;
    out_of_memory_by_another_interface: Victim::new("oom_vmm").env("SIMCUDA_MEMORY", SMALL), KEEP;
    a_program_that_sizes_itself: Victim::new("sizes_itself").env("SIMCUDA_MEMORY", SMALL), KEEP;
    // Under `fence` the free itself holds the other thread's copy up, as documented; under `lazy`
    // the flush does, where giving back does not wait by itself.
    a_flush_while_another_thread_works: Victim::new("flush_spin"), &[
        "order:strict", "order:auto", "order:strict,backing:exact", "order:auto,backing:exact",
        "order:lazy,backing:exact",
    ];
    a_flush_after_a_free_during_a_capture: Victim::new("flush_spin_captured"),
        &["order:strict", "order:fence", "order:auto"];
    a_flush_while_the_block_is_still_read: Victim::new("flush_late"), ALL;
}

/// Each of these calls fails once for lack of memory. The context is the program's second one.
const LACKING: &str = "cuMemAllocPitch:1=2,cuStreamCreate:1=2,cuStreamCreateWithPriority:1=2,\
    cuMemAllocAsync:1=2,cuModuleLoad:1=2,cuModuleGetFunction:1=2,\
    cuLaunchKernel:1=2,cuGraphInstantiate:1=2,cuGraphLaunch:1=2,cuMemAllocManaged:1=2,\
    cuDevicePrimaryCtxRetain:1=2,cuCtxCreate:2=2";

#[test]
fn no_call_fails_for_what_is_idle() {
    let victim = Victim::new("oom_others");
    let bare = victim.bare();
    bare.succeeded();
    let lacking = victim.env("SIMCUDA_FAULTS", LACKING);
    assert!(lacking.bare().stdout.contains(" = 2\n"), "without a cache to empty they fail");
    for options in ["order:strict", "order:strict,backing:exact"] {
        assert_same(&bare, &lacking.pooled(options));
    }
}

/// The same of whatever else takes memory, by each name.
const TAKING: &str = "cuMemAllocManaged cuMemAllocAsync cuMemAllocAsync_ptsz cuMemAllocFromPoolAsync \
    cuMemAllocFromPoolAsync_ptsz cuArrayCreate_v2 cuArray3DCreate_v2 cuMipmappedArrayCreate \
    cuMemCreate cuMemMap cuMemSetAccess cuMemHostAlloc cuMemAllocHost_v2 \
    cuMemHostRegister_v2 cuModuleLoad cuModuleLoadData cuModuleLoadDataEx \
    cuModuleLoadFatBinary cuModuleGetFunction cuModuleGetGlobal_v2 cuLibraryLoadData \
    cuLibraryLoadFromFile cuLibraryGetModule cuLibraryGetGlobal cuKernelGetFunction \
    cuFuncLoad cuGraphInstantiateWithFlags cuGraphInstantiate_v2 \
    cuGraphInstantiateWithParams cuGraphInstantiateWithParams_ptsz cuGraphUpload \
    cuGraphUpload_ptsz cuGraphLaunch cuGraphLaunch_ptsz cuCtxSetLimit \
    cuDevicePrimaryCtxRetain cuGreenCtxCreate cuGreenCtxStreamCreate \
    cuStreamCreateWithPriority cuLaunch cuLaunchGrid cuLaunchGridAsync cuLaunchKernel \
    cuLaunchKernel_ptsz cuLaunchKernelEx cuLaunchKernelEx_ptsz cuLaunchCooperativeKernel \
    cuLaunchCooperativeKernel_ptsz cuLaunchCooperativeKernelMultiDevice";

#[test]
fn every_call_that_takes_memory_is_made_once_more() {
    for symbol in TAKING.split_whitespace() {
        let base = symbol.trim_end_matches("_ptsz");
        let (family, _) = base.split_once("_v").unwrap_or((base, ""));
        // `cuGetProcAddress` knows this one under the other's name.
        let name = family.trim_end_matches("WithFlags");
        let victim = Victim::new("watched").args(&["dlsym", symbol]);
        let lacking = victim.clone().env("SIMCUDA_FAULTS", format!("{name}:1=2"));
        assert!(lacking.bare().stdout.contains("returned 2\n"), "{symbol} is not called");
        // What it says the second time is another matter: it has no arguments to speak of.
        let pooled = lacking.pooled("order:strict,backing:exact");
        assert_same(&victim.bare(), &pooled);
        assert!(pooled.stats().sum("/num_device_free") > 0, "{symbol}\n{}", pooled.report());
    }
}

#[test]
fn an_allocation_that_needed_a_flush_is_counted() {
    let victim = Victim::new("oom").env("SIMCUDA_MEMORY", SMALL);
    let pooled = victim.pooled("order:auto,max_idle:none");
    let stats = pooled.succeeded().stats();
    assert!(stats.sum("/num_alloc_retries") > 0, "{:#}", stats.0);
    // Three quarters while a half is in use; more than there is at all is no lack of memory.
    assert_eq!(stats.sum("/num_ooms"), 1, "{:#}", stats.0);
}

/// What stays idle in spite of a flush is told with its reason: here the driver refuses to take the
/// block back.
#[test]
fn what_a_flush_leaves_is_told() {
    let victim = Victim::new("signal_read").env("SIMCUDA_FAULTS", "cuMemFree:1=999");
    let mut running = victim.start_pooled("order:auto,backing:exact");
    running.wait_for("ready").signal(libc::SIGUSR1);
    let stats = running.wait_for_stats(|stats| stats.at("/reason") == "signal");
    let flush = stats.at("/flushes/0");
    assert_eq!(flush["released_bytes"], 0, "{flush:#}");
    assert_eq!(flush["kept"][0]["bytes"], 64 << 20, "{flush:#}");
    assert_eq!(flush["kept"][0]["reason"], "the driver refused to take it back", "{flush:#}");
    running.finish().succeeded();
}

#[test]
fn from_c() {
    Victim::new("flush").bare().printed("no cupool\n");
    for order in ALL {
        Victim::new("flush").pooled(order).printed(
            "released all\n\
             then 0\n\
             free memory does not shrink\n\
             get_stats 0\n\
             size known, active 1, pools 1, allocations 1 of 4\n\
             requested 1048576, peak 68157440\n\
             get_stats of nothing fails\n\
             a caller with an older header: intact\n\
             peak then 1048576\n\
             dump 0\n\
             dump to nowhere fails\n\
             file written\n\
             live data 0x7070707\n",
        );
    }
}

/// What `api` prints.
const TOLD: &str = "before: given back none, active 0, pools 0, blocks 0 of 0, dump ENOTCONN, to the configured place ENOTCONN
every size
initialised: given back none, active 0, pools 0, blocks 0 of 0, dump ENOTCONN, to the configured place ENOTCONN
in use: given back some, active 1, pools 1, blocks 1 of 2, dump written, to the configured place written
every size
nowhere ENOENT
below a file ENOTDIR
in a directory that is everybody's EPERM
over a directory EPERM
with too long a name ENAMETOOLONG
with a name that is no text EINVAL
with no name ENOENT
in a child: given back none, active 0, pools 0, blocks 0 of 0, dump ENOTCONN, to the configured place ENOTCONN
every size
after its end: given back none, active 1, pools 1, blocks 0 of 2, dump written, to the configured place written
every size
";

#[track_caller]
fn at_every_time(program: &str) {
    Victim::new(program).bare().printed("no cupool\n");
    for backing in ["arena", "exact"] {
        let pooled = Victim::new(program).pooled(&format!("order:auto,backing:{backing}"));
        pooled.printed(TOLD);
        assert_eq!(pooled.stats().at("/reason"), "exit");
        for name in ["before.json", "initialised.json", "child.json", "directory.json"] {
            assert!(!pooled.files.iter().any(|file| file == name), "{:?}", pooled.files);
        }
    }
}

/// Every function at every time.
#[test]
fn at_every_time_of_a_process() {
    at_every_time("api");
    let none = Victim::new("api").env("CUPOOL_DISABLE", "1").pooled("order:auto");
    let inactive = none.succeeded().stdout.lines().filter(|line| line.contains(", active 0, "));
    assert_eq!(inactive.count(), 5, "{}", none.report());
}

#[test]
fn at_every_time_from_python() {
    at_every_time("api.py");
}

#[test]
fn from_python() {
    Victim::new("flush.py").bare().printed("no cupool\n");
    Victim::new("flush.py").pooled("order:auto").printed("left to release: 0\n");
}

/// The examples do what they say.
#[test]
fn examples() {
    let none = "without cupool there is nothing to give back\n";
    let script = Victim::new("../../examples/python/empty_cache.py").arg("--driver");
    // Blocks of 1 to 64 MiB, each a power of two, one after the other.
    script.bare().printed(none);
    Victim::new("example").bare().printed(none);
    // Native blocks are kept one by one, the budget permitting; the arena serves each from what the
    // last has left.
    for (backing, script_bytes, bytes) in
        [("exact", 81 << 20, 127 << 20), ("arena", 64 << 20, 64 << 20)]
    {
        let options = format!("backing:{backing}");
        script.pooled(&options).printed(&format!("{script_bytes} bytes given back\n"));
        Victim::new("example").pooled(&options).printed(&format!(
            "{bytes} bytes reserved, {bytes} of them idle\n{bytes} bytes given back\n"
        ));
    }
}

/// Disabled, the library is as good as not there.
#[test]
fn disabled() {
    let victim = Victim::new("runtime_static").env("CUPOOL_DISABLE", "1");
    let pooled = victim.pooled("order:auto");
    assert_same(&victim.bare(), &pooled);
    assert!(pooled.files.is_empty(), "left behind: {:?}", pooled.files);
}

/// Idle bytes stay within the budget.
#[test]
fn idle_budget() {
    let pooled = Victim::new("runtime_static").pooled("order:fence,max_idle:1M");
    let idle = pooled.succeeded().stats().number("/devices/0/idle_bytes");
    assert!(idle <= 1 << 20, "{idle} bytes idle");
    assert!(pooled.stats().sum("/num_device_free") > 0, "{:#}", pooled.stats().0);
}
