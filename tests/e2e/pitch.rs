//! Rows at a distance come from the pool, as far apart as the driver puts them.

use std::fs;

use cupool_tests::{Output, Victim};

use crate::{ALL, same};

same! {
    rows_by_the_runtime: Victim::new("pitched"), ALL;
    rows_by_the_driver: Victim::new("pitched_driver"), ALL;
}

/// Calls of `cuMemAllocPitch` that reach the driver and succeed there.
fn served_by_the_driver(run: impl FnOnce(Victim) -> Output) -> usize {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = directory.path().join("log");
    run(Victim::new("pitched").env("SIMCUDA_LOG", &log)).succeeded();
    let log = fs::read_to_string(log).expect("the simulation has written it");
    let served = |line: &&str| line.starts_with("cuMemAllocPitch ") && line.ends_with(" 0");
    log.lines().filter(served).count()
}

/// Sixteen widths, which share pitches, and one with depth, four times over.
#[test]
fn only_the_first_rows_come_from_the_driver() {
    assert_eq!(served_by_the_driver(|victim| victim.bare()), 4 * (16 + 3));
    for options in ["backing:arena", "backing:exact"] {
        let asked = served_by_the_driver(|victim| victim.pooled(options));
        assert!((1..=16).contains(&asked), "{options}: {asked} times");
    }
}
