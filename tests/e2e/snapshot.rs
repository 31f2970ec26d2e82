//! Memory snapshots, opened by PyTorch's own memory viewer.

use std::fs;
use std::path::Path;
use std::process::Command;

use cupool_tests::Output;
use serde_json::Value;

use crate::command::{Place, fails};
use crate::tools::on_path;

const MIB: u64 = 1 << 20;

/// A Python that has PyTorch's memory viewer, with these arguments; its output.
#[track_caller]
fn torch(program: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(directory).output();
    let output = output.expect("python");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn path(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).display().to_string()
}

/// What the viewer is given, checked by its keys and sums; then a comparison, which the program's own
/// command line cannot make of any snapshot.
const LOOK: &str = r#"
import pickle, sys
from torch.cuda import _memory_viz as viz
before, after = (pickle.load(open(name, "rb")) for name in sys.argv[1:3])
segment = {"device", "address", "total_size", "allocated_size", "active_size", "requested_size",
           "stream", "segment_type", "segment_pool_id", "is_expandable", "frames", "blocks"}
block = {"address", "size", "requested_size", "state", "frames"}
for s in before["segments"]:
    assert set(s) == segment, s
    assert sum(b["size"] for b in s["blocks"]) == s["total_size"]
    end = s["address"]
    for b in s["blocks"]:
        assert set(b) == block and b["address"] == end, b
        end += b["size"]
    held = [b for b in s["blocks"] if b["state"] == "active_allocated"]
    assert sum(b["size"] for b in held) == s["allocated_size"]
total = lambda key: sum(s[key] for s in before["segments"])
print(total("total_size"), total("allocated_size"), total("requested_size"))
events = before["device_traces"][0]
for e in events:
    assert set(e) == {"action", "addr", "size", "stream", "time_us", "frames"}, e
print(*(e["action"] for e in events if not e["action"].startswith("segment")))
# What the viewer does to draw a moment: it goes back from the segments, and fails at what cannot be.
for snapshot in (before, after):
    mapped, blocks = set(), {}
    for s in snapshot["segments"]:
        mapped |= set(range(s["address"], s["address"] + s["total_size"], 512))
    for e in reversed(snapshot["device_traces"][0]):
        granules = set(range(e["addr"], e["addr"] + e["size"], 512))
        if e["action"] in ("segment_alloc", "segment_map"):
            assert granules and granules <= mapped, e
            mapped -= granules
        elif e["action"] in ("segment_free", "segment_unmap"):
            assert granules and not granules & mapped, e
            mapped |= granules
        elif e["action"] == "free_completed":
            assert e["addr"] in mapped, e
    assert not mapped, "the history goes back to the beginning"
kinds = {e["action"] for e in after["device_traces"][0] if e["action"].startswith("segment")}
expandable = {s["is_expandable"] for s in before["segments"]}
print(*sorted(kinds), *expandable)
assert all(a["time_us"] <= b["time_us"] for a, b in zip(events, events[1:]))
assert before["allocator_settings"]["history"] == "100"
print(viz.compare(before["segments"], after["segments"], format_flamegraph=lambda text: text))
"#;

#[test]
fn the_memory_viewer_opens_it() {
    let Some(python) = on_path("torch-python") else { return };
    for backing in ["arena", "exact"] {
        let place = Place::new();
        let directory = tempfile::tempdir().expect("a directory");
        let running = place.steered(&format!("order:fence,history:100,backing:{backing}"));
        let pid = running.pid().to_string();
        let (before, after) = (path(&directory, "before.pickle"), path(&directory, "after.pickle"));
        place.run(&["snapshot", &pid, "-o", &before]).succeeded();
        place.run(&["flush", &pid]).succeeded();
        place.run(&["snapshot", &pid, "-o", &after]).succeeded();
        assert_eq!(fs::read_dir(place.directory()).expect("pages").count(), 1, "but the page");

        let viewer = |arguments: &[&str]| {
            torch(
                &python,
                directory.path(),
                &[&["-m", "torch.cuda._memory_viz"], arguments].concat(),
            )
        };
        let stats = viewer(&["stats", &before]);
        assert!(stats.contains("total_reserved: 192.0MiB"), "{stats}");
        assert!(stats.contains("total_allocated: 64.0MiB"), "{stats}");
        assert!(viewer(&["stats", &after]).contains("total_reserved: 64.0MiB"));
        let trace = viewer(&["trace", &before]);
        let freed = trace.lines().any(|l| l.starts_with("del ") && l.ends_with(" # 128.0MiB"));
        assert!(trace.starts_with("Device 0 ---") && freed, "{trace}");
        for plot in ["trace_plot", "segment_plot"] {
            viewer(&[plot, &before, "-o", "plot.html"]);
            let page = fs::read_to_string(directory.path().join("plot.html")).expect("a page");
            assert!(page.contains("snapshot.pickle"), "{plot}");
        }
        let looked = torch(&python, directory.path(), &["-c", LOOK, &before, &after]);
        let mut lines = looked.lines();
        let sums = format!("{} {} {}", 192 * MIB, 64 * MIB, 64 * MIB);
        assert_eq!(lines.next(), Some(&*sums), "{looked}");
        assert_eq!(lines.next(), Some("alloc alloc free_requested free_completed"), "{looked}");
        let kinds = match backing {
            "arena" => "segment_map segment_unmap True",
            _ => "segment_alloc segment_free False",
        };
        assert_eq!(lines.next(), Some(kinds), "{looked}");
        assert!(looked.contains("only_before"), "{looked}");
        running.finish().succeeded();
    }
}

