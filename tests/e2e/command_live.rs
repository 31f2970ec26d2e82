//! The live page: `cupool top`, `stats` and `flush` on processes that know nothing of it.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::thread;
use std::time::{Duration, Instant};

use cupool_tests::{Running, Victim};
use serde_json::Value;

use crate::command::{Place, fails};

const MIB: u64 = 1 << 20;

fn pid(running: &Running) -> String {
    running.pid().to_string()
}

#[test]
fn stats_tell_what_the_process_holds_now() {
    let place = Place::new();
    let mut running = place.steered("order:fence");
    let pid = pid(&running);
    let stats = |pointer: &str| place.json(&["stats", &pid, "--json"]).pointer(pointer).cloned();
    assert_eq!(stats("/state"), Some("running".into()));
    assert_eq!(stats("/devices/0/allocated_bytes/current"), Some((64 * MIB).into()));
    assert_eq!(stats("/devices/0/idle_bytes"), Some((128 * MIB).into()));
    assert_eq!(stats("/devices/0/returnable_bytes"), Some((128 * MIB).into()));
    assert_eq!(stats("/devices/0/allocation/allocated"), Some(2.into()));
    // At once, without anybody having been asked to write anything.
    running.say("x").wait_for("worked");
    assert_eq!(stats("/devices/0/allocation/allocated"), Some(1002.into()));

    let table = place.run(&["stats", &pid]);
    let text = &table.succeeded().stdout;
    assert!(text.contains("| Allocated memory      |   64.0 MiB |    192 MiB |"), "{text}");
    assert!(text.contains("128 MiB idle: a flush would gain little"), "{text}");
    // The same figures as in the stats file.
    let all: Value = place.json(&["stats", "--json"]);
    let output = running.finish();
    let file = output.stats();
    for key in ["hits", "misses", "num_device_alloc", "total_bytes", "uuid", "backing"] {
        assert_eq!(&all["devices"][0][key], file.at(&format!("/devices/0/{key}")), "{key}");
    }
    assert!(place.pages().is_empty(), "a process that ends leaves no page");
}

#[test]
fn a_page_is_nobody_elses_and_can_be_left_out() {
    let place = Place::new();
    let running = place.steered("order:fence");
    let [page] = &place.pages()[..] else { panic!("one page: {:?}", place.pages()) };
    let mode = fs::metadata(page).expect("the page").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!running.proc_entries("fd").is_empty());
    let is_open = || {
        running.proc_entries("fd").iter().any(|fd| {
            let link = fs::read_link(format!("/proc/{}/fd/{fd}", running.pid()));
            link.is_ok_and(|path| path.extension().is_some_and(|end| end == "live"))
        })
    };
    // It is there before it is mapped.
    let deadline = Instant::now() + Duration::from_secs(5);
    while is_open() {
        assert!(Instant::now() < deadline, "the page is mapped, not held open");
        thread::sleep(Duration::from_millis(2));
    }
    running.finish();

    let mut without = place.victim("steer").start_pooled("order:fence,live:off");
    without.wait_for("ready");
    assert!(place.pages().is_empty());
    fails(&place.run(&["stats", &pid(&without)]), 1, "no live page");
}

#[test]
fn a_flush_interrupts_nothing_and_tells_what_came_back() {
    let place = Place::new();
    // Its own handler would count a signal, and standard error would tell that one was sent.
    let mut running = place.started(place.victim("steer").arg("own"), "order:fence");
    let pid = pid(&running);
    let flush = place.run(&["flush", &pid]);
    flush.succeeded();
    assert!(
        flush.stdout.starts_with(&format!("{pid}: gave back 128 MiB of 128 MiB idle in ")),
        "{flush:?}"
    );
    let stats = place.json(&["stats", &pid, "--json"]);
    assert_eq!(stats["devices"][0]["reserved_bytes"]["current"], 64 * MIB);
    assert_eq!(stats["last_flush"]["reason"], "request");
    running.say("x").wait_for("worked, heard 0");
    running.finish().succeeded();
}

