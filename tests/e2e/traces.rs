//! `cupool record` and `cupool replay`, and what the pool makes of the recorded traces.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cupool_tests::{COMMAND, HAVE_CXX, Output, VICTIMS_DIR, Victim};
use serde_json::Value;

/// `tests/traces/NAME.trace.gz`
fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces").join(format!("{name}.trace.gz"))
}

fn command(arguments: &[&str]) -> Victim {
    Victim::program(COMMAND).args(arguments)
}

/// The figures of a replay, a line of JSON for each trace.
#[track_caller]
fn figures(output: &Output) -> Vec<Value> {
    let lines = output.succeeded().stdout.lines();
    lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[track_caller]
fn replayed(arguments: &[&str], trace: &Path) -> Value {
    let output = command(&["replay", "--json", "--audit"]).args(arguments).arg(trace).bare();
    figures(&output).pop().expect("one line")
}

#[track_caller]
fn number(figures: &Value, key: &str) -> f64 {
    figures[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {figures}"))
}

/// Peak reserved over peak requested, and milliseconds in the driver, that a trace may cost.
struct Bound {
    trace: &'static str,
    ratio: f64,
    driver_ms: f64,
}

const fn bound(trace: &'static str, ratio: f64, driver_ms: f64) -> Bound {
    Bound { trace, ratio, driver_ms }
}

#[track_caller]
fn holds(backing: &str, bounds: &[Bound]) {
    for Bound { trace, ratio, driver_ms } in bounds {
        let figures = replayed(&["--backing", backing], &recorded(trace));
        assert_eq!(figures["backing"], backing, "{trace}");
        assert_eq!(figures["failed"], 0, "{trace}");
        let requested = number(&figures, "requested_peak_bytes");
        let reached = number(&figures, "reserved_peak_bytes") / requested;
        assert!(reached >= 1.0, "{trace}: less reserved than requested");
        assert!(reached <= *ratio, "{trace}: {reached:.3} reserved for each byte requested");
        let ms = number(&figures, "driver_us") / 1e3;
        assert!(ms <= *driver_ms, "{trace}: {ms:.2} ms in the driver");
    }
}

/// Every block one driver allocation: next to no driver calls, and much memory.
#[test]
fn exact_holds_its_figures() {
    holds(
        "exact",
        &[
            bound("cupy", 2.6, 19.0),
            bound("generate", 2.7, 24.0),
            bound("lora_eval", 2.35, 19.0),
            bound("resnet", 2.5, 55.0),
            bound("train_fixed", 1.2, 31.0),
            bound("train_varlen", 4.3, 3300.0),
        ],
    );
}

/// The default backing: as much memory as natively, or next to it, and next to no time in the driver.
/// The device is never waited for.
#[test]
fn the_arena_holds_its_figures() {
    holds(
        "arena",
        &[
            bound("cupy", 1.12, 15.0),
            bound("generate", 1.16, 8.0),
            bound("lora_eval", 1.06, 15.0),
            bound("resnet", 1.05, 12.0),
            bound("train_fixed", 1.02, 8.0),
            bound("train_varlen", 1.03, 12.0),
        ],
    );
    for trace in ["cupy", "resnet", "train_varlen"] {
        assert_eq!(replayed(&[], &recorded(trace))["backing"], "arena", "by default");
    }
}

/// However far the device lags behind, no memory is taken away that it may still touch (`--audit`
/// would fail), and memory suffices.
#[test]
fn any_lag_is_survived() {
    for lag in ["0", "50ms", "10s"] {
        for conf in ["order:lazy", "max_idle:0", "order:strict,max_idle:64MiB"] {
            let figures = replayed(&["--lag", lag, "--conf", conf], &recorded("cupy"));
            assert_eq!(figures["failed"], 0, "{lag} {conf}");
        }
    }
}

#[test]
fn the_same_trace_has_the_same_figures() {
    let run = || {
        let mut figures = replayed(&[], &recorded("cupy"));
        figures.as_object_mut().expect("an object").remove("host_ns_per_op");
        figures
    };
    assert_eq!(run(), run());
}

#[test]
fn figures_have_their_names() {
    let output = command(&["replay", "--json"]).arg(recorded("cupy")).arg(recorded("resnet"));
    let all = figures(&output.bare());
    let names: Vec<_> = all.iter().filter_map(|figures| figures["trace"].as_str()).collect();
    assert!(names[0].ends_with("cupy.trace.gz") && names[1].ends_with("resnet.trace.gz"));
    for key in ["host_ns_per_op", "native_driver_us", "driver_us", "driver_calls"] {
        assert!(number(&all[0], key) > 0.0, "{key}");
    }
    assert_eq!(all[0]["allocations"], 4987);
    assert_eq!(all[0]["requested_peak_bytes"], 3_109_992_988_u64);
    assert_eq!(all[1]["live_at_end"], 174);
}

#[test]
fn people_get_a_table() {
    let output = command(&["replay"]).arg(recorded("cupy")).arg(recorded("resnet")).bare();
    let lines: Vec<&str> = output.succeeded().stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", output.report());
    assert!(lines[0].starts_with("trace ") && lines[0].contains(" requested "));
    assert!(lines[1].starts_with("cupy ") && lines[1].contains(" 2.90 GiB "), "{}", lines[1]);
    assert!(lines[2].starts_with("resnet "));
}

/// A wrong file does not keep the others from being played.
#[test]
fn files_that_are_no_traces_are_told_in_a_line_each() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let packed = std::fs::read(recorded("cupy")).expect("the trace");
    let negative = b"a 0 512 0 -5\n";
    let contents: [(&str, &[u8], &str); 7] = [
        ("truncated", &packed[..packed.len() / 2], ": the gzip file ends early; "),
        ("twice", b"a 0 1 0 0\na 0 1 0 1\n", ":2: block 0 is allocated while it is live; "),
        ("unknown", b"f 3 0 0\n", ":1: block 3 is freed but not live; "),
        ("negative", negative, ":1: not a line of a trace: a field is not a decimal number; "),
        ("large", b"a 0 99999999999999999999 0 0\n", ":1: not a line of a trace: a number is too "),
        ("table", b"id,bytes\n0,1\n", ":1: not a line of a trace: it starts with neither"),
        ("binary", &[0xff; 9000], ":1: not a line of a trace: it is too long; "),
    ];
    let mut expected: Vec<(PathBuf, &str)> = Vec::new();
    for (name, bytes, told) in contents {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        expected.push((path, told));
    }
    expected.push((directory.path().join("missing"), ": No such file"));
    expected.push((directory.path().to_owned(), ": Is a directory (os error 21); name the files"));

    for form in ["--json", "--audit"] {
        let mut replay = command(&["replay", form]).arg(recorded("cupy"));
        for (path, _) in &expected {
            replay = replay.arg(path);
        }
        let output = replay.arg(recorded("resnet")).bare();
        assert_eq!(output.code, Some(2), "{}", output.report());
        let lines: Vec<&str> = output.stderr.lines().collect();
        assert_eq!(lines.len(), expected.len(), "{}", output.report());
        for (line, (path, told)) in lines.iter().zip(&expected) {
            let start = format!("cupool: {}{told}", path.display());
            assert!(line.starts_with(&start), "{line}\nis not\n{start}");
        }
        let whole =
            output.stdout.lines().filter(|line| line.contains("cupy") || line.contains("resnet"));
        assert_eq!(whole.count(), 2, "the others are played: {}", output.report());
    }
}

/// What is odd and no mistake: nothing in it, times that go back, more than any device has.
#[test]
fn odd_traces_are_played() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, text, allocations, failed) in [
        ("empty", "", 0, 0),
        ("comments", "# none\n\n", 0, 0),
        ("back", "a 0 1024 0 900\na 1 1024 1 100\nf 0 1 0\nf 1 0 5\n", 2, 0),
        ("late", "a 0 1024 0 18446744073709551615\nf 0 0 18446744073709551615\n", 1, 0),
        ("huge", "a 0 18446744073709551615 0 0\na 1 512 0 1\nf 0 0 2\nf 1 0 3\n", 2, 1),
        ("zero", "a 0 0 0 0\na 1 512 0 1\nf 0 0 2\nf 1 0 3\n", 1, 0),
    ] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        let output = command(&["replay", "--json", "--audit"]).arg(&path).bare();
        let figures = figures(&output).pop().expect("a line");
        assert_eq!(
            (&figures["allocations"], &figures["failed"]),
            (&allocations.into(), &failed.into()),
            "{name}"
        );
        let told = usize::from(failed > 0);
        assert_eq!(output.stderr.lines().count(), told, "{name} {}", output.report());
        assert!(
            !output.stdout.contains("NaN") && !output.stdout.contains("inf"),
            "{}",
            output.stdout
        );
    }
}

