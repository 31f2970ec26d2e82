//! CUDA IPC between processes that both run cupool, with memory of the arena.

use std::time::{Duration, Instant};

use cupool_tests::{Output, Running, Victim};

fn victim(what: &str) -> Victim {
    Victim::new("ipc_share").arg(what)
}

#[track_caller]
fn prints(what: &str, expected: &[&str]) -> Output {
    let pooled = victim(what).pooled("backing:auto");
    pooled.succeeded();
    let lines: Vec<&str> = pooled.stdout.lines().collect();
    assert_eq!(lines, expected, "{}", pooled.report());
    assert_eq!(pooled.stats().at("/devices/0/backing"), "arena", "{}", pooled.report());
    pooled
}

/// Whole blocks and parts of shared pages, at the right place, in both directions. A handle is that
/// of a block, wherever in it the pointer is.
#[test]
fn each_sees_what_the_other_writes() {
    let mut expected = Vec::new();
    let sizes = [8 << 20, 1000, 3000, 2 << 20, 1 << 20];
    for bytes in sizes {
        expected.push(format!("{bytes} bytes, handle inside the same"));
        expected.push("opened 0".to_owned());
    }
    for (slot, bytes) in sizes.iter().enumerate() {
        expected.push(format!("there {}", 100 + slot));
        expected.push(format!("range -0 {bytes}"));
        expected.push(format!("here {}", 200 + slot));
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let pooled = prints("ranges", &expected);
    assert!(pooled.stderr.is_empty(), "{}", pooled.report());
}

/// A handle makes a free wait: the other process looks when its owner tells it to.
#[test]
fn what_is_shared_is_ordered_as_natively() {
    let pooled = Victim::new("sign_ipc").pooled("order:auto");
    pooled.succeeded().printed("the other process reads 1\nthe other process reads 2\n");
    assert_eq!(pooled.stats().at("/order"), "strict", "{}", pooled.report());
}

#[test]
fn shared_memory_is_nobody_elses_after_its_free() {
    prints("reuse", &["there 1", "there 2", "there 1", "there 2"]);
}

#[test]
fn memory_in_more_pieces_than_a_message_holds() {
    prints("pieces", &["all there"]);
}

#[test]
fn a_block_is_opened_at_one_address_and_closed_as_often() {
    prints(
        "twice",
        &[
            "again at the same address",
            "here 5",
            "inside 1",
            "closed 0",
            "closed again 1",
            "range 500",
            "opened 0",
            "here 5",
        ],
    );
}

#[test]
fn what_is_open_outlives_its_exporter() {
    for how in ["left", "killed"] {
        prints(how, &["here 5", "here 6", "opened 400"]);
    }
}

/// Neither a process that does not run, nor a child that inherited the socket of one that has ended,
/// keeps anybody waiting for ever.
#[test]
fn nobody_waits_for_who_does_not_answer() {
    prints("stopped", &["opened 205", "in time"]);
    prints("forked", &["opened 400", "at once"]);
}

#[test]
fn handles_that_lead_nowhere() {
    let pooled = prints(
        "refused",
        &[
            "here 201",
            "zeros 1",
            "garbage 1",
            "byte 0 refused",
            "byte 8 refused",
            "byte 16 refused",
            "byte 24 refused",
            "byte 32 refused",
            "byte 40 refused",
            "byte 48 refused",
            "freed 1",
            "freed and allocated 1",
            "handle of nothing 1",
        ],
    );
    assert!(pooled.stderr.contains("another version"), "{}", pooled.report());
}

/// A driver refuses our handles, and the memory stays as it was.
#[test]
fn a_process_without_cupool_gets_an_error() {
    prints("stranger", &["opened 1", "here 5"]);
}

/// What one user shares is no other's, even by ways of his own. Only root can be two users.
#[test]
fn another_user_gets_nothing() {
    prints("user", &["answered 1", "opened 0"]);
    // SAFETY: no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        prints("another user", &["answered 0", "opened 1"]);
    }
}

/// The thread and the socket are there from the first handle on, and not before.
#[test]
fn who_shares_nothing_listens_nowhere() {
    let mut running = victim("waits").start_pooled("backing:arena");
    running.wait_for("allocated");
    assert_eq!(listeners(&running), 0);
    running.say("").wait_for("shared");
    // A thread gives itself its name.
    let deadline = Instant::now() + Duration::from_secs(10);
    while listeners(&running) == 0 {
        assert!(Instant::now() < deadline, "nobody listens");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(listeners(&running), 1);
    running.finish().succeeded();
}

/// Threads of the process that serve importers.
fn listeners(running: &Running) -> usize {
    let name = |thread: &String| {
        let path = format!("/proc/{}/task/{thread}/comm", running.pid());
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let threads = running.proc_entries("task");
    threads.iter().map(name).filter(|name| name.trim() == "cupool-ipc").count()
}

/// A program that closes descriptors it does not know, and reuses their numbers.
#[test]
fn the_exporter_loses_its_socket() {
    prints("closes files", &["opened 0", "here 5"].repeat(3));
}

/// Closing, and the end of the context, wait for the work that uses the memory, and leave nothing.
#[test]
fn imports_end_with_their_context() {
    let left = tempfile::NamedTempFile::new().expect("a temporary file");
    let victim = victim("contexts").env("SIMCUDA_LEFT", left.path());
    let pooled = victim.pooled("backing:auto");
    pooled.succeeded();
    assert_eq!(
        pooled.stdout,
        "opened 0\nhere 5\nthere 7\nhere 7\nthere 8\n",
        "{}",
        pooled.report()
    );
    let left = std::fs::read_to_string(left.path()).expect("the simulated driver wrote it");
    assert_eq!(left, "mappings 0\nmemory 0\nreservations 0\n");
}

#[test]
fn closing_leaves_a_capture_alone() {
    prints("captured", &["captured"]);
}
