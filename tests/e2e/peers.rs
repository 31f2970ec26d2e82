//! Devices that may use each other's memory.

use cupool_tests::Victim;

use crate::same;

fn two() -> Victim {
    Victim::new("peers").env("SIMCUDA_DEVICES", "2").env("SIMCUDA_PEERS", "1")
}

same! {
    memory_of_another_device: two(), &[
        "backing:auto", "backing:arena", "backing:arena,max_idle:none", "backing:exact",
        "backing:arena,order:lazy",
    ];
    only_one_device: Victim::new("peers"), &["backing:auto", "backing:exact"];
}

/// The simulation tells where the access is missing: here the fourth call fails, in the middle of
/// opening what was mapped before.
#[test]
fn memory_that_is_not_open() {
    let victim = two().env("SIMCUDA_FAULTS", "cuMemSetAccess:4=801");
    let pooled = victim.pooled("backing:arena");
    assert!(pooled.stderr.contains("without access to it"), "{}", pooled.report());
}
