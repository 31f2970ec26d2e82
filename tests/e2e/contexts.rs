//! Several contexts, contexts that wander between threads, green contexts, threads' own streams.

use cupool_tests::Victim;

use crate::{ALL, AS_NATIVE, same};

same! {
    handed_from_thread_to_thread: Victim::new("context_floats"), ALL;
    handed_from_thread_to_thread_on_two_devices:
        Victim::new("context_floats").env("SIMCUDA_DEVICES", "2"), ALL;
    green_contexts: Victim::new("green"), ALL;
    green_contexts_of_a_driver_without: Victim::new("green").env("SIMCUDA_DRIVER_VERSION", "12000"), ALL;
    // The queries after a free are what `lazy` and `fence` document.
    compiled_for_default_streams_per_thread: Victim::new("per_thread"), AS_NATIVE;
    default_streams_per_thread_by_handle: Victim::new("per_thread_runtime"), AS_NATIVE;
}

/// Memory that was allocated while a green context was current is the primary context's.
#[test]
fn a_green_context_has_no_pool_of_its_own() {
    let pooled = Victim::new("green").pooled("order:auto");
    let stats = pooled.succeeded().stats();
    assert_eq!(stats.at("/order_reason"), "green context", "{}", pooled.report());
    let left = Victim::new("green").env("SIMCUDA_LEFT", "left").pooled("order:auto,backing:arena");
    let left = std::fs::read_to_string(left.directory.path().join("left"));
    assert_eq!(left.expect("written"), "mappings 0\nmemory 0\nreservations 0\n");
}
