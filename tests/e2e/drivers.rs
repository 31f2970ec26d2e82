//! Old and odd drivers: programs run as without us, and the stats file says what was done without.

use std::os::unix::fs::symlink;

use cupool_tests::{SIMCUDA_DIR, Victim};

use crate::{ALL, runs_alike};

const NO_EVENTS: &str = "the driver has no context events (12.5 and later have them)";

/// Look-ups of 11.x, where `cuGetProcAddress` has one form; 12.0 to 12.4, without context events.
#[test]
fn drivers_before_context_events() {
    const ORDERS: &[&str] = &["order:auto", "order:lazy,backing:exact"];
    for version in ["11000", "11040", "11080", "12000", "12040"] {
        for name in ["runtime_static", "driver", "reuse", "capture_reuse"] {
            let victim = Victim::new(name).env("SIMCUDA_DRIVER_VERSION", version);
            runs_alike(&victim, ORDERS);
            let pooled = victim.pooled("order:auto");
            let stats = pooled.stats();
            assert_eq!(stats.at("/order"), "strict", "{version}\n{}", pooled.report());
            assert_eq!(stats.at("/order_reason"), NO_EVENTS, "{version}\n{}", pooled.report());
            assert_eq!(stats.at("/devices/0/backing"), "arena", "{version}\n{}", pooled.report());
        }
    }
    let pooled = Victim::new("driver").env("SIMCUDA_DRIVER_VERSION", "12050").pooled("order:auto");
    assert_eq!(pooled.stats().at("/order"), "fence", "{}", pooled.report());
}

#[test]
fn devices_without_virtual_memory_management() {
    for name in ["runtime_static", "driver", "reuse", "soak", "oom_others"] {
        let victim = Victim::new(name).env("SIMCUDA_NO_VMM", "1");
        runs_alike(&victim, ALL);
        let pooled = victim.pooled("backing:arena");
        let stats = pooled.stats();
        assert_eq!(stats.at("/devices/0/backing"), "exact", "{}", pooled.report());
        let why = "the device has no virtual memory management";
        assert_eq!(stats.at("/devices/0/backing_reason"), why, "{}", pooled.report());
    }
}

/// The Windows Subsystem for Linux has its driver in a directory of its own, and no memory that can be
/// shared by descriptor.
#[test]
fn the_windows_subsystem_for_linux() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let libraries = directory.path().join("wsl/lib");
    std::fs::create_dir_all(&libraries).expect("a directory");
    for name in ["libcuda.so.1", "libcudart.so.13"] {
        symlink(std::path::Path::new(SIMCUDA_DIR).join(name), libraries.join(name))
            .expect("a link");
    }
    for name in ["runtime_static", "driver", "reuse", "comm_direct"] {
        let victim = Victim::new(name).env("SIMCUDA_WSL", "1").env("LD_LIBRARY_PATH", &libraries);
        runs_alike(&victim, ALL);
        let pooled = victim.pooled("backing:auto");
        let stats = pooled.stats();
        assert_eq!(stats.at("/devices/0/backing"), "exact", "{}", pooled.report());
        let why = "the Windows Subsystem for Linux";
        assert_eq!(stats.at("/devices/0/backing_reason"), why, "{}", pooled.report());
        // Who insists gets the arena, whose memory asks for no descriptors.
        let insisted = victim.pooled("backing:arena");
        assert_eq!(insisted.succeeded().stats().at("/devices/0/backing"), "arena");
    }
}
