//! Processes that start others: each that uses CUDA after exec has its own pool and its own files.

use cupool_tests::{Output, Victim};

use crate::{ALL, same};

same! {
    children_by_spawn_vfork_and_shell: Victim::new("host_children"), ALL;
    python_multiprocessing_and_subprocess: Victim::new("host_processes.py"), &["order:auto"];
}

/// How many stats files a run has left.
fn stats_files(output: &Output) -> usize {
    output.files.iter().filter(|name| name.starts_with("stats-")).count()
}

#[test]
fn each_child_has_its_own_stats_file() {
    let pooled = Victim::new("host_children").pooled("order:auto");
    // The parent, and its children by posix_spawn, by vfork and exec, and by a shell.
    assert_eq!(stats_files(pooled.succeeded()), 4, "{:?}", pooled.files);
    assert_eq!(pooled.stats().at("/reason"), "exit");
}

/// Python ends its forked workers by `_exit`, which nobody sees; what they did is in the files of an
/// interval.
#[test]
fn forked_workers_have_pools_of_their_own() {
    let pooled = Victim::new("host_processes.py").pooled("order:auto");
    // The parent and two subprocesses at the least.
    assert!(stats_files(pooled.succeeded()) >= 3, "{:?}", pooled.files);
}