#[test]
fn a_call_that_cannot_be_understood_has_its_status() {
    for arguments in [
        &["replay"][..],
        &["replay", "--lag", "10", "x"],
        &["replay", "--backing", "cloud", "x"],
        &["replay", "--conf", "no_such_key:1", "x"],
        &["rewind"],
    ] {
        let output = command(arguments).bare();
        assert_eq!(output.code, Some(2), "{}", output.report());
        assert!(!output.stderr.is_empty(), "{}", output.report());
    }
}

/// Runs a victim under `cupool record`, with these options of the command.
fn record(options: &[&str], victim: &str) -> Victim {
    command(&["record"])
        .args(options)
        .env("CUPOOL_CONF", "order:fence,stats:stats-%p.json")
        .arg("--")
        .arg(Path::new(VICTIMS_DIR).join(victim))
}

/// The one file of a run whose name ends like this.
#[track_caller]
fn file(output: &Output, end: &str) -> PathBuf {
    let mut files = output.files.iter().filter(|name| name.ends_with(end));
    let file = files.next().unwrap_or_else(|| panic!("no *{end}\n{}", output.report()));
    assert_eq!(files.next(), None, "{}", output.report());
    output.directory.path().join(file)
}

/// What a program did is in the trace, to the byte, and the program did as ever.
#[test]
fn what_is_recorded_can_be_replayed() {
    for (options, end) in
        [(&["-o", "x.trace"][..], "x.trace"), (&["-o", "x.gz"], "x.gz"), (&[], ".trace.gz")]
    {
        let output = record(options, "dlopen").bare();
        assert_eq!(output.succeeded().stdout, Victim::new("dlopen").bare().stdout);
        assert_eq!(output.stderr, "");
        // Fifty blocks of 2 MiB, one at a time, all freed.
        let figures = replayed(&[], &file(&output, end));
        assert_eq!((&figures["allocations"], &figures["frees"]), (&50.into(), &50.into()));
        assert_eq!(figures["requested_peak_bytes"], 2 << 20);
        // The options that were there before hold too.
        file(&output, ".json");
    }
}

