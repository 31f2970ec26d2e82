//! Which object supplies which symbol, and what the library exports and needs.

use cupool_tests::{Elf, LIBCUPOOL, VICTIMS_DIR, Victim, assert_same};

use crate::{ALL, same};

/// Ways and names of `who.c` for which cupool must be found instead of the driver.
const SUBSTITUTED: &[&str] = &[
    "linked cuMemAlloc_v2",
    "linked cuMemFree_v2",
    "handle cuMemAlloc_v2",
    "handle cuMemFree_v2",
    "default cuMemAlloc_v2",
    "default cuMemFree_v2",
    "query cuMemAlloc",
    "query cuMemFree",
];

#[test]
fn each_symbol_comes_from_the_right_object() {
    let victim = Victim::new("who");
    let bare = victim.bare();
    let pooled = victim.pooled("order:auto");
    assert!(bare.succeeded().stdout.contains("linked cuMemAlloc_v2 libcuda.so.1\n"));
    let mut found = 0;
    assert_eq!(bare.stdout.lines().count(), pooled.stdout.lines().count(), "{}", pooled.report());
    for (bare, line) in bare.stdout.lines().zip(pooled.succeeded().stdout.lines()) {
        let (what, object) = line.rsplit_once(' ').expect("three words a line");
        if SUBSTITUTED.contains(&what) {
            assert_eq!(object, "libcupool.so", "{what}");
            found += 1;
        } else if !what.starts_with("next ") {
            // Behind the program itself come the preloaded libraries, so `next` may be either.
            assert_eq!(bare, line);
        }
    }
    assert_eq!(found, SUBSTITUTED.len(), "{}", pooled.report());
}

/// A look-up that fails says what it says without us.
#[test]
fn failed_look_ups_are_told_alike() {
    let victim = Victim::new("look_up_errors");
    let pooled = victim.pooled("order:auto");
    assert_same(&victim.bare(), &pooled);
    assert!(pooled.stdout.contains("undefined symbol: cuMemAlloc_v9\n"), "{}", pooled.report());
}

/// The library runs on every machine: it needs libc and its companions, no CUDA library.
#[test]
fn needs_nothing_but_libc() {
    let allowed = ["libc.so.6", "libgcc_s.so.1", "libm.so.6", "libdl.so.2", "libpthread.so.0"];
    for needed in Elf::read(LIBCUPOOL).needed {
        let loader = needed.starts_with("ld-linux");
        assert!(loader || allowed.contains(&needed.as_str()), "libcupool.so needs {needed}");
    }
}

/// Whoever defines one of its names too, in front of it, or writes over relocations, changes nothing in
/// the library: what it calls and hands out is its own.
#[test]
fn refers_to_no_export_of_its_own_by_name() {
    let Elf { exports, references, .. } = Elf::read(LIBCUPOOL);
    assert!(references.iter().any(|name| name == "mmap" || name == "write"), "{references:?}");
    let own: Vec<_> = references.iter().filter(|name| exports.contains(name)).collect();
    assert!(own.is_empty(), "libcupool.so refers by name to its own {own:?}");
}

same! {
    names_that_the_program_defines: Victim::new("names_defined"), ALL;
    names_of_variables: Victim::new("names_variables"), ALL;
    relocations_that_are_written_over: Victim::new("names_rewritten"), ALL;
}

/// A library in front of us that defines the driver's names, whichever way it takes to the real ones, is
/// passed as often as without us.
#[test]
fn names_that_a_library_in_front_defines() {
    for library in ["names_front.so", "names_next.so"] {
        let front = format!("{VICTIMS_DIR}/{library}");
        let both = format!("{front}:{LIBCUPOOL}");
        for name in ["driver", "dlopen", "get_proc_address", "runtime_static", "runtime_shared"] {
            let bare = Victim::new(name).env("LD_PRELOAD", &front).bare();
            assert!(bare.succeeded().stdout.contains("\npassed by "), "{}", bare.report());
            let pooled = Victim::new(name).env("LD_PRELOAD", &both).pooled("order:auto");
            assert_same(&bare, &pooled);
            assert!(pooled.stats().served() > 0, "not pooled: {}", pooled.report());
        }
    }
}

/// A preloaded library's exports take the place of everybody else's: only what is meant to.
#[test]
fn exports_only_what_is_intended() {
    let exports = Elf::read(LIBCUPOOL).exports;
    for name in &exports {
        let driver = name
            .strip_prefix("cu")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()));
        let intended = driver
            || name.starts_with("cupool_")
            || ["cudaMalloc", "cudaFree", "dlsym", "dlvsym", "empty_cache"].contains(&&**name)
            || ["sigaction", "signal"].contains(&&**name);
        assert!(intended, "libcupool.so exports {name}");
    }
    // The 32-bit interface of CUDA 3.1 is the driver's alone.
    for name in ["cuMemAlloc", "cuMemFree"] {
        assert!(!exports.iter().any(|export| export == name), "libcupool.so exports {name}");
    }
    for name in [
        "cuMemAlloc_v2",
        "cuMemFree_v2",
        "cuGetProcAddress",
        "cuGetProcAddress_v2",
        "cudaMalloc",
        "cudaFree",
        "dlsym",
        "dlvsym",
        "empty_cache",
        "cupool_empty_cache",
        "cupool_stats_dump",
        "cupool_get_stats",
        "cupool_reset_peak_stats",
        "cupool_version",
    ] {
        assert!(exports.iter().any(|export| export == name), "libcupool.so lacks {name}");
    }
}