#[test]
fn it_is_what_the_process_holds_also_in_its_own_form() {
    let place = Place::new();
    let directory = tempfile::tempdir().expect("a directory");
    let mut running = place.steered("order:fence,history:50");
    running.say("x").wait_for("worked");
    let json = path(&directory, "now.json");
    place.run(&["snapshot", &running.pid().to_string(), "-o", &json]).succeeded();
    let text = fs::read_to_string(&json).expect("the snapshot");
    let snapshot: Value = serde_json::from_str(&text).expect("JSON");
    let at = |pointer: &str| snapshot.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/reason"), "request");
    assert_eq!(at("/pid"), running.pid());
    // A thousand allocations and frees after the first six events, of which fifty are remembered.
    assert_eq!((at("/history"), at("/forgotten")), (50.into(), 1956.into()));
    assert_eq!(at("/events").as_array().map(Vec::len), Some(50));
    let blocks: Vec<Value> = at("/segments")
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|segment| segment["blocks"].as_array().cloned().unwrap_or_default())
        .collect();
    let held: Vec<_> = blocks.iter().filter(|block| block["state"] == "allocated").collect();
    assert_eq!(held.len(), 1, "{blocks:?}");
    assert_eq!(held[0]["requested"], 64 * MIB);
    // Another form of the same.
    place.run(&["snapshot", &json, "-o", &path(&directory, "x.pickle")]).succeeded();
    running.finish().succeeded();
}

/// Written in the moment of the failure, by the program's own thread.
#[test]
fn a_failure_is_written_down() {
    let place = Place::new();
    let directory = tempfile::tempdir().expect("a directory");
    let pattern = path(&directory, "oom.%n.json");
    let victim = place.victim("oom");
    victim
        .pooled(&format!("order:fence,history:1000,oom_snapshot:{pattern}"))
        .printed(&victim.bare().stdout);
    let names: Vec<_> = fs::read_dir(directory.path()).expect("it").flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let text = fs::read_to_string(path(&directory, "oom.0.json")).expect("the snapshot");
    let snapshot: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(snapshot["reason"], "out_of_memory");
    let last = snapshot["events"].as_array().and_then(|events| events.last()).expect("events");
    assert_eq!(last[0], "oom", "{last}");
    let pickle = path(&directory, "oom.pickle");
    place.run(&["snapshot", &path(&directory, "oom.0.json"), "-o", &pickle]).succeeded();
    let Some(python) = on_path("torch-python") else { return };
    let trace =
        torch(&python, directory.path(), &["-m", "torch.cuda._memory_viz", "trace", &pickle]);
    assert!(trace.contains("raise OutOfMemoryError"), "{trace}");
}

#[track_caller]
fn fails_with_a_cure(output: &Output, code: i32, says: &str) {
    fails(output, code, says);
    assert!(output.stderr.contains("; "), "no cure\n{}", output.report());
}

#[test]
fn mistakes_are_one_line() {
    let place = Place::new();
    let directory = tempfile::tempdir().expect("a directory");
    let bad = path(&directory, "bad.json");
    fs::write(&bad, "{\"schema\": 1}").expect("written");
    fails_with_a_cure(&place.run(&["snapshot", &bad]), 2, "no memory snapshot");
    fails_with_a_cure(&place.run(&["snapshot", "/nonexistent"]), 2, "No such file");
    fails_with_a_cure(&place.run(&["snapshot", "1"]), 1, "no process 1 under cupool");
    let mut running = place.victim("steer").start_pooled("order:fence,live:off");
    running.wait_for("ready");
    let pid = running.pid().to_string();
    fails_with_a_cure(&place.run(&["snapshot", &pid]), 1, "under cupool");
    let with_page = place.steered("order:fence");
    let pid = with_page.pid().to_string();
    let nowhere = place.run(&["snapshot", &pid, "-o", "/nonexistent/x.pickle"]);
    fails_with_a_cure(&nowhere, 2, "/nonexistent/x.pickle: No such file");
}
