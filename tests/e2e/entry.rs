//! Every way in which a program can reach the driver's allocator leads through the pool.

use cupool_tests::{HAVE_CXX, Victim, assert_same};

use crate::{ALL, runs_alike, same};

same! {
    static_runtime: Victim::new("runtime_static"), ALL;
    shared_runtime: Victim::new("runtime_shared"), ALL;
    linked_driver: Victim::new("driver"), ALL;
    dlopen_and_dlsym: Victim::new("dlopen"), ALL;
    dlopen_and_dlvsym: Victim::new("dlopen").arg("dlvsym"), ALL;
    python_ctypes: Victim::new("ctypes_driver.py"), ALL;
    get_proc_address: Victim::new("get_proc_address"), &["order:auto"];
    runtime_entry_point: Victim::new("entry_point"), ALL;
    runtime_entry_point_of_its_own_version: Victim::new("entry_point_latest"), &["order:auto"];
    two_runtimes_in_one_process: Victim::new("two_runtimes"), ALL;
    another_preloaded_library_and_the_runtime:
        Victim::new("between_runtime").preload("between.so"), &["order:auto"];
    another_preloaded_library_and_the_driver:
        Victim::new("between_driver").preload("between.so"), &["order:auto"];
}

#[test]
fn sixteen_cpp_threads() {
    if !HAVE_CXX {
        println!("skipped: no C++ compiler to build `threads` with (set CXX)");
        assert!(std::env::var_os("CI").is_none(), "CI must have a C++ compiler");
        return;
    }
    runs_alike(&Victim::new("threads"), ALL);
}

/// Every allocation of a program, not just some, goes through the pool.
#[test]
fn nothing_goes_past_the_pool() {
    // Twenty rounds of seven sizes.
    let pooled = Victim::new("runtime_static").pooled("order:fence");
    assert!(pooled.succeeded().stats().served() >= 140, "{:#}", pooled.stats().0);
    assert!(pooled.stats().sum("/hits") >= 100, "{:#}", pooled.stats().0);
    let pooled = Victim::new("dlopen").pooled("order:fence");
    assert_eq!(pooled.succeeded().stats().served(), 50, "{:#}", pooled.stats().0);
}

/// libgomp's and libomp's look-up resolves as without us and does not loop.
#[test]
fn ompt_look_up() {
    let victim = Victim::new("ompt_main").preload("ompt.so");
    let bare = victim.bare();
    bare.printed("next ompt_start_tool: none\nmalloc found\n");
    assert_same(&bare, &victim.pooled("order:auto"));
}

/// The 32-bit interface that libcuda exports under the unsuffixed names.
#[test]
fn unsuffixed_names() {
    let victim = Victim::new("unsuffixed");
    let bare = victim.bare();
    let pooled = victim.pooled("order:auto");
    assert_same(&bare, &pooled);
    assert!(!pooled.stdout.contains("guard hit"), "{}", pooled.report());
}

/// Drivers of other versions have fewer functions: the program gets what it can.
#[test]
fn older_drivers() {
    for version in ["10020", "11020", "11040", "12000", "12040"] {
        runs_alike(&Victim::new("runtime_static").env("SIMCUDA_DRIVER_VERSION", version), ALL);
        runs_alike(&Victim::new("driver").env("SIMCUDA_DRIVER_VERSION", version), &["order:auto"]);
    }
    runs_alike(&Victim::new("runtime_static").env("SIMCUDA_NO_VMM", "1"), &["order:auto"]);
}

/// Without a fence to be had, the only safe order is the host's wait.
#[test]
fn without_context_events_the_order_is_strict() {
    let pooled =
        Victim::new("runtime_static").env("SIMCUDA_DRIVER_VERSION", "12000").pooled("order:auto");
    let stats = pooled.succeeded().stats();
    assert_eq!(stats.at("/devices/0/order"), "strict", "{:#}", stats.0);
    assert_eq!(stats.sum("/fences"), 0, "{:#}", stats.0);
}
