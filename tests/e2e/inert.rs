//! Processes that never touch CUDA notice nothing.

use std::process::Command;
use std::time::{Duration, Instant};

use cupool_tests::{LIBCUPOOL, Victim, assert_same, python};

/// With debugging output on: a library that does nothing has nothing to say.
fn unnoticed(victim: &Victim) {
    let bare = victim.bare();
    let pooled = victim.pooled("order:auto,interval:1s");
    assert_same(&bare, &pooled);
    assert!(pooled.succeeded().files.is_empty(), "left behind: {:?}", pooled.files);
}

#[test]
fn true_does_nothing() {
    unnoticed(&Victim::program("true"));
}

#[test]
fn shells() {
    unnoticed(
        &Victim::program("bash").arg("-c").arg("echo $(echo nested) | cat; ls /proc/self/fd"),
    );
    unnoticed(&Victim::program("sh").arg("-c").arg("exit 0"));
}

#[test]
fn python_interpreters() {
    unnoticed(&Victim::program(python()).arg("-c").arg("1"));
    unnoticed(
        &Victim::program(python()).arg("-c").arg(
            "import os; print(len(os.listdir('/proc/self/task')), os.listdir('/proc/self/fd'))",
        ),
    );
}

/// Threads, descriptors, blocked signals, dispositions: as without us, but for the one handler
/// that keeps an early signal from killing the process.
#[test]
fn what_a_process_sees_of_itself() {
    let victim = Victim::new("idle");
    assert_same(&victim.bare(), &victim.pooled("order:auto"));
    assert_same(&victim.bare(), &victim.pooled("order:auto,signal_early:false"));
}

/// Seen from outside: while the process sleeps there is one thread and no new descriptor.
#[test]
fn what_others_see_of_it() {
    let victim = Victim::program("cat");
    let mut counts = Vec::new();
    for mut running in [victim.start_bare(), victim.start_pooled("order:auto")] {
        running.say("ready").wait_for("ready");
        counts.push((running.proc_entries("task").len(), running.proc_entries("fd").len()));
        running.finish().printed("ready\n");
    }
    assert_eq!(counts[0], counts[1], "(threads, descriptors)");
    assert_eq!(counts[0].0, 1);
}

/// The cheapest of many runs, bare and pooled in turn, is hardly touched by what else the machine
/// does.
#[test]
fn a_process_loses_less_than_a_millisecond() {
    let run = |preload: Option<&str>| {
        let mut command = Command::new("true");
        command.env_remove("LD_PRELOAD").envs(preload.map(|library| ("LD_PRELOAD", library)));
        let start = Instant::now();
        assert!(command.status().expect("`true` starts").success());
        start.elapsed()
    };
    let mut least = (Duration::MAX, Duration::MAX);
    for _ in 0..100 {
        least = (least.0.min(run(None)), least.1.min(run(Some(LIBCUPOOL))));
    }
    let lost = least.1.saturating_sub(least.0);
    assert!(lost < Duration::from_millis(1), "{lost:?}");
}
