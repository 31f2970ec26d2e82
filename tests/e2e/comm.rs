//! The calls of libraries that share a program's memory: what they do arrives, whichever way is left
//! to them.

use cupool_tests::Victim;

use crate::{ALL, same};

same! {
    nccl: Victim::new("comm_nccl"), ALL;
    nccl_where_blocks_are_native: Victim::new("comm_nccl").arg("ways"), &["backing:exact"];
    ucx: Victim::new("comm_ucx"), ALL;
    ucx_where_blocks_are_native: Victim::new("comm_ucx").arg("share"), &["backing:exact"];
    ucx_as_it_is_found: Victim::new("comm_ucx").arg("share").preload("libucp.so.0"), &["backing:auto"];
    gdrcopy_where_blocks_are_native: Victim::new("comm_direct").arg("gdrcopy"), &["backing:exact"];
    gdrcopy_as_it_is_found:
        Victim::new("comm_direct").arg("gdrcopy").preload("libgdrapi.so.2"), &["backing:auto"];
    cufile: Victim::new("comm_direct").arg("cufile"), ALL;
}

/// NCCL asks what a buffer can do, and leaves one of the arena unregistered.
#[test]
fn nccl_takes_another_way_with_the_arena() {
    let victim = Victim::new("comm_nccl").arg("ways");
    assert!(victim.bare().stdout.contains("registered by legacy IPC"));
    let pooled = victim.pooled("backing:arena");
    pooled.succeeded();
    assert_eq!(pooled.stdout.matches("registered not at all").count(), 4, "{}", pooled.report());
    assert_eq!(pooled.stdout.matches("\n0 wrong words").count(), 4, "{}", pooled.report());
}
