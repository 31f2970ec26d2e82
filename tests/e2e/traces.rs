//! `cupool record` and `cupool replay`, and what the pool makes of the recorded traces.

use std::path::{Path, PathBuf};

use cupool_tests::{COMMAND, Output, Victim};
use serde_json::Value;

/// `tests/traces/NAME.trace.gz`
fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces").join(format!("{name}.trace.gz"))
}

fn command(arguments: &[&str]) -> Victim {
    arguments.iter().fold(Victim::program(COMMAND), Victim::arg)
}

/// The figures of a replay, a line of JSON for each trace.
#[track_caller]
fn figures(output: &Output) -> Vec<Value> {
    let lines = output.succeeded().stdout.lines();
    lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[track_caller]
fn replayed(arguments: &[&str], trace: &Path) -> Value {
    let output = command(&["replay", "--json", "--audit"]);
    let output = arguments.iter().fold(output, Victim::arg).arg(trace).bare();
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
fn a_file_that_is_no_trace_is_told_in_a_line() {
    let output = command(&["replay", "--json", "missing"]).arg(recorded("cupy")).bare();
    assert_eq!(output.code, Some(1), "{}", output.report());
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.report());
    assert!(output.stderr.starts_with("cupool: missing: No such file"), "{}", output.report());
    assert_eq!(output.stdout.lines().count(), 1, "{}", output.report());
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
