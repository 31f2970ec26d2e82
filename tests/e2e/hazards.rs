//! The guards are real: with ordering switched off, the simulated driver catches each program
//! whose memory the pool would have handed out or given back too early.

use cupool_tests::{Output, Victim};

fn unordered(name: &str) -> Output {
    Victim::new(name).env("CUPOOL_TESTING", "1").pooled("order:unordered")
}

#[track_caller]
fn caught(name: &str) {
    let output = unordered(name);
    let reported = output.stderr.contains("simcuda: HAZARD");
    assert!(reported && output.signal == Some(libc::SIGABRT), "not caught\n{}", output.report());
}

#[test]
fn reuse_of_a_block_that_is_still_read() {
    caught("reuse");
}

#[test]
fn reuse_among_four_threads() {
    caught("soak");
}

/// The arena would take the pages away from under the kernel.
#[test]
fn pages_that_are_unmapped_while_they_are_still_read() {
    let output = unordered("flush_late");
    let reported = output.stderr.contains("later: cuMemUnmap");
    assert!(reported && output.signal == Some(libc::SIGABRT), "not caught\n{}", output.report());
}

/// Order that the program only has from `cudaFree` is missing: it computes something else.
#[test]
fn two_streams_that_nothing_orders() {
    let output = unordered("order_streams");
    let wrong = output.stdout.lines().any(|line| !line.ends_with(" 0 wrong words"));
    let caught = output.stderr.contains("simcuda: HAZARD");
    assert!(wrong || caught, "nothing noticed\n{}", output.report());
}

/// The option that switches ordering off is for tests alone.
#[test]
fn unordered_is_refused_outside_tests() {
    let output = Victim::new("reuse").pooled("order:unordered");
    assert_eq!(output.succeeded().stats().at("/order_configured"), "auto");
    assert!(output.stderr.contains("unordered"), "no warning\n{}", output.report());
}