#[test]
fn those_on_a_gpu_or_all_can_be_meant() {
    let place = Place::new();
    let [one, other] = [(); 2].map(|()| place.steered("order:fence"));
    fails(&place.run(&["flush", "--gpu", "7"]), 1, "GPU 7");
    let on_gpu = place.run(&["flush", "--gpu", "0", "--wait"]);
    assert_eq!(on_gpu.succeeded().stdout.matches("gave back 128 MiB").count(), 2, "{on_gpu:?}");
    let all = place.run(&["flush", "--all", "--json"]);
    let lines: Vec<Value> = all
        .succeeded()
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines.iter().all(|line| line["by"] == "page" && line["flush"]["idle_bytes_before"] == 0)
    );
    for running in [one, other] {
        running.finish().succeeded();
    }
    fails(&place.run(&["flush", "--all"]), 1, "no process of yours");
}

/// Without a page the signal is left; marked, it is not the program's.
#[test]
fn the_signal_is_the_fallback() {
    let place = Place::new();
    let mut running = place.victim("steer").arg("own").start_pooled("order:fence,live:off");
    running.wait_for("ready");
    let flush = place.run(&["flush", &pid(&running)]);
    assert!(flush.succeeded().stdout.contains("asked by the signal"), "{flush:?}");
    let stats = running.wait_for_stats(|stats| stats.0.pointer("/flushes/0").is_some());
    assert_eq!(stats.at("/flushes/0/reason"), "signal");
    assert_eq!(stats.number("/flushes/0/released_bytes"), 128 * MIB);
    running.say("x").wait_for("worked, heard 0");
    running.finish().succeeded();
}

#[test]
fn nobody_is_killed() {
    let place = Place::new();
    let bare = Victim::program("sleep").arg("60").start_bare();
    fails(&place.run(&["flush", &pid(&bare)]), 2, "does not run under cupool");
    let unready = place.victim("steer").start_pooled("signal:none,live:off");
    fails(&flushed(&place, &unready), 2, "signal:none");
    // Under cupool, but with the default disposition till it uses CUDA, which it never does.
    let late = Victim::program("sleep").arg("60").start_pooled("signal_early:false");
    fails(&flushed(&place, &late), 2, "which would end it");
    fails(&place.run(&["flush", "999999999"]), 2, "no process 999999999");
    for running in [bare, unready, late] {
        let alive =
            fs::read_to_string(format!("/proc/{}/stat", running.pid())).expect("it is there");
        assert!(!alive.contains(") Z"), "{alive}");
    }
}

/// `cupool flush`, once the program has loaded the library.
fn flushed(place: &Place, running: &Running) -> cupool_tests::Output {
    let maps = format!("/proc/{}/maps", running.pid());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !fs::read_to_string(&maps).is_ok_and(|maps| maps.contains("libcupool.so")) {
        assert!(Instant::now() < deadline, "never loaded");
        thread::sleep(Duration::from_millis(2));
    }
    place.run(&["flush", &pid(running)])
}

#[test]
fn a_killed_process_is_shown_as_gone_and_cleared_away() {
    let place = Place::new();
    let running = place.steered("order:fence");
    let pid = pid(&running);
    // Its last figures are those of a look, or of a second ago.
    place.json(&["stats", &pid, "--json"]);
    running.signal(libc::SIGKILL);
    assert_eq!(running.finish().signal, Some(libc::SIGKILL));

    let stats = place.json(&["stats", &pid, "--json"]);
    assert_eq!(stats["state"], "gone");
    assert_eq!(stats["devices"][0]["allocated_bytes"]["current"], 64 * MIB);
    let text = place.run(&["stats", &pid]);
    assert!(text.succeeded().stdout.contains("it is gone"), "{text:?}");
    fails(&place.run(&["flush", "--all"]), 1, "no process of yours");

    let top = place.run(&["top", "--once"]);
    assert!(top.succeeded().stdout.contains("(gone) steer"), "{top:?}");
    assert!(place.pages().is_empty());
    fails(&place.run(&["top"]), 1, "no process of yours");
}

