//! Other preloaded libraries beside us, on either side; tools that look at the process; libraries
//! that see to it that nobody stands in front of them.

use std::path::Path;

use cupool_tests::{EMULATOR, HAVE_CXX, LIBCUPOOL, VICTIMS_DIR, Victim, assert_same};

use crate::{ALL, runs_alike};

/// Allocators of the host by the names that the loader finds them by.
const ALLOCATORS: &[&str] = &["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2.0"];

/// Runs a victim bare with `other` preloaded, and pooled with `other` behind and in front of us.
#[track_caller]
fn either_side(victim: &Victim, other: &str, options: &[&str]) {
    let bare = victim.clone().env("LD_PRELOAD", other).bare();
    assert!(bare.signal.is_none(), "{}", bare.report());
    for options in options {
        for order in [format!("{LIBCUPOOL}:{other}"), format!("{other}:{LIBCUPOOL}")] {
            let pooled = victim.clone().env("LD_PRELOAD", &order).pooled(options);
            assert_same(&bare, &pooled);
            assert!(pooled.stats().served() > 0, "not pooled: {order}\n{}", pooled.report());
        }
    }
}

#[test]
fn allocators_of_the_host() {
    for allocator in ALLOCATORS {
        let load = Victim::program("true").env("LD_PRELOAD", allocator).bare();
        if !load.stderr.is_empty() || !EMULATOR.is_empty() {
            println!("skipped: no {allocator}");
            let needed = std::env::var_os("CI").is_some() && EMULATOR.is_empty();
            assert!(!needed, "CI must have {allocator}");
            continue;
        }
        either_side(&Victim::new("runtime_static"), allocator, ALL);
        either_side(&Victim::new("dlopen"), allocator, &["order:auto"]);
        either_side(&Victim::new("forks"), allocator, &["order:auto"]);
        either_side(&Victim::new("ctypes_driver.py"), allocator, &["order:auto"]);
        if HAVE_CXX {
            either_side(&Victim::new("threads"), allocator, &["order:auto", "order:lazy"]);
            either_side(&Victim::new("host_exit").arg("return"), allocator, &["order:auto"]);
        }
    }
}

/// A library that logs CUDA calls, on either side of us. In front, it is passed as often as without
/// us; behind, by those calls alone for which the dynamic linker, not a look-up, would have led to it.
#[test]
fn a_library_that_logs() {
    let other = format!("{VICTIMS_DIR}/host_log.so");
    for name in ["runtime_static", "runtime_shared", "driver", "dlopen"] {
        either_side(&Victim::new(name).env("LOG_SILENT", "1"), &other, ALL);
    }
    for (name, calls) in [("driver", 101), ("dlopen", 50)] {
        let pooled = Victim::new(name)
            .env("LD_PRELOAD", format!("{other}:{LIBCUPOOL}"))
            .pooled("order:auto");
        let logged = format!("logged {calls} allocations, {calls} frees\n");
        assert!(pooled.succeeded().stdout.ends_with(&logged), "{}", pooled.report());
        assert_eq!(pooled.stats().served(), calls, "{:#}", pooled.stats().0);
    }
}

/// A library with `RTLD_DEEPBIND` finds the driver past us: it is served by the driver, and what it
/// allocates can be freed by anybody.
#[test]
fn libraries_that_bind_deeply() {
    for plugin in ["driver", "shared", "static"] {
        let path = format!("{VICTIMS_DIR}/host_plugin_{plugin}.so");
        let victim = Victim::new("host_plugins").args(&[&path, "deep"]);
        let bare = victim.bare();
        bare.succeeded();
        for options in ALL {
            let pooled = victim.pooled(options);
            assert_same(&bare, &pooled);
            let served = pooled.stats.as_ref().map_or(0, cupool_tests::Stats::served);
            assert_eq!(served, 0, "it is said not to be covered\n{}", pooled.report());
        }
    }
}

/// Under a memory checker the driver serves the process, unless we are told to; then the program
/// works as well.
#[test]
fn a_memory_checker() {
    let victim = Victim::new("runtime_static").preload("libsanitizer-collection.so");
    for options in ["", "under_tools:aside"] {
        let pooled = victim.pooled(options);
        assert_same(&victim.bare(), &pooled);
        assert!(pooled.stats.is_none(), "{:?}", pooled.files);
    }
    runs_alike(&victim, &["under_tools:serve"]);
    let told = victim.pooled("log:info");
    let line = "left to the driver (under_tools) tool=\"libsanitizer-collection.so\"";
    assert!(told.succeeded().stderr.contains(line), "{}", told.report());
}

/// A debugger may see blocks of ours, unless we are told to step aside.
#[test]
fn a_debugger() {
    if !EMULATOR.is_empty() {
        println!("skipped: emulated programs cannot be traced");
        return;
    }
    let program = Path::new(VICTIMS_DIR).join("runtime_static");
    let victim = Victim::new("cuda-gdb").arg(program);
    let bare = victim.bare();
    bare.succeeded();
    for (options, files) in [("", 1), ("under_tools:serve", 1), ("under_tools:aside", 0)] {
        let pooled = victim.pooled(options);
        assert_same(&bare, &pooled);
        let found = pooled.files.iter().filter(|name| name.starts_with("stats-")).count();
        assert_eq!(found, files, "{options}: {:?}", pooled.files);
    }
}