#[test]
fn many_threads_are_recorded_in_their_order() {
    if !HAVE_CXX {
        return;
    }
    let output = record(&["-o", "x.trace"], "threads").bare();
    let path = file(output.succeeded(), "x.trace");
    let text = std::fs::read_to_string(&path).expect("the trace");
    let thread = |line: &str| line.split(' ').nth_back(1).map(str::to_owned);
    let threads: BTreeSet<_> = text.lines().filter_map(thread).collect();
    assert!(threads.len() >= 16, "{threads:?}");
    // A block that one thread frees and another gets at once would be live twice.
    assert_eq!(replayed(&[], &path)["failed"], 0);
}

/// A child that only was forked writes nothing into its parent's trace; one that runs a program of
/// its own writes its own.
#[test]
fn every_process_has_a_trace_of_its_own() {
    let output = record(&[], "forks").bare();
    let traces = || output.files.iter().filter(|name| name.ends_with(".trace.gz"));
    assert_eq!(traces().count(), 2, "{}", output.report());
    for name in traces() {
        let figures = replayed(&[], &output.directory.path().join(name));
        assert!(number(&figures, "allocations") >= 10.0, "{name}");
    }
}

/// The second process finds the file of the first and leaves it alone.
#[test]
fn two_processes_never_share_a_trace() {
    let output = record(&["-o", "x.trace"], "forks").bare();
    assert_eq!(output.code, Some(0), "{}", output.report());
    let told = output.stderr.lines().filter(|line| line.contains("no more trace")).count();
    assert_eq!(told, 1, "{}", output.report());
    assert_eq!(replayed(&[], &file(&output, "x.trace"))["failed"], 0);
}

