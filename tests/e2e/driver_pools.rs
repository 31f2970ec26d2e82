//! What the driver caches for the program goes back together with what the pool does.

use cupool_tests::Victim;

const KEPT: &str = "before: all\nafter: all\nin use: 7\nagain: 10\n";
const GIVEN_BACK: &str = "before: all\nafter: what is in use\nin use: 7\nagain: 10\n";
const CAPTURED: &str = "before: all\ncuStreamEndCapture(stream, &graph) = 0\nafter: all\n\
    in use: 9\nagain: 10\n";

#[test]
fn a_flush_empties_the_drivers_pools() {
    let victim = Victim::new("driver_pools");
    victim.bare().printed(KEPT);
    for (options, printed, bytes) in [
        ("order:auto", GIVEN_BACK, 64 << 20),
        ("order:lazy,backing:exact", GIVEN_BACK, 64 << 20),
        ("flush_driver_pools:false", KEPT, 0),
    ] {
        let pooled = victim.pooled(options);
        pooled.printed(printed);
        let told = pooled.stats().number("/flushes/0/driver_pools_released_bytes");
        assert_eq!(told, bytes, "{options}\n{}", pooled.report());
    }
}

#[test]
fn a_capture_is_not_disturbed() {
    let victim = Victim::new("driver_pools").arg("capture");
    victim.bare().printed(CAPTURED);
    victim.pooled("order:auto").printed(CAPTURED);
}

/// A driver without such pools, and one without memory for graphs.
#[test]
fn older_drivers() {
    for version in ["11010", "11030"] {
        let victim = Victim::new("flush").env("SIMCUDA_DRIVER_VERSION", version);
        let pooled = victim.pooled("order:strict");
        let told = pooled.succeeded().stats();
        assert_eq!(told.number("/flushes/0/driver_pools_released_bytes"), 0);
    }
}
