//! What the arena maps, creates and reserves outlives contexts: it is all given back when they end.

use std::fs;

use cupool_tests::{Output, Victim};

/// Calls that must not fail, whatever happens: each was decided by what the arena knows.
const CALLS: [&str; 6] =
    ["cuMemMap", "cuMemUnmap", "cuMemRelease", "cuMemSetAccess", "cuMemAddressFree", "cuMemFree"];

/// Runs a victim that ends all its contexts; nothing may be left, and no call have failed.
#[track_caller]
fn leaves_nothing(victim: Victim, options: &str) -> Output {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (left, log) = (directory.path().join("left"), directory.path().join("log"));
    let pooled = victim.env("SIMCUDA_LEFT", &left).env("SIMCUDA_LOG", &log).pooled(options);
    pooled.succeeded();
    assert_eq!(pooled.stats().at("/devices/0/backing"), "arena", "{}", pooled.report());
    let left = fs::read_to_string(left).expect("the simulation has written it");
    assert_eq!(left, "mappings 0\nmemory 0\nreservations 0\n", "{}", pooled.report());
    let log = fs::read_to_string(log).expect("the simulation has written it");
    let failed: Vec<&str> = log
        .lines()
        .filter(|line| {
            let (call, result) = line.split_once(' ').expect("name thread result");
            CALLS.contains(&call) && !result.ends_with(" 0")
        })
        .collect();
    assert!(failed.is_empty(), "{failed:?}\n{}", pooled.report());
    pooled
}

const BACKING: &str = "backing:arena,max_idle:none";

#[test]
fn contexts_that_end_while_memory_is_given_back() {
    for order in ["strict", "fence", "auto", "lazy"] {
        let pooled =
            leaves_nothing(Victim::new("context_flush"), &format!("order:{order},{BACKING}"));
        assert_eq!(pooled.stdout, Victim::new("context_flush").bare().stdout);
        let flushes = pooled.stats().at("/flushes").as_array().map_or(0, Vec::len);
        assert!(flushes > 0, "nothing was asked for\n{}", pooled.report());
    }
}

#[test]
fn contexts_that_end_one_after_the_other() {
    leaves_nothing(Victim::new("context_destroy"), BACKING);
    leaves_nothing(Victim::new("primary_release"), BACKING);
    leaves_nothing(Victim::new("share"), BACKING);
}

#[test]
fn contexts_that_end_in_threads() {
    leaves_nothing(Victim::new("context_threads"), BACKING);
}

/// What the driver refuses once it refuses once: nothing is lost, and the program gets its memory.
#[test]
fn failures_of_the_arenas_own_calls() {
    let bare = Victim::new("context_destroy").bare();
    let mut noticed = Vec::new();
    for call in ["cuMemAddressReserve", "cuMemCreate", "cuMemMap", "cuMemSetAccess", "cuMemUnmap"] {
        for number in [1, 2, 5] {
            let fault = format!("{call}:{number}=999");
            let victim = Victim::new("context_destroy").env("SIMCUDA_FAULTS", &fault);
            let pooled = victim.pooled(BACKING);
            let output_differs = pooled.stdout != bare.stdout;
            if pooled.code.is_none() || pooled.stderr.contains("panic") {
                noticed.push(format!("{fault}\n{}", pooled.report()));
            } else if output_differs && call == "cuMemAddressReserve" {
                // Without addresses there is the other backing.
                noticed.push(format!("{fault}\n{}", pooled.report()));
            }
        }
    }
    assert!(noticed.is_empty(), "{}", noticed.join("\n"));
}
