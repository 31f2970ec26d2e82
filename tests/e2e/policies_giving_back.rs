//! Idle memory goes back by itself.

use std::time::{Duration, Instant};

use cupool_tests::Victim;

const MIB: u64 = 1 << 20;

#[test]
fn what_is_not_used_decays() {
    for backing in ["arena", "exact"] {
        let victim = Victim::new("policy_steps");
        let mut running =
            victim.start_pooled(&format!("decay:400ms,backing:{backing},interval:20ms"));
        running.wait_for("ready").say("alloc 64").wait_for("alloc 64: 0");
        running.say("alloc 32").wait_for("alloc 32: 0");
        let freed = Instant::now();
        running.say("free").wait_for("free: 0").say("free").wait_for("free: 0");
        let idle = |stats: &cupool_tests::Stats| {
            let reserved = stats.sum("/reserved_bytes/current");
            reserved - stats.sum("/allocated_bytes/current")
        };
        let stats = running.wait_for_stats(|stats| idle(stats) > 0);
        assert_eq!(idle(&stats), 96 * MIB, "{backing}");
        running.wait_for_stats(|stats| idle(stats) == 0);
        let took = freed.elapsed();
        assert!(took >= Duration::from_millis(350), "{backing}: gone after {took:?}");
        // And it works on.
        running.say("alloc 64").wait_for("alloc 64: 0");
        running.finish().succeeded();
    }
}

#[test]
fn with_decay_off_it_stays() {
    let mut running = Victim::new("policy_steps").start_pooled("decay:off");
    running.wait_for("ready").say("alloc 64").wait_for("alloc 64: 0");
    running.say("free").wait_for("free: 0");
    std::thread::sleep(Duration::from_millis(300));
    let output = running.finish();
    assert_eq!(output.succeeded().stats().number("/devices/0/idle_bytes"), 64 * MIB);
}
