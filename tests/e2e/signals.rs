//! SIGUSR1 flushes and dumps, and disturbs nothing else.

use cupool_tests::{Stats, Victim};
use libc::SIGUSR1;

use crate::{ALL, same};

same! {
    a_handler_on_the_stack_it_was_written_for: Victim::new("signal_stack"), ALL;
}

/// Whether a stats file tells of a flush by signal.
fn flushed(stats: &Stats) -> bool {
    let flushes = stats.0.pointer("/flushes").and_then(|flushes| flushes.as_array());
    flushes.is_some_and(|flushes| flushes.iter().any(|flush| flush["reason"] == "signal"))
}

#[test]
fn a_blocked_read_carries_on() {
    for order in ["order:strict", "order:fence", "order:auto", "order:lazy"] {
        let mut running = Victim::new("signal_read").start_pooled(order);
        running.wait_for("ready").signal(SIGUSR1);
        let stats = running.wait_for_stats(flushed);
        let flush = stats.at("/flushes/0");
        assert_eq!(flush["released_bytes"], 64 << 20, "{flush:#}");
        assert_eq!(flush["idle_bytes_after"], 0, "{flush:#}");
        assert_eq!(stats.at("/reason"), "signal");
        assert_eq!(stats.number("/devices/0/reserved_bytes/current"), 0);
        running.say("x");
        running.finish().printed("ready\nread 2 bytes: x\n");
    }
}

#[test]
fn poll_and_sleep_see_at_most_eintr() {
    let mut running = Victim::new("signal_poll").start_pooled("order:auto");
    running.wait_for("polling").signal(SIGUSR1);
    running.wait_for_stats(flushed);
    running.say("x").wait_for("sleeping").signal(SIGUSR1);
    running.finish().printed("polling\nsleeping\nwoken\n");
}

#[test]
fn ten_thousand_under_load() {
    for order in ["order:fence", "order:auto", "order:lazy"] {
        Victim::new("signal_storm").pooled(order).printed("10000 signals, 0 wrong words\n");
    }
    // The victim depends on the library's handler: bare, the first signal ends it.
    assert_eq!(Victim::new("signal_storm").bare().signal, Some(SIGUSR1));
}

#[test]
fn one_before_cuda_is_touched_is_not_forgotten() {
    let mut running = Victim::new("signal_early").start_pooled("order:auto");
    running.wait_for("ready");
    running.wait_for_stats(|stats| stats.0.pointer("/reason").is_some());
    running.finish().printed("alive\nready\n");
}

#[test]
fn early_signals_can_be_left_alone() {
    let output = Victim::new("signal_early").pooled("order:auto,signal_early:false");
    assert_eq!(output.signal, Some(SIGUSR1), "{}", output.report());
}

#[test]
fn a_program_keeps_its_own_handler() {
    for (when, expected) in [
        ("early", "my handler is installed\nready\nheard 1\n"),
        ("late", "my handler is installed\nready\nheard 1\n"),
    ] {
        let mut running = Victim::new("signal_own").arg(when).start_pooled("order:auto");
        running.wait_for("ready").signal(SIGUSR1);
        running.wait_for_stats(flushed);
        running.say("x");
        running.finish().printed(expected);
    }
}

#[test]
fn another_signal_can_be_chosen() {
    let mut running = Victim::new("signal_read").start_pooled("order:auto,signal:USR2");
    running.wait_for("ready").signal(libc::SIGUSR2);
    running.wait_for_stats(flushed);
    // SIGUSR1 is none of the library's business then.
    running.signal(SIGUSR1);
    assert_eq!(running.finish().signal, Some(SIGUSR1));
}
