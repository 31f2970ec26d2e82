//! `cupool check`, and what is generated from the command's definitions.

use cupool_tests::{Output, VICTIMS_DIR, Victim};

use crate::command::{Place, fails};

#[track_caller]
fn says(output: &Output, code: i32, lines: &[&str]) {
    assert_eq!(output.code, Some(code), "{}", output.report());
    for line in lines {
        let found = output.stdout.lines().any(|told| told.starts_with(line));
        assert!(found, "no `{line}`\n{}", output.report());
    }
}

#[test]
fn a_machine() {
    let place = Place::new();
    says(
        &place.run(&["check"]),
        0,
        &[
            "ok    the library is",
            "ok    the driver is for CUDA 13.0",
            "ok    GPUs in sight: 1",
            "ok    context events",
            "ok    virtual memory management",
        ],
    );
    let without = place.command(&["check"]).env("LD_LIBRARY_PATH", "").bare();
    says(&without, 1, &["no    there is no NVIDIA driver"]);
}

#[test]
fn programs() {
    let place = Place::new();
    let check = |name: &str| place.run(&["check", &format!("{VICTIMS_DIR}/{name}")]);
    says(&check("steer"), 0, &["ok    it loads CUDA's driver by itself", "ok    /"]);
    says(&check("driver"), 0, &["ok    it is linked against CUDA"]);
    says(&place.run(&["check", "sh"]), 0, &["ok    /"]);
    fails(&place.run(&["check", "no-such-program"]), 2, "no such program");
    fails(&place.run(&["check", "/etc/passwd"]), 2, "not a 64-bit ELF program");

    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("script");
    std::fs::write(&script, "#!/usr/bin/env -S sh -e\n").expect("written");
    let script = script.to_str().expect("UTF-8");
    says(&place.run(&["check", script]), 0, &["ok    it is a script for /"]);
}

#[test]
fn processes() {
    let place = Place::new();
    let served = place.steered("order:fence");
    let pid = |running: &cupool_tests::Running| running.pid().to_string();
    says(
        &place.run(&["check", &pid(&served)]),
        0,
        &["ok    cupool serves it: 2 allocations", "ok    it catches SIGUSR1: `kill -USR1`"],
    );
    let bare = Victim::program("sleep").arg("60").start_bare();
    says(&place.run(&["check", &pid(&bare)]), 1, &["no    libcupool.so is not loaded in it"]);
    fails(&place.run(&["check", "999999999"]), 2, "no process 999999999");
}

#[test]
fn man_pages_and_completions_are_generated() {
    let place = Place::new();
    let output = place.run(&["generate", "--man", "man"]);
    output.succeeded();
    let directory = output.directory.path().join("man");
    for page in ["cupool", "cupool-run", "cupool-top", "cupool-flush", "cupool-record"] {
        let text = std::fs::read_to_string(directory.join(format!("{page}.1"))).expect(page);
        assert!(
            text.contains(".SH SYNOPSIS") && text.contains(page.replace('-', "\\-").as_str()),
            "{text}"
        );
    }
    assert!(!directory.join("cupool-generate.1").exists());
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(&["generate", "--completions", shell]);
        let text = &script.succeeded().stdout;
        assert!(text.contains("flush") && text.contains("gpu"), "{text}");
        if shell == "bash" {
            Victim::program("bash").arg("-n").arg("-c").arg(text).bare().succeeded();
        }
    }
}

/// Every subcommand's help has examples, and fits a terminal of 80 columns or says so in its own width.
#[test]
fn help_has_examples() {
    let place = Place::new();
    const NAMES: [&str; 9] =
        ["run", "top", "stats", "flush", "check", "record", "replay", "snapshot", "plot"];
    for name in NAMES {
        let help = place.run(&[name, "--help"]);
        let text = &help.succeeded().stdout;
        assert!(text.contains("Examples:") && text.contains(&format!("cupool {name}")), "{text}");
    }
    let output = place.run(&["flush"]);
    assert_eq!(output.code, Some(2), "{}", output.report());
}