/// Its pid and the time of its start are those of before.
#[test]
fn a_process_that_becomes_another_program_is_gone() {
    let place = Place::new();
    let mut running = place.started(place.victim("exec_later"), "order:fence");
    let pid = pid(&running);
    assert_eq!(place.json(&["stats", &pid, "--json"])["state"], "running");
    running.say("x");
    let name = format!("/proc/{pid}/comm");
    let deadline = Instant::now() + Duration::from_secs(10);
    while fs::read_to_string(&name).expect("it runs") != "sleep\n" {
        assert!(Instant::now() < deadline, "it never becomes `sleep`");
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(place.json(&["stats", &pid, "--json"])["state"], "gone");
    fails(&place.run(&["flush", "--all"]), 1, "no process of yours");
    let top = place.run(&["top", "--once"]);
    assert!(top.succeeded().stdout.contains("(gone) exec_later"), "{top:?}");
    assert!(place.pages().is_empty());
    running.signal(libc::SIGKILL);
    running.finish();
}

#[test]
fn top_shows_every_process_and_its_rates() {
    let place = Place::new();
    let mut running = place.steered("order:fence");
    let _other = place.steered("order:strict");
    let top = place.run(&["top", "--once", "--sort", "pid"]);
    let lines: Vec<&str> = top.succeeded().stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{top:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{top:?}");
    let words: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(words[0], running.pid().to_string());
    assert_eq!(&words[1..7], ["0", "64.0M", "192M", "128M", "192M", "0"]);
    assert_eq!(words.last(), Some(&"steer"));

    // While it works it has a rate.
    let mut rate = 0.0;
    let deadline = Instant::now() + Duration::from_secs(20);
    while rate == 0.0 && Instant::now() < deadline {
        for _ in 0..50 {
            running.say("x");
        }
        let top = place.json(&["top", "--json"]);
        let of_it = |process: &&Value| process["pid"] == running.pid();
        let process = top["processes"].as_array().and_then(|all| all.iter().find(of_it)).cloned();
        let process = process.expect("it is in the list");
        assert_eq!(process["idle_bytes"].as_u64().map(|idle| idle >= 128 * MIB), Some(true));
        rate = process["mallocs_per_second"].as_f64().expect("a number");
    }
    assert!(rate > 0.0);
    running.finish().succeeded();
}

#[test]
fn a_file_that_is_no_page_is_told_in_one_line() {
    let place = Place::new();
    let running = place.steered("order:fence");
    let [page] = &place.pages()[..] else { panic!("one page") };
    // Whose it is nobody can tell; of the other the process is gone, as that of pid 1 began later.
    let copies = ["cupool.x.live", "cupool.1.1.live"].map(|name| page.with_file_name(name));
    for copy in &copies {
        fs::copy(page, copy).expect("copied");
        let file = fs::OpenOptions::new().write(true).open(copy);
        file.and_then(|file| file.write_at(b"damaged", 0)).expect("damaged");
    }
    let top = place.run(&["top", "--once"]);
    top.succeeded();
    assert_eq!(top.stderr.lines().count(), 1, "{top:?}");
    assert!(top.stderr.contains("no live page") && top.stderr.contains("delete it"), "{top:?}");
    assert_eq!(top.stdout.lines().count(), 2, "the other one is shown\n{top:?}");
    assert!(copies[0].exists() && !copies[1].exists(), "what is nobody's is cleared away");
    running.finish();
}

/// Standard output that nobody reads is no error, also of a watch without end.
#[test]
fn a_reader_may_leave() {
    let place = Place::new();
    let running = place.steered("order:fence");
    let script = format!(
        "{} stats --watch=0.1 {} | head -n 3; echo ${{PIPESTATUS[0]}}",
        cupool_tests::COMMAND,
        running.pid()
    );
    let mut bash = place.around(Victim::program("bash").arg("-c").arg(&script));
    bash = bash.env("CUPOOL_PAGES", place.directory());
    let output = bash.bare();
    assert!(output.succeeded().stdout.ends_with("\n0\n"), "{output:?}");
    assert_eq!(output.stderr, "");
    running.finish();
}
