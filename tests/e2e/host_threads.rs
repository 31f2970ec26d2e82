//! Many threads, threads that end, and threads of the driver's own.

use cupool_tests::Victim;

use crate::{ALL, same};

same! {
    hundreds_of_threads_come_and_go: Victim::new("host_crowd"), &["order:auto", "order:lazy"];
    allocations_in_host_functions: Victim::new("host_callback"), ALL;
}

/// What threads had cached when they ended is still known, and given back.
#[test]
fn what_ended_threads_have_cached_is_given_back() {
    for options in ["order:strict", "order:lazy,backing:exact"] {
        let mut running = Victim::new("host_crowd").start_pooled(options);
        running.wait_for("0 wrong words").signal(libc::SIGUSR1);
        let stats = running.wait_for_stats(|stats| stats.0.pointer("/flushes/0").is_some());
        assert!(stats.number("/flushes/0/released_bytes") > 0, "{:#}", stats.0);
        assert_eq!(stats.number("/flushes/0/idle_bytes_after"), 0, "{:#}", stats.0);
        assert_eq!(stats.number("/devices/0/allocated_bytes/current"), 0, "{:#}", stats.0);
        running.finish().succeeded();
    }
}
