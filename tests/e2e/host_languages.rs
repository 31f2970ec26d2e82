//! Programs with a runtime of their own that has plans for signals: Go and Java.

use std::path::{Path, PathBuf};
use std::process::Command;

use cupool_tests::{EMULATOR, SIMCUDA_DIR, VICTIMS_SOURCE, Victim};
use libc::SIGUSR1;
use tempfile::TempDir;

use crate::host_signals::{flushed_by, hears};

/// Whether `tool` can be run; CI must have it.
fn have(tool: &str) -> bool {
    if !EMULATOR.is_empty() {
        println!("skipped: `{tool}` is not of the emulated machine");
        return false;
    }
    let found = Command::new(tool).arg("-h").output().is_ok();
    if !found {
        println!("skipped: no `{tool}`");
        assert!(std::env::var_os("CI").is_none(), "CI must have `{tool}`");
    }
    found
}

/// Runs a build step to its end.
fn build(command: &mut Command) {
    let output = command.output().expect("a tool that was there a moment ago");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}");
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// The Go program in `directory`.
fn go(directory: &Path) -> Victim {
    let program = directory.join("host_go");
    let source = Path::new(VICTIMS_SOURCE).join("host_go");
    build(Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(source));
    Victim::program(program)
}

/// The Java program in `directory`.
fn java(directory: &Path) -> Victim {
    let source = Path::new(VICTIMS_SOURCE).join("host_java");
    let headers = java_home().join("include");
    build(Command::new("javac").arg("-d").arg(directory).arg(source.join("Host.java")));
    build(
        Command::new(std::env::var_os("CC").unwrap_or("cc".into()))
            .args(["-shared", "-fPIC", "-o"])
            .arg(directory.join("libhost.so"))
            .arg(source.join("host.c"))
            .arg("-I")
            .arg(&headers)
            .arg("-I")
            .arg(headers.join("linux"))
            .arg("-I")
            .arg(Path::new(VICTIMS_SOURCE).join("../simcuda/include"))
            .arg("-L")
            .arg(SIMCUDA_DIR)
            .arg("-lcuda"),
    );
    Victim::program("java")
        .arg("-cp")
        .arg(directory)
        .arg(format!("-Djava.library.path={}", directory.display()))
        .arg("Host")
}

/// Where the `javac` on the `PATH` is at home, past any links.
fn java_home() -> PathBuf {
    let output = Command::new("javac")
        .args(["-J-XshowSettings:properties", "-version"])
        .output()
        .expect("javac runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let home = text.lines().find_map(|line| line.trim().strip_prefix("java.home = "));
    PathBuf::from(home.unwrap_or_else(|| panic!("javac does not tell its home:\n{text}")))
}

/// The program hears one signal and works on, bare and pooled, and what is idle is given back.
fn hears_one(victim: &Victim) {
    for pooled in [false, true] {
        let mut running =
            if pooled { victim.start_pooled("order:auto") } else { victim.start_bare() };
        running.wait_for("ready").signal(SIGUSR1);
        if pooled {
            running.wait_for_stats(|stats| flushed_by(stats, "signal"));
        }
        hears(&mut running, "heard 1");
        let output = running.finish();
        output.succeeded();
        if pooled {
            // 32 threads with 20 rounds each. Go ends without the C library: the signal's file is its last.
            assert!(output.stats().served() >= 640, "{:#}", output.stats().0);
        }
    }
}

#[test]
fn go_programs() {
    if !have("go") {
        return;
    }
    let directory = directory();
    let victim = go(directory.path());
    for when in ["before", "after"] {
        hears_one(&victim.clone().arg(when));
    }
    // Go ignores the signal where nobody asks for it.
    let mut running = victim.arg("never").start_pooled("order:auto");
    running.wait_for("ready").signal(SIGUSR1);
    running.wait_for_stats(|stats| flushed_by(stats, "signal"));
    hears(&mut running, "heard 0");
    running.finish().succeeded();
}

#[test]
fn java_programs() {
    if !have("java") || !have("javac") {
        return;
    }
    let directory = directory();
    let victim = java(directory.path());
    for when in ["before", "after"] {
        hears_one(&victim.clone().args(&[when, "USR1"]));
    }
    // HotSpot has a use of its own for SIGUSR2, which goes on.
    let mut running = victim.args(&["never", "USR1"]).start_pooled("order:auto,signal:USR2");
    hears(running.wait_for("ready"), "heard 0");
    running.finish().succeeded();
}
