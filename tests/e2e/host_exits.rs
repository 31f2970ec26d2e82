//! However a process ends: as without us, and with a stats file where it gets to run.

use std::time::Duration;

use cupool_tests::{HAVE_CXX, LIBCUPOOL, VICTIMS_DIR, Victim, assert_same};

use crate::ALL;

/// Ways to end, and whether handlers run.
const WAYS: &[(&str, bool)] = &[
    ("return", true),
    ("exit", true),
    ("quick_exit", true),
    ("_exit", false),
    ("abort", false),
    ("SIGTERM", false),
];

/// Whether the C++ victims are there; CI must have them.
fn have_cxx() -> bool {
    if !HAVE_CXX {
        println!("skipped: no C++ compiler to build `host_exit` with (set CXX)");
        assert!(std::env::var_os("CI").is_none(), "CI must have a C++ compiler");
    }
    HAVE_CXX
}

#[test]
fn every_way_to_end() {
    if !have_cxx() {
        return;
    }
    for (way, runs) in WAYS {
        let victim = Victim::new("host_exit").arg(way);
        let bare = victim.bare();
        for options in ALL {
            let pooled = victim.pooled(options);
            assert_same(&bare, &pooled);
            assert_eq!(pooled.stats.is_some(), *runs, "stats file\n{}", pooled.report());
            if *runs {
                assert_eq!(pooled.stats().at("/reason"), "exit");
            }
        }
    }
}

/// A handler of SIGTERM that calls `exit` in the middle of whatever the process did: a race that one
/// run need not meet.
#[test]
fn exit_from_a_signal_handler() {
    if !have_cxx() {
        return;
    }
    let victim = Victim::new("host_exit").arg("handled SIGTERM");
    let mut written = 0;
    for (round, options) in (0..4).flat_map(|round| ALL.iter().map(move |one| (round, one))) {
        let mut running = victim.start_pooled(options);
        running.wait_for("running");
        std::thread::sleep(Duration::from_millis(20 + 7 * round));
        running.signal(libc::SIGTERM);
        let pooled = running.finish();
        assert_eq!(pooled.code, Some(7), "{options}\n{}", pooled.report());
        if !pooled.stderr.is_empty() {
            panic!("{options}\n{}", pooled.report());
        }
        written += usize::from(pooled.stats.is_some());
    }
    // Whoever was interrupted with a lock that the last file needs gets none.
    assert!(written >= 18, "{written} stats files of 24 runs");
}

/// Libraries that are linked to CUDA come and go, and take nothing of ours with them.
#[test]
fn libraries_with_cuda_are_closed() {
    for plugin in ["driver", "shared", "static"] {
        let path = format!("{VICTIMS_DIR}/host_plugin_{plugin}.so");
        for keep in ["close", "keep"] {
            let victim = Victim::new("host_plugins").args(&[&path, keep]);
            crate::runs_alike(&victim, ALL);
        }
    }
}

/// Who opens libcupool.so and closes it again does not take the signal's handler, the thread and the
/// handlers of exit away from under the process.
#[test]
fn the_library_itself_is_closed() {
    for used in ["idle", "used"] {
        Victim::new("host_unload").args(&[LIBCUPOOL, used]).bare().printed("alive\n");
    }
}
