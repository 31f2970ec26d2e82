//! Contexts, forks and exits.

use cupool_tests::{LIBCUPOOL, SIMCUDA_DIR, VICTIMS_DIR, Victim};

use crate::{ALL, runs_alike, same};

same! {
    freed_where_another_context_is_current: Victim::new("foreign_free"), ALL;
    contexts_destroyed_with_cached_blocks: Victim::new("context_destroy"), ALL;
    a_context_is_attached_to_and_detached: Victim::new("context_attach"), ALL;
    contexts_come_and_go_in_threads: Victim::new("context_threads"), ALL;
    the_device_is_reset: Victim::new("device_reset"), ALL;
    the_primary_context_is_released: Victim::new("primary_release"), ALL;
    the_primary_context_is_retained_by_another_way_too:
        Victim::new("primary_kept").preload("retain.so"), ALL;
    threads_share_the_primary_context: Victim::new("primary_threads"), ALL;
    the_primary_context_is_retained_during_a_release: Victim::new("primary_overlap"), ALL;
    forks_with_and_without_exec: Victim::new("forks"), ALL;
    threads_allocate_during_the_exit: Victim::new("exit_threads"), ALL;
    threads_allocate_till_the_end: Victim::new("exit_running"), ALL;
    a_thread_is_cancelled: Victim::new("cancel"), ALL;
    frees_when_the_driver_is_gone: Victim::new("free_at_exit"), ALL;
    standard_error_is_closed: Victim::new("closed_stderr"), ALL;
}

/// The same where a thread hears late that it has ended a context: until then another thread has a new
/// one at the same handle.
#[test]
fn contexts_come_again_before_their_end_is_known() {
    for (name, end) in
        [("context_threads", "cuCtxDestroy"), ("primary_threads", "cuDevicePrimaryCtxRelease")]
    {
        let victim = Victim::new(name).env("SIMCUDA_LINGER", format!("{end}=200"));
        runs_alike(
            &victim,
            &["order:auto", "order:auto,backing:exact", "order:lazy,backing:exact"],
        );
    }
}

/// A forked child that does not use CUDA writes nothing; one that execs has a file of its own.
#[test]
fn each_process_has_its_own_stats_file() {
    let pooled = Victim::new("forks").pooled("order:auto");
    let files = pooled.succeeded().files.iter().filter(|name| name.starts_with("stats-"));
    assert_eq!(files.count(), 2, "parent and exec'd child: {:?}", pooled.files);
    assert_eq!(pooled.stats().at("/reason"), "exit");
}

/// A context that is still in use after a detach keeps its pool.
#[test]
fn a_detach_that_is_not_the_last_ends_no_pool() {
    let pooled = Victim::new("context_attach").pooled("order:auto,backing:exact");
    // In each of four contexts two blocks are fresh: the one held all the time, and the rounds'.
    let stats = pooled.succeeded().stats();
    assert_eq!(stats.sum("/misses"), 8, "{:#}", stats.0);
    assert_eq!(stats.sum("/hits"), 44, "{:#}", stats.0);
}

/// A look-up in a child does not wait for a thread that the child has not got. A race: one run need
/// not meet it.
#[test]
fn forks_during_look_ups() {
    let victim = Victim::new("fork_look_up");
    for _ in 0..3 {
        victim.pooled("order:auto").printed("300 children looked up\n");
    }
}

/// A closed standard error is not somebody else's file, whatever there is to say.
#[test]
fn nothing_is_logged_into_the_programs_files() {
    for option in ["log:debug", "no_such_option:1"] {
        let pooled = Victim::new("closed_stderr").pooled(&format!("order:auto,{option}"));
        assert!(pooled.stdout.contains("4 bytes"), "{option}\n{}", pooled.report());
    }
}

/// Exits again and again while threads are in the middle of an allocation: a race that one run
/// need not meet.
#[test]
fn many_exits() {
    for _ in 0..10 {
        Victim::new("exit_threads").pooled("order:auto").printed("exiting\nstopped\n");
        Victim::new("exit_running").pooled("order:auto").printed("exiting\n");
    }
}

/// In a set-uid program the library leaves everything alone, even where the administrator has it
/// preloaded for the whole system.
#[test]
fn set_uid_programs_are_left_alone() {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::{fs, process::Command};

    // SAFETY: takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: only root can make a program that is set-uid to somebody else");
        return;
    }
    const OWNER: u32 = 65533;
    const CALLER: u32 = 65534;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("setuid");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::copy(std::path::Path::new(VICTIMS_DIR).join("setuid"), &program).expect("copy");
    chown(&program, Some(OWNER), Some(OWNER)).expect("chown");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).expect("chmod");
    let output = Command::new(&program)
        .env("LD_PRELOAD", LIBCUPOOL)
        .env("LD_LIBRARY_PATH", SIMCUDA_DIR)
        .env("CUPOOL_CONF", "order:auto")
        .uid(CALLER)
        .gid(CALLER)
        .output()
        .expect("the set-uid program runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.starts_with("secure 0") {
        println!("skipped: set-uid has no effect on this file system");
        return;
    }
    assert_eq!(text, "secure 1\npreloaded no\nCUPOOL_CONF not seen\n");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("cupool: "), "it spoke");
}
