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

/// What the driver refuses once it refuses once: the program hears of it as of a refused
/// `cuMemAlloc`, or not at all, and nothing is lost.
#[test]
fn failures_of_the_arenas_own_calls() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let left = directory.path().join("left");
    let bare = Victim::new("context_destroy").bare();
    let mut problems = Vec::new();
    for call in ["cuMemAddressReserve", "cuMemCreate", "cuMemMap", "cuMemSetAccess"] {
        for number in [1, 2, 5] {
            let fault = format!("{call}:{number}=999");
            let victim = Victim::new("context_destroy");
            let victim = victim.env("SIMCUDA_FAULTS", &fault).env("SIMCUDA_LEFT", &left);
            let pooled = victim.pooled(BACKING);
            let told = pooled.code == Some(1) && pooled.stderr.contains("999 from cuMemAlloc");
            let unnoticed = pooled.stdout == bare.stdout;
            let clean = fs::read_to_string(&left)
                .is_ok_and(|text| text == "mappings 0\nmemory 0\nreservations 0\n");
            // Without addresses there is the other backing.
            let right = if call == "cuMemAddressReserve" { unnoticed } else { told || unnoticed };
            if !right || (unnoticed && !clean) {
                problems.push(format!("{fault}\n{}", pooled.report()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What the driver does not let go of, nobody is handed again, and the program does not notice.
#[test]
fn failures_to_give_back() {
    let bare = Victim::new("context_flush").bare();
    for call in ["cuMemUnmap", "cuMemRelease", "cuMemAddressFree"] {
        for number in [1, 3] {
            let fault = format!("{call}:{number}=999");
            let pooled = Victim::new("context_flush").env("SIMCUDA_FAULTS", &fault).pooled(BACKING);
            cupool_tests::assert_same(&bare, &pooled);
        }
    }
}