#[test]
fn a_trace_that_cannot_be_written_disturbs_nobody() {
    // What has a code in its name the command leaves to the library.
    for (name, limit) in [("missing%p/x.trace", None), ("x.trace", Some(tiny_files as fn() -> _))] {
        let mut victim = record(&["-o", name], "dlopen").env("CUPOOL_CONF", "stats:none");
        if let Some(limit) = limit {
            victim = victim.before_exec(limit);
        }
        let output = victim.bare();
        output.succeeded().printed("sum 1225, 0 versioned\n");
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.report());
        assert!(output.stderr.contains("no more trace: "), "{}", output.report());
    }
}

/// Files of this process end at 100 bytes.
fn tiny_files() -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
    // SAFETY: the limit is a local.
    match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[test]
fn what_a_program_had_preloaded_stays() {
    let output = record(&["-o", "x.trace"], "ompt_main").preload("ompt.so").bare();
    let natively = Victim::new("ompt_main").preload("ompt.so").bare();
    assert_eq!(output.succeeded().stdout, natively.stdout);
}

/// The program's status is the command's; failures before it have a wrapper's.
#[test]
fn record_has_the_status_of_a_wrapper() {
    let status = |arguments: &[&str]| command(&["record"]).args(arguments).bare().code;
    assert_eq!(status(&["--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(status(&["--lib", "/nonexistent.so", "--", "true"]), Some(125));
    assert_eq!(status(&["-o", "a,b", "--", "true"]), Some(125));
    assert_eq!(status(&["-o", ".", "--", "true"]), Some(125), "a directory has / at its end");
    assert_eq!(status(&["-o", "./", "--", "true"]), Some(0));
    assert_eq!(status(&["--conf", "no_such_key:1", "--", "true"]), Some(125));
    assert_eq!(status(&["--", "/etc/passwd"]), Some(126));
    assert_eq!(status(&["--", "/nonexistent"]), Some(127));
    assert_eq!(status(&[]), Some(125), "no program, so none was started");
}

#[test]
fn a_file_is_only_replaced_if_asked() {
    let script = format!(
        "echo precious >x.trace; '{COMMAND}' record -o x.trace -- true; echo $?; cat x.trace; \
         '{COMMAND}' record -f -o x.trace -- '{VICTIMS_DIR}/dlopen'; head -c 1 x.trace"
    );
    let output = Victim::program("sh").arg("-c").arg(script).env("CUPOOL_CONF", "stats:none");
    let output = output.bare();
    output.succeeded().printed("125\nprecious\nsum 1225, 0 versioned\na");
    assert!(output.stderr.contains("--force"), "{}", output.report());
}

/// What was written before the end can be read, however the program ends.
#[test]
fn a_killed_program_leaves_a_trace() {
    let mut running = record(&["-o", "x.trace.gz"], "signal_read").start_bare();
    running.wait_for("ready").signal(libc::SIGUSR1);
    let path = running.directory().join("x.trace.gz");
    let deadline = Instant::now() + Duration::from_secs(10);
    // A piece this small is written at once.
    while path.metadata().map_or(0, |file| file.len()) == 0 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    running.signal(libc::SIGKILL);
    let output = running.finish();
    assert_eq!(output.signal, Some(libc::SIGKILL));
    assert!(number(&replayed(&[], &file(&output, "x.trace.gz")), "allocations") > 0.0);
}
