//! A flush reaches the caches above the pool, in a Python process and without its help.

use cupool_tests::{Output, Running, Stats, Victim};
use libc::SIGUSR1;

use crate::command::Place;

/// Bytes in the three caches of the victim.
const CACHED: u64 = 3 * 4 * (64 << 20);

const EMPTIED: &str = "0 blocks left, emptied 1 times \n";
const LEFT: &str = "4 blocks left, emptied 0 times \n";

fn victim(mode: &str) -> Victim {
    Victim::new("framework_caches.py").arg(mode)
}

fn start(mode: &str, options: &str) -> Running {
    let mut running = victim(mode).start_pooled(options);
    running.wait_for("ready").signal(SIGUSR1);
    running
}

/// Whether `bytes` are left in the pool after a flush for `reason`.
fn left(reason: &'static str, bytes: u64) -> impl Fn(&Stats) -> bool {
    move |stats| {
        let flushes = stats.0.pointer("/flushes").and_then(|flushes| flushes.as_array());
        flushes.is_some_and(|flushes| flushes.iter().any(|flush| flush["reason"] == reason))
            && stats.number("/devices/0/reserved_bytes/current") == bytes
    }
}

fn told(mut running: Running) -> Output {
    running.say("x");
    running.finish()
}

#[test]
fn one_that_waits_for_input() {
    for order in ["order:strict", "order:fence", "order:auto", "order:lazy"] {
        let mut running = start("blocked", order);
        running.wait_for_stats(left("signal", 0));
        told(running).printed(&format!("ready\n{}", EMPTIED.repeat(3)));
    }
}

#[test]
fn one_that_runs_python_code() {
    let mut running = start("busy", "order:auto");
    let stats = running.wait_for_stats(left("signal", 0));
    assert!(
        stats.at("/order_reason").is_null(),
        "cupool's own thread is no second thread of the program"
    );
    told(running).printed(&format!("ready\n{}", EMPTIED.repeat(3)));
}

#[test]
fn one_that_keeps_pythons_lock_follows_later() {
    let mut running = start("locked", "order:auto");
    running.wait_for_stats(left("signal", CACHED));
    running.wait_for_stats(left("framework_caches", 0));
    told(running).printed(&format!("ready\n{}", EMPTIED.repeat(3)));
}

#[test]
fn not_during_a_capture() {
    let mut running = start("capture", "order:auto");
    running.wait_for_stats(left("signal", CACHED));
    told(running).printed(&format!("ready\nthe capture ended well\n{}", LEFT.repeat(3)));
}

#[test]
fn a_framework_that_fails_does_not_keep_the_others() {
    let mut running = start("fails", "order:auto");
    running.wait_for_stats(left("signal", CACHED / 3));
    told(running).printed(&format!("ready\n{LEFT}{}", EMPTIED.repeat(2)));
}

#[test]
fn without_frameworks_nothing_happens() {
    let mut running = start("absent", "order:auto");
    running.wait_for_stats(left("signal", CACHED));
    told(running).printed(&format!("ready\n{}", LEFT.repeat(3)));
}

#[test]
fn it_can_be_turned_off() {
    let mut running = start("blocked", "order:auto,framework_caches:false");
    running.wait_for_stats(left("signal", CACHED));
    told(running).printed(&format!("ready\n{}", LEFT.repeat(3)));
}

/// `flush_interval` holds for the caches above, too, but not for who insists.
#[test]
fn what_comes_too_soon_can_be_forced() {
    let place = Place::new();
    let mut running = place.started(place.victim("framework_caches.py").arg("refills"), INTERVAL);
    let pid = running.pid().to_string();
    place.run(&["flush", &pid]).succeeded();
    running.say("x").wait_for("again");
    let too_soon = place.run(&["flush", &pid]);
    let why = "(skipped: sooner than flush_interval after the last flush); --force does it";
    assert!(too_soon.succeeded().stdout.contains(why), "{too_soon:?}");
    let forced = place.run(&["flush", "--force", &pid]);
    assert!(forced.succeeded().stdout.contains("gave back 768 MiB of 768 MiB idle"), "{forced:?}");
    let emptied = "0 blocks left, emptied 2 times \n";
    told(running).printed(&format!("ready\nagain\n{}", emptied.repeat(3)));
}

const INTERVAL: &str = "order:auto,decay:off,max_idle:none,flush_interval:1h";

#[test]
fn the_interpreter_goes_when_they_are_through() {
    start("exits", "order:auto").finish().printed("ready\nemptied\n");
}
