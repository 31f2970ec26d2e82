//! What programs get from `cudaFree` beside the memory: the order of work, and the host's wait.

use cupool_tests::{Output, Victim};

use crate::{ALL, AS_NATIVE, BETWEEN_STREAMS, same};

same! {
    // Device memory is never handed out while it is in use, whatever the order.
    a_block_that_is_still_read: Victim::new("reuse"), ALL;
    blocks_freed_while_in_use_by_four_threads: Victim::new("soak"), ALL;
    two_streams_ordered_by_a_free: Victim::new("order_streams"), BETWEEN_STREAMS;
    // `fence` and `auto` pay the owed wait in these calls and at exit.
    elapsed_time_after_a_free: Victim::new("order_elapsed"), BETWEEN_STREAMS;
    queries_after_a_free: Victim::new("order_query"), BETWEEN_STREAMS;
    a_print_before_the_exit: Victim::new("order_print"), ALL;
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
    a_query_while_a_sign_is_paid_for: Victim::new("sign_meanwhile"), AS_NATIVE;
    a_second_context: Victim::new("sign_context"), AS_NATIVE;
    ipc_handles:
        Victim::new("sign_ipc"), &["order:strict,backing:exact", "order:auto,backing:exact"];
}

/// `auto` begins as `fence` and becomes `strict` at each of the signs, saying which it was.
#[test]
fn auto_switches_at_each_sign() {
    let signs = [
        ("sign_pinned", "pinned memory"),
        ("sign_registered", "registered memory"),
        ("sign_managed", "managed memory"),
        ("sign_host_func", "host function"),
        ("sign_callback", "stream callback"),
        ("sign_thread", "second thread"),
        ("sign_context", "second context"),
        ("sign_ipc", "inter-process communication"),
    ];
    for (name, reason) in signs {
        // Legacy IPC wants native blocks.
        let pooled = Victim::new(name).pooled("order:auto,backing:exact");
        switched(&pooled, reason);
        assert!(pooled.stats().sum("/host_syncs") > 0, "{name}: but the host never waited");
    }
}

/// The same for calls whose effect this program does not look at.
#[test]
fn auto_switches_at_calls_that_give_programs_away() {
    let signs = [
        ("host-alloc", "pinned memory"),
        ("alloc-host", "pinned memory"),
        ("managed", "managed memory"),
        ("wait-value", "stream wait on a value"),
        ("ipc", "inter-process communication"),
    ];
    for (name, reason) in signs {
        let victim = Victim::new("signs").arg(name);
        let pooled = victim.pooled("order:auto,backing:exact");
        cupool_tests::assert_same(&victim.bare(), &pooled);
        switched(&pooled, reason);
    }
    let two_devices = Victim::new("signs").arg("second-device").env("SIMCUDA_DEVICES", "2");
    let pooled = two_devices.pooled("order:auto");
    cupool_tests::assert_same(&two_devices.bare(), &pooled);
    let reason = pooled.stats().at("/order_reason");
    assert!(reason == "second device" || reason == "second context", "{reason}");
    // A variable of a module that only the device sees.
    for name in ["none", "on_device"] {
        let none = Victim::new("signs").arg(name).pooled("order:auto");
        assert_eq!(none.succeeded().stats().at("/order"), "fence", "{name}");
    }
}

#[track_caller]
fn switched(pooled: &Output, reason: &str) {
    let stats = pooled.succeeded().stats();
    assert_eq!(stats.at("/order"), "strict", "{}", pooled.report());
    assert_eq!(stats.at("/order_configured"), "auto", "{}", pooled.report());
    assert_eq!(stats.at("/order_reason"), reason, "{}", pooled.report());
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
