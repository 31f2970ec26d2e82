//! What `examples/` has for others to copy is what these tools take.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cupool_tests::{EMULATOR, LIBCUPOOL, VICTIMS_DIR, Victim, python};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name)
}

/// Runs a checker of what an example is written in. `None`, with a word, where there is none.
fn check(command: &mut Command) -> Option<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.output() {
        Ok(output) => Some(output),
        Err(_) => {
            println!("skipped: there is no {program}");
            assert!(std::env::var_os("CI").is_none(), "CI must have {program}");
            None
        }
    }
}

/// Checks that `checker` accepts the example, and refuses it with `right` replaced by `wrong`.
#[track_caller]
fn accepted(checker: &[&str], name: &str, right: &str, wrong: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let text = fs::read_to_string(example(name)).expect("the example");
    assert!(text.contains(right), "{name} has no `{right}`");
    let path = directory.path().join(Path::new(name).file_name().expect("a name"));
    for (text, good) in [(text.clone(), true), (text.replace(right, wrong), false)] {
        fs::write(&path, text).expect("a file");
        let mut command = Command::new(checker[0]);
        let Some(output) = check(command.args(&checker[1..]).arg(&path)) else { return };
        let said = format!("{output:?}");
        assert_eq!(output.status.success(), good, "{name}: {said}");
    }
}

#[test]
fn kubernetes() {
    let checker = ["kubernetes-validate", "--strict"];
    accepted(&checker, "kubernetes/pod.yaml", "initContainers:", "initContainer:");
}

#[test]
fn systemd() {
    accepted(
        &["systemd-analyze", "verify", "--recursive-errors=no"],
        "systemd/inference.service",
        "ExecStart=/usr/bin/python3",
        "ExecStart=python3/nowhere",
    );
}

#[test]
fn docker() {
    let checker = ["hadolint", "--no-color"];
    accepted(&checker, "docker/Dockerfile", "FROM debian:bookworm-slim", "FROM debian");
}

/// As much of it as there is without a GPU. `-S` leaves out what is installed.
#[test]
fn cupy() {
    let script = example("python/cupy_arrays.py");
    let without = Victim::program(python()).arg("-S").arg(script).bare();
    assert_eq!(without.code, Some(1), "{}", without.report());
    assert_eq!(without.stderr, "this example needs CuPy\n");
}

/// The names in it are those of the archive.
#[test]
fn docker_names_this_version() {
    let text = fs::read_to_string(example("docker/Dockerfile")).expect("the example");
    let name = format!("cupool-{}-x86_64-linux", env!("CARGO_PKG_VERSION"));
    assert_eq!(text.matches("x86_64-linux").count(), text.matches(&name).count(), "{name}");
}

/// The options in them are options: cupool has nothing to say about them.
#[test]
fn options_are_understood() {
    for name in ["kubernetes/pod.yaml", "systemd/inference.service"] {
        let text = fs::read_to_string(example(name)).expect("the example");
        let start = text.find("stats:/").expect("a stats file");
        let options = text[start..].split_whitespace().next().unwrap_or_default();
        let options = options.split_once(',').map_or("", |(_, rest)| rest);
        let pooled = Victim::new("runtime_static").pooled(options);
        assert_eq!(pooled.succeeded().stderr, "", "{name}: {options}");
    }
}

/// In a mount namespace of its own, with a copy of `/etc`, where it is the file of the whole machine.
#[test]
fn ld_so_preload() {
    // SAFETY: `geteuid` only reads.
    if unsafe { libc::geteuid() } != 0 || !EMULATOR.is_empty() {
        println!("skipped: only root can put a file in /etc, for programs of this machine");
        return;
    }
    let script = format!(
        "cp -a /etc etc && echo '{LIBCUPOOL}' >etc/ld.so.preload && mount --bind etc /etc \
         && ls /etc | sort >all && CUPOOL_CONF=stats:$PWD/stats.json '{VICTIMS_DIR}/runtime_static'"
    );
    let whole_machine =
        |script: &str| Victim::program("unshare").args(&["--mount", "sh", "-c", script]).bare();
    let pooled = whole_machine(&script);
    let bare = Victim::new("runtime_static").bare();
    assert_eq!(pooled.succeeded().stdout, bare.stdout, "{}", pooled.report());
    assert_eq!(pooled.stderr, "", "shells, cp and ls run as ever");
    assert_eq!(pooled.files.iter().filter(|file| file.ends_with(".json")).count(), 1);
}
