//! Places where no stats file can be written: one warning, and on with the program.

use cupool_tests::{Output, Victim};

fn victim(pattern: &str) -> Victim {
    Victim::new("dlopen").stats_at(pattern)
}

#[track_caller]
fn one_warning(output: &Output) {
    output.printed(&Victim::new("dlopen").bare().stdout);
    let warnings = output.stderr.lines().filter(|line| line.starts_with("cupool: ")).count();
    assert_eq!(warnings, 1, "{}", output.report());
}

#[test]
fn a_directory_that_is_not_there() {
    one_warning(
        &victim("no/such/directory/%p.json").env("CUPOOL_LOG", "warn").pooled("order:auto"),
    );
}

#[test]
fn a_directory_that_is_a_file() {
    one_warning(&victim("/dev/null/%p.json").env("CUPOOL_LOG", "warn").pooled("order:auto"));
}

/// A place that was asked for and cannot be had is worth a line even where nothing is logged.
#[test]
fn one_warning_by_default() {
    one_warning(&victim("no/such/directory/%p.json").pooled("order:auto"));
}

/// A full disk, played by a limit on the size of files: writing ends short or with EFBIG (and a
/// SIGXFSZ, which the program ignores as a program with such a limit does).
#[test]
fn a_full_disk() {
    let output = Victim::new("dlopen").before_exec(tiny_files).pooled("order:auto,interval:10ms");
    one_warning(&output);
    assert!(output.stderr.contains("no stats file: "), "{}", output.report());
    assert!(output.stats.is_none(), "half a file was put in place");
    let left: Vec<_> = output.files.iter().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Files that a program asks for and does not get are counted, and told to the program alone.
#[test]
fn a_disk_that_is_full_for_a_while() {
    let output = Victim::new("full_disk").pooled("order:auto");
    output.printed("dumps fail, 3 counted\nthen one succeeds, 3 counted\n");
    assert_eq!(output.stats().at("/reason"), "exit");
    assert_eq!(output.stderr, "");
}

/// No file of the process can be longer than 64 bytes.
fn tiny_files() -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: both calls are async-signal-safe and get valid arguments.
    let failed = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit)
    };
    if failed == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// The file is a whole one, replaced at once, and nobody else's to read.
#[test]
fn private_and_whole() {
    use std::os::unix::fs::PermissionsExt;

    let mut running = Victim::new("signal_read").start_pooled("order:auto,interval:20ms");
    running.wait_for("ready");
    for number in 1..20 {
        // Reading it panics if it is ever not JSON.
        running.wait_for_stats(|stats| stats.number("/sequence") >= number);
    }
    let path = running.directory().join(format!("stats-{}.json", running.pid()));
    let mode = std::fs::metadata(path).expect("the stats file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    running.say("x");
    let output = running.finish();
    assert_eq!(output.files.len(), 1, "left behind: {:?}", output.files);
}
