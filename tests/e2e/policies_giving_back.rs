//! Idle memory goes back by itself.

use std::time::{Duration, Instant};

use cupool_tests::Victim;

use crate::command::wait_for_page;

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
        let stats =
            running.wait_for_stats(|stats| stats.sum("/allocation/freed") == 2 && idle(stats) == 0);
        assert_eq!(stats.sum("/released_bytes/decay"), 96 * MIB, "{backing}");
        let took = freed.elapsed();
        assert!(took >= Duration::from_millis(350), "{backing}: gone after {took:?}");
        // And it works on.
        running.say("alloc 64").wait_for("alloc 64: 0");
        running.finish().succeeded();
    }
}

#[test]
fn what_exceeds_max_idle_goes_at_once() {
    for backing in ["arena", "exact"] {
        let mut running = Victim::new("policy_steps")
            .start_pooled(&format!("decay:off,max_idle:32M,order:strict,backing:{backing}"));
        running.wait_for("ready").say("alloc 64").wait_for("alloc 64: 0");
        running.say("free").wait_for("free: 0").say("alloc 16").wait_for("alloc 16: 0");
        running.say("free").wait_for("free: 0");
        let output = running.finish();
        let stats = output.succeeded().stats();
        assert_eq!(stats.number("/devices/0/released_bytes/max_idle"), 64 * MIB, "{backing}");
        assert_eq!(stats.number("/devices/0/idle_bytes"), 16 * MIB, "{backing}");
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
            assert_eq!(flush["skipped"], left_out, "{flush:#}");
        }
        running.finish().succeeded();
    }
}

/// A neighbour without cupool finds room without asking.
#[test]
fn some_of_the_device_is_kept_free() {
    for backing in ["arena", "exact"] {
        let shared = tempfile::tempdir().expect("a temporary directory");
        let victim = Victim::new("policy_steps")
            .env("SIMCUDA_MEMORY", (1024 * MIB).to_string())
            .env("SIMCUDA_SHARED", shared.path().join("device"));
        let options =
            format!("decay:off,max_idle:none,min_free:25%,min_free_period:20ms,backing:{backing}");
        let mut pooled = victim.start_pooled(&options);
        pooled.wait_for("ready").say("alloc 300").wait_for("alloc 300: 0");
        pooled.say("alloc 300").wait_for("alloc 300: 0");
        pooled.say("free").wait_for("free: 0");
        let mut native = victim.start_bare();
        native.wait_for("ready");
        // 40 MiB of the device are free then.
        native.say("alloc 384").wait_for("alloc 384: 0");
        std::thread::sleep(Duration::from_millis(500));
        native.say("alloc 250").wait_for("alloc 250: 0");
        native.finish().succeeded();
        let output = pooled.finish();
        let stats = output.succeeded().stats();
        let flush = stats.at("/flushes/0").clone();
        assert_eq!(flush["reason"], "min_free", "{flush:#}");
        let released = stats.number("/devices/0/released_bytes/min_free");
        assert_eq!(flush["released_bytes"], released, "{flush:#}");
    }
}

/// Whoever insists gets a flush that the options would leave out.
#[test]
fn a_flush_can_be_forced() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut running = Victim::new("policy_steps")
        .env("XDG_RUNTIME_DIR", directory.path())
        .start_pooled("flush_threshold:1G,flush_interval:1h,decay:off");
    running.wait_for("ready").say("alloc 64").wait_for("alloc 64: 0");
    running.say("free").wait_for("free: 0");
    wait_for_page(&directory.path().join("cupool"), &running);
    let flush = |more: &[&str]| {
        let command = Victim::program(cupool_tests::COMMAND)
            .args(&["flush", "--json", &running.pid().to_string()])
            .args(more)
            .env("XDG_RUNTIME_DIR", directory.path());
        let output = command.bare();
        let line: serde_json::Value =
            serde_json::from_str(&output.succeeded().stdout).expect("one JSON object");
        line["flush"]["released_bytes"].as_u64().expect("a number")
    };
    assert_eq!(flush(&[]), 0);
    assert_eq!(flush(&["--force"]), 64 * MIB);
    running.finish().succeeded();
}
