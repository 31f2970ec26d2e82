//! Programs that want the signal for themselves hear it as they would without us.

use cupool_tests::{Running, Stats, Victim};
use libc::SIGUSR1;

/// A gibibyte: less than what the victim needs, one allocation after the other.
const SMALL: &str = "1073741824";

/// What another process's cupool sends as the value: other versions of it have to agree.
const MARK: usize = 0x6375_706f_6f6c_0001;

/// Whether a stats file tells of a flush for this reason.
pub fn flushed_by(stats: &Stats, reason: &str) -> bool {
    let flushes = stats.0.pointer("/flushes").and_then(|flushes| flushes.as_array());
    flushes.is_some_and(|flushes| flushes.iter().any(|flush| flush["reason"] == reason))
}

/// Asks the victim what it has heard until it says `heard`, which may take a moment.
pub fn hears(running: &mut Running, heard: &str) {
    for _ in 0..200 {
        running.say("?").wait_for("heard");
        if running.last_line() == heard {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the program never said `{heard}`, but `{}`", running.last_line());
}

/// The program hears one signal bare, one pooled, and what it frees is given back by the signal.
#[track_caller]
fn hears_it_and_is_flushed(victim: &Victim, heard: &str) {
    let mut running = victim.start_bare();
    running.wait_for("ready").signal(SIGUSR1);
    hears(&mut running, heard);
    running.finish().succeeded();

    let mut running = victim.start_pooled("order:auto");
    running.wait_for("ready").signal(SIGUSR1);
    running.wait_for_stats(|stats| flushed_by(stats, "signal"));
    hears(&mut running, heard);
    running.finish().succeeded();
}

#[test]
fn handlers_of_c_programs() {
    for way in ["sigaction", "signal"] {
        for when in ["before", "after"] {
            let victim = Victim::new("host_signal").args(&[way, when]);
            hears_it_and_is_flushed(&victim, "heard 1");
        }
    }
}

/// Who blocks the signal in every thread gets it where it waits for it, and we never see it: then
/// it is an allocation that needs the memory which has it given back.
#[test]
fn programs_that_block_the_signal() {
    for way in ["sigwait", "sigtimedwait", "signalfd", "blocked"] {
        for when in ["before", "after"] {
            let heard = if way == "blocked" { "heard 0" } else { "heard 1" };
            let victim = Victim::new("host_signal").args(&[way, when]).env("SIMCUDA_MEMORY", SMALL);
            for options in [None, Some("order:auto,backing:exact,max_idle:none")] {
                let mut running = match options {
                    None => victim.start_bare(),
                    Some(options) => victim.start_pooled(options),
                };
                running.wait_for("ready").signal(SIGUSR1);
                hears(&mut running, heard);
                let output = running.finish();
                output.succeeded();
                if options.is_some() {
                    assert!(!flushed_by(output.stats(), "signal"), "{:#}", output.stats().0);
                    assert!(flushed_by(output.stats(), "out_of_memory"), "{:#}", output.stats().0);
                }
            }
        }
    }
}

#[test]
fn handlers_of_python_programs() {
    for (way, heard) in [
        ("signal", "heard 1 and wrote 0"),
        ("faulthandler", "heard 0 and wrote 1"),
        ("chain", "heard 1 and wrote 1"),
    ] {
        for when in ["before", "after"] {
            let victim = Victim::new("host_signal.py").args(&[way, when]);
            hears_it_and_is_flushed(&victim, heard);
        }
    }
}

/// A request that carries the mark is served, and the program does not hear of it.
#[test]
fn marked_requests_are_not_passed_on() {
    for way in ["sigaction", "signal"] {
        let victim = Victim::new("host_signal").args(&[way, "before"]);
        let mut running = victim.start_pooled("order:auto");
        running.wait_for("ready");
        queue(&running, MARK);
        running.wait_for_stats(|stats| flushed_by(stats, "signal"));
        hears(&mut running, "heard 0");
        // Any other value is the program's affair, too.
        queue(&running, 1);
        running.wait_for_stats(|stats| flushed_by(stats, "signal"));
        hears(&mut running, "heard 1");
        running.finish().succeeded();
    }
}

/// `sigqueue` with this value.
fn queue(running: &Running, value: usize) {
    let value = libc::sigval { sival_ptr: std::ptr::without_provenance_mut(value) };
    // SAFETY: takes integers; the process is our child and not yet reaped.
    let sent = unsafe { libc::sigqueue(running.pid(), SIGUSR1, value) };
    assert_eq!(sent, 0, "sigqueue");
}
