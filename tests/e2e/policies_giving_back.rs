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
        running.wait_for_stats(|stats| stats.sum("/allocation/freed") == 2 && idle(stats) == 0);
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

/// The options hold for the signal and for `empty_cache()`, and the record tells.
#[test]
fn a_flush_that_is_not_worth_it_is_left_out() {
    for (options, left_out) in [
        ("flush_threshold:65M", "skipped: less than flush_threshold is idle"),
        ("flush_interval:1h", "skipped: sooner than flush_interval after the last flush"),
    ] {
        let mut running = Victim::new("policy_steps").start_pooled(options);
        running.wait_for("ready");
        if options.starts_with("flush_interval") {
            running.say("empty").wait_for("empty");
        }
        running.say("alloc 64").wait_for("alloc 64: 0").say("free").wait_for("free: 0");
        running.say("empty").wait_for("empty").signal(libc::SIGUSR1);
        let stats = running.wait_for_stats(|stats| stats.at("/reason") == "signal");
        assert_eq!(stats.number("/devices/0/idle_bytes"), 64 * MIB, "{options}");
        let flushes = stats.at("/flushes").as_array().expect("an array").clone();
        let last = &flushes[flushes.len() - 2..];
        for (flush, reason) in last.iter().zip(["empty_cache", "signal"]) {
            assert_eq!(flush["reason"], reason, "{flush:#}");
            assert_eq!(flush["kept"][0]["reason"], left_out, "{flush:#}");
        }
        running.finish().succeeded();
    }
}
