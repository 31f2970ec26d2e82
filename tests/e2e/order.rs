//! What programs get from `cudaFree` beside the memory: the order of work, and the host's wait.

use cupool_tests::Victim;

use crate::{ALL, AS_NATIVE, BETWEEN_STREAMS, same};

same! {
    // Device memory is never handed out while it is in use, whatever the order.
    a_block_that_is_still_read: Victim::new("reuse"), ALL;
    two_streams_ordered_by_a_free: Victim::new("order_streams"), BETWEEN_STREAMS;
    // `fence` and `auto` pay the owed wait in these calls and at exit.
    elapsed_time_after_a_free: Victim::new("order_elapsed"), BETWEEN_STREAMS;
    queries_after_a_free: Victim::new("order_query"), BETWEEN_STREAMS;
    a_print_before_the_exit: Victim::new("order_print"), BETWEEN_STREAMS;
    // `fence` documents that it hangs here; `auto` must not.
    a_kernel_waits_for_another_threads_copy:
        Victim::new("order_spin"), &["order:strict", "order:auto", "order:lazy"];
    // The signs by which `auto` knows that somebody could tell.
    pinned_memory: Victim::new("sign_pinned"), AS_NATIVE;
    registered_memory: Victim::new("sign_registered"), AS_NATIVE;
    managed_memory: Victim::new("sign_managed"), AS_NATIVE;
    host_functions: Victim::new("sign_host_func"), AS_NATIVE;
    stream_callbacks: Victim::new("sign_callback"), AS_NATIVE;
    a_second_thread: Victim::new("sign_thread"), AS_NATIVE;
    a_second_context: Victim::new("sign_context"), AS_NATIVE;
    ipc_handles: Victim::new("sign_ipc"), AS_NATIVE;
}

const SIGNS: [&str; 8] = [
    "sign_pinned",
    "sign_registered",
    "sign_managed",
    "sign_host_func",
    "sign_callback",
    "sign_thread",
    "sign_context",
    "sign_ipc",
];

/// `auto` begins as `fence` and becomes `strict` at each of the signs, saying which it was.
#[test]
fn auto_switches_at_each_sign() {
    for name in SIGNS {
        let pooled = Victim::new(name).pooled("order:auto");
        let stats = pooled.succeeded().stats();
        assert_eq!(stats.at("/order"), "strict", "{name}");
        assert_eq!(stats.at("/order_configured"), "auto", "{name}");
        assert!(stats.at("/order_reason").is_string(), "{name}: no reason given");
        assert!(stats.sum("/host_syncs") > 0, "{name}: strict, but the host never waited");
    }
}

/// `auto` stays `fence` for a program that shows no sign.
#[test]
fn auto_stays_fence_without_a_sign() {
    for name in ["runtime_static", "runtime_shared", "order_streams", "reuse"] {
        let pooled = Victim::new(name).pooled("order:auto");
        let stats = pooled.succeeded().stats();
        assert_eq!(stats.at("/devices/0/order"), "fence", "{name}: {:#}", stats.0);
        assert!(stats.sum("/fences") > 0, "{name}: {:#}", stats.0);
    }
}

/// The victims above can fail: where a sign is ignored, as `fence` does by request, the programs
/// whose host looks at once see that the wait is missing.
#[test]
fn ignoring_a_sign_would_show() {
    for name in ["sign_pinned", "sign_managed", "sign_host_func", "sign_callback"] {
        let (bare, fenced) = (Victim::new(name).bare(), Victim::new(name).pooled("order:fence"));
        assert_ne!(bare.stdout, fenced.succeeded().stdout, "{name} cannot tell");
    }
}

/// Devices that read the host's pageable memory give every program away.
#[test]
fn pageable_access_makes_auto_strict() {
    let pooled = Victim::new("runtime_static").env("SIMCUDA_PAGEABLE", "1").pooled("order:auto");
    assert_eq!(pooled.succeeded().stats().at("/order"), "strict");
}
