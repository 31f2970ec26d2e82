//! The stats file tells what happened.

use cupool_tests::{Output, Stats, Victim};

fn run(name: &str, options: &str) -> Stats {
    let output = Victim::new(name).pooled(options);
    output.succeeded().stats().clone()
}

#[test]
fn top_level() {
    let stats = run("runtime_static", "order:fence");
    assert_eq!(stats.at("/schema"), 1);
    assert_eq!(stats.at("/reason"), "exit");
    assert_eq!(stats.at("/options/order"), "fence");
    assert!(stats.number("/pid") > 1);
    assert_eq!(stats.number("/sequence"), 0, "the first file of this process");
    for key in ["/version", "/executable"] {
        assert!(stats.at(key).as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    for key in ["/process_start_time", "/time"] {
        assert!(stats.at(key).as_f64().is_some_and(|seconds| seconds > 1.7e9), "{key}");
    }
    assert!(stats.at("/executable").as_str().is_some_and(|path| path.ends_with("runtime_static")));
    assert!(stats.at("/flushes").is_array());
}

/// Every key that is promised, by its name, in every place.
#[test]
fn keys() {
    let output = Victim::new("flush").pooled("order:auto");
    let stats = output.succeeded().stats();
    let has = |place: &str, keys: &[&str]| {
        for key in keys {
            let at = format!("{place}/{key}");
            assert!(stats.0.pointer(&at).is_some(), "no {at} in {:#}", stats.0);
        }
    };
    has(
        "",
        &[
            "schema",
            "version",
            "pid",
            "process_start_time",
            "executable",
            "sequence",
            "reason",
            "time",
            "options",
            "devices",
            "flushes",
            "order",
            "order_configured",
            "order_reason",
            "retired",
        ],
    );
    has(
        "/devices/0",
        &[
            "device",
            "name",
            "uuid",
            "total_bytes",
            "contexts",
            "idle_bytes",
            "num_alloc_retries",
            "num_ooms",
            "num_device_alloc",
            "num_device_free",
            "num_device_move",
            "backing",
            "backing_reason",
            "order",
            "hits",
            "misses",
            "fences",
            "host_syncs",
        ],
    );
    for gauge in ["allocated_bytes", "reserved_bytes", "requested_bytes", "allocation", "segment"] {
        has(&format!("/devices/0/{gauge}"), &["current", "peak", "allocated", "freed"]);
    }
    for latency in ["malloc_latency_ns", "free_latency_ns"] {
        has(&format!("/devices/0/{latency}"), &["count", "p50", "p90", "p99", "max"]);
    }
    has(
        "/flushes/0",
        &[
            "reason",
            "time",
            "idle_bytes_before",
            "idle_bytes_after",
            "released_bytes",
            "pending_bytes",
            "released_later_bytes",
            "driver_pools_released_bytes",
            "duration_seconds",
            "kept",
        ],
    );
}

#[test]
fn per_device() {
    for backing in ["exact", "arena"] {
        figures_of_a_device(backing);
    }
}

fn figures_of_a_device(backing: &str) {
    let stats = run("runtime_static", &format!("order:fence,backing:{backing}"));
    for group in ["allocated_bytes", "reserved_bytes", "requested_bytes", "allocation", "segment"] {
        let figure = |name: &str| stats.number(&format!("/devices/0/{group}/{name}"));
        let (current, peak) = (figure("current"), figure("peak"));
        assert_eq!(current, figure("allocated") - figure("freed"), "{group}");
        assert!(peak >= current, "{group}");
        assert!(figure("allocated") >= peak, "{group}");
    }
    for key in ["num_alloc_retries", "num_ooms", "num_device_alloc", "num_device_free"] {
        stats.number(&format!("/devices/0/{key}"));
    }
    let reserved = stats.number("/devices/0/reserved_bytes/current");
    let allocated = stats.number("/devices/0/allocated_bytes/current");
    assert_eq!(stats.number("/devices/0/idle_bytes"), reserved - allocated);
    assert!(
        stats.number("/devices/0/requested_bytes/peak")
            <= stats.number("/devices/0/allocated_bytes/peak")
    );
    assert_eq!(stats.at("/devices/0/backing"), backing);
    assert_eq!(stats.at("/devices/0/order"), "fence");
    assert_eq!(stats.sum("/fences"), stats.sum("/allocation/freed"), "a fence for every free");
}

/// Every block that the program asked for and freed is in the figures, to the byte.
#[test]
fn figures_match_the_program() {
    // Fifty blocks of 2 MiB, one at a time, all freed.
    let stats = run("dlopen", "order:fence");
    assert_eq!(stats.sum("/allocation/allocated"), 50);
    assert_eq!(stats.sum("/allocation/freed"), 50);
    assert_eq!(stats.sum("/requested_bytes/allocated"), 50 * (2 << 20));
    assert_eq!(stats.sum("/requested_bytes/peak"), 2 << 20);
    assert_eq!(stats.sum("/hits"), 49);
    assert_eq!(stats.sum("/misses"), 1);
    assert_eq!(stats.sum("/num_device_alloc"), 1);
}

#[test]
fn latencies() {
    let stats = run("runtime_static", "order:fence");
    for group in ["malloc_latency_ns", "free_latency_ns"] {
        let figure = |name: &str| stats.number(&format!("/devices/0/{group}/{name}"));
        // Every so many calls are timed, the first among them.
        assert!((1..=150).contains(&figure("count")), "{group}");
        assert!(figure("p50") > 0 && figure("p50") <= figure("p90"), "{group}");
        assert!(figure("p90") <= figure("p99") && figure("p99") <= figure("max"), "{group}");
    }
}

/// The driver itself counted as many reservations and releases, and the program had far more.
#[test]
fn driver_calls_match_the_figures() {
    let victim = Victim::new("dlopen").env("SIMCUDA_COUNTS", "counts");
    let bare = victim.bare();
    assert_eq!((calls(&bare, "cuMemAlloc"), calls(&bare, "cuMemFree")), (50, 50));
    for (backing, call) in [("exact", "cuMemAlloc"), ("arena", "cuMemCreate")] {
        driver_calls_match(&victim.pooled(&format!("order:fence,backing:{backing}")), call);
    }
}

/// `call` is what takes memory from the driver.
#[track_caller]
fn driver_calls_match(pooled: &Output, call: &str) {
    let stats = pooled.succeeded().stats();
    assert_eq!(calls(pooled, call), stats.sum("/num_device_alloc"));
    assert_eq!(calls(pooled, call), 1);
    // A fence is an event recorded and waited for by the context.
    assert!(calls(pooled, "cuCtxRecordEvent") >= 50 && calls(pooled, "cuCtxWaitEvent") >= 50);
    assert_eq!(stats.sum("/fences"), calls(pooled, "cuCtxWaitEvent"));
}

/// How often the program, or the library for it, called this function of the driver.
#[track_caller]
fn calls(output: &Output, function: &str) -> u64 {
    let path = output.directory.path().join("counts");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("counts: {error}"));
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(name, _)| *name == function);
    found.map_or(0, |(_, count)| count.parse().expect("a count"))
}

/// `cupool_stats_dump` writes the same document where it is told to.
#[test]
fn dump_on_request() {
    let output = Victim::new("flush").pooled("order:auto");
    let dumped = Stats::read(&output.succeeded().directory.path().join("dumped.json"));
    let dumped = dumped.expect("the dumped file");
    assert_eq!(dumped.at("/reason"), "request");
    assert_eq!(dumped.at("/pid"), output.stats().at("/pid"));
    assert_eq!(dumped.at("/flushes/0/reason"), "empty_cache");
}
