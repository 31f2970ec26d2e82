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

/// The fourth call of the driver fails, in the middle of opening what was mapped before: then the
/// access is not enabled by halves, and can be enabled again.
#[test]
fn memory_that_cannot_be_opened() {
    let bare = two().bare();
    let first = "cuCtxEnablePeerAccess(first, 0) = 0\ncuCtxEnablePeerAccess(first, 0) = 704\n";
    assert!(bare.stdout.contains(first), "{}", bare.report());
    let second = "cuCtxEnablePeerAccess(first, 0) = 801\ncuCtxEnablePeerAccess(first, 0) = 0\n";
    let victim = two().env("SIMCUDA_FAULTS", "cuMemSetAccess:4=801");
    victim.pooled("backing:arena").printed(&bare.stdout.replace(first, second));
}
