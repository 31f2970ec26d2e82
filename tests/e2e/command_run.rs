//! `cupool run`: the program is its own, only with the library in front.

use cupool_tests::{LIBCUPOOL, VICTIMS_DIR, Victim};
use libc::SIGUSR1;

use crate::command::{Place, fails};

fn victim(name: &str) -> String {
    format!("{VICTIMS_DIR}/{name}")
}

#[test]
fn the_program_is_served_and_keeps_its_pid_and_exit_code() {
    let place = Place::new();
    let run = place.command(&["run", "--conf", "order:fence", "--", "sh", "-c", "echo $$; exit 7"]);
    let running = run.start_bare();
    let pid = running.pid();
    let output = running.finish();
    assert_eq!((output.code, output.stdout), (Some(7), format!("{pid}\n")));

    let steer = place.run(&["run", "--log", "info", "--", &victim("steer")]);
    steer.printed("ready\n");
    assert!(steer.stderr.contains("serves this process"), "{}", steer.report());
}

#[test]
fn what_was_preloaded_stays() {
    let script = "echo $LD_PRELOAD; echo $CUPOOL_CONF";
    let run = Place::new()
        .command(&["run", "--conf", "order:lazy", "--", "sh", "-c", script])
        .preload("retain.so")
        .env("CUPOOL_CONF", "max_idle:1GiB");
    let library = std::fs::canonicalize(LIBCUPOOL).expect("the library");
    let expected =
        format!("{}:{VICTIMS_DIR}/retain.so\nmax_idle:1GiB,order:lazy\n", library.display());
    run.bare().printed(&expected);
}

#[test]
fn what_cannot_be_started_is_told_as_a_wrapper_does() {
    let place = Place::new();
    fails(&place.run(&["run", "--", "/no/such/program"]), 127, "No such file");
    fails(&place.run(&["run", "--", "/etc/passwd"]), 126, "Permission denied");
    fails(&place.run(&["run", "--lib", "/no/such.so", "--", "true"]), 125, "--lib");
    fails(&place.run(&["run", "--conf", "order:loud", "--", "true"]), 125, "--conf order:loud: ");
    fails(&place.run(&["run", "--"]), 125, "`cupool run --help` tells");
    fails(&place.run(&["run", "--cnof", "x", "--", "true"]), 125, "'--cnof'");
    let nowhere = place.run(&["record", "-o", "/no/such/x.gz", "--", "true"]);
    fails(&nowhere, 125, "/no/such: no such directory; make it");
    fails(&place.run(&["run", "--log", "loud", "--", "true"]), 125, "--log loud");
}

#[test]
fn what_cannot_be_understood_is_one_line() {
    let place = Place::new();
    for arguments in [&["flush"][..], &["flush", "x"], &["stats", "--watch=0"], &["nonsense"]] {
        let output = place.run(arguments);
        fails(&output, 2, "--help` tells what can be said");
    }
    let bare = place.run(&[]);
    assert_eq!((bare.code, bare.stderr.contains("Examples:")), (Some(2), true), "{bare:?}");
    let help = place.run(&["flush", "--help"]);
    assert!(help.succeeded().stdout.contains("Examples:"), "{help:?}");
}

/// A signal that comes before the library is there: `raise.so` is loaded before it.
#[test]
fn a_signal_right_after_the_start_is_not_fatal() {
    let place = Place::new();
    let early = |victim: Victim| victim.preload("raise.so");
    let steer = victim("steer");
    early(place.command(&["run", "--", &steer])).bare().printed("ready\n");
    assert_eq!(early(Victim::program(&steer)).pooled("order:auto").signal, Some(SIGUSR1));
    // Where the library is not to catch it early, or never is there, nothing is put off.
    let left_alone = ["run", "--conf", "signal_early:false", "--", &steer];
    assert_eq!(early(place.command(&left_alone)).bare().signal, Some(SIGUSR1));
    let disabled = place.command(&["run", "--", &steer]).env("CUPOOL_DISABLE", "1");
    assert_eq!(early(disabled).bare().signal, Some(SIGUSR1));
}

/// `idle` tells which signals are blocked, and what else a process can see of itself.
#[test]
fn the_mask_is_as_without_the_wrapper() {
    let idle = victim("idle");
    let script = format!("{idle}; env | grep CUPOOL_BLOCKED; exec {idle}");
    let bare = Victim::program("sh").arg("-c").arg(&script).pooled("order:auto");
    let run = Place::new().run(&["run", "--", "sh", "-c", &script]);
    run.printed(&bare.succeeded().stdout);
}

/// A static program never loads the library: its signals are its own from the start.
#[test]
fn a_program_that_cannot_load_it_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("mask.c");
    let program = directory.path().join("mask");
    let text = "#include <signal.h>\n#include <stdio.h>\nint main(void) { sigset_t s; \
                sigprocmask(SIG_SETMASK, 0, &s); return sigismember(&s, SIGUSR1); }";
    std::fs::write(&source, text).expect("written");
    let mut cc = std::process::Command::new("cc");
    let built = cc.arg("-static").arg(&source).arg("-o").arg(&program).status();
    assert!(built.is_ok_and(|status| status.success()), "a C compiler and a static C library");
    let program = program.to_str().expect("UTF-8");
    let place = Place::new();
    place.run(&["run", "--", program]).succeeded();
    let check = place.run(&["check", program]);
    assert_eq!(check.code, Some(1), "{}", check.report());
    assert!(check.stdout.contains("linked statically"), "{}", check.report());
}
