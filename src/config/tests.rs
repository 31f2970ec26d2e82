use std::time::Duration;

use tracing::Level;

use super::*;

/// The options of a text that must be good.
#[track_caller]
fn good(text: &str) -> Options {
    let (options, warnings) = Options::parse(text, false);
    assert!(warnings.is_empty(), "{text}: {}", warnings[0]);
    options
}

/// The one warning about a text, which must leave every option alone.
#[track_caller]
fn warning(text: &str) -> String {
    let (options, warnings) = Options::parse(text, false);
    assert_eq!(options, Options::defaults(), "{text}");
    assert_eq!(warnings.len(), 1, "{text}: {warnings:?}");
    warnings[0].to_string()
}

#[test]
fn nothing_set_is_the_defaults() {
    let expected = Options {
        order: Order::Auto,
        backing: Backing::Auto,
        under_tools: UnderTools::Auto,
        max_idle: Limit::Percent(20.0),
        decay: Span::For(Duration::from_secs(10)),
        min_free: Limit::None,
        min_free_period: Duration::from_secs(1),
        ask_neighbours: true,
        flush_threshold: Limit::Bytes(0),
        flush_interval: None,
        only: Programs::default(),
        except: Programs::default(),
        fill: Fill::None,
        report_leaks: false,
        flush_driver_pools: true,
        framework_caches: true,
        signal: SignalChoice::Usr1,
        signal_early: true,
        stats: StatsFile::Default,
        interval: None,
        live: true,
        trace: TraceFile::Off,
        metrics: MetricsDirectory::Off,
        history: HistoryLength(0),
        oom_snapshot: SnapshotFile::Off,
        log: None,
        log_file: LogFile::Stderr,
        log_format: LogFormat::Text,
        abort_conf: false,
        confirm_conf: false,
    };
    assert_eq!(Options::defaults(), expected);
    for nothing in ["", " ", ",", " , ,"] {
        assert_eq!(good(nothing), expected, "{nothing:?}");
    }
}

#[test]
fn every_option_can_be_set() {
    let options = good(
        "order:fence,backing:exact,under_tools:serve,max_idle:4GiB,decay:5m,min_free:3%,min_free_period:20ms,ask_neighbours:no,\
         flush_threshold:1M,flush_interval:1s,only:python*:/opt/*,except:sh,fill:junk,report_leaks:1,flush_driver_pools:off,framework_caches:no,\
         signal:RTMIN+3,signal_early:no,stats:/a/%p,interval:500ms,live:off,trace:/t.gz,metrics:/m,history:500,oom_snapshot:/o.%n,\
         log:debug,log_file:/b,log_format:json,abort_conf:1,confirm_conf:ON",
    );
    let expected = Options {
        order: Order::Fence,
        backing: Backing::Exact,
        under_tools: UnderTools::Serve,
        max_idle: Limit::Bytes(4 << 30),
        decay: Span::For(Duration::from_secs(300)),
        min_free: Limit::Percent(3.0),
        min_free_period: Duration::from_millis(20),
        ask_neighbours: false,
        flush_threshold: Limit::Bytes(1 << 20),
        flush_interval: Some(Duration::from_secs(1)),
        only: Programs::of("python*:/opt/*"),
        except: Programs::of("sh"),
        fill: Fill::Junk,
        report_leaks: true,
        flush_driver_pools: false,
        framework_caches: false,
        signal: SignalChoice::RealTime(3),
        signal_early: false,
        stats: StatsFile::At("/a/%p".to_owned()),
        interval: Some(Duration::from_millis(500)),
        live: false,
        trace: TraceFile::At("/t.gz".to_owned()),
        metrics: MetricsDirectory::At("/m".to_owned()),
        history: HistoryLength(500),
        oom_snapshot: SnapshotFile::At("/o.%n".to_owned()),
        log: Some(Level::DEBUG),
        log_file: LogFile::At("/b".to_owned()),
        log_format: LogFormat::Json,
        abort_conf: true,
        confirm_conf: true,
    };
    assert_eq!(options, expected);
    let kept: Vec<_> = options.pairs().into_iter().zip(Options::defaults().pairs()).collect();
    assert!(kept.iter().all(|(set, default)| set != default), "one of them was not set: {kept:?}");
}

#[test]
fn blanks_and_empty_entries_mean_nothing() {
    assert_eq!(good(" order : fence ,, backing:\texact,").order, Order::Fence);
}

#[test]
fn the_later_one_counts() {
    assert_eq!(good("order:fence,order:strict").order, Order::Strict);
    let (options, warnings) = Options::parse("order:fence,order:soon", false);
    assert_eq!((options.order, warnings.len()), (Order::Fence, 1));
}

#[test]
fn a_path_may_contain_colons() {
    assert_eq!(good("stats:c:d://e").stats, StatsFile::At("c:d://e".to_owned()));
}

#[test]
fn a_path_ends_at_a_comma() {
    let (options, warnings) = Options::parse("stats:/a,b", false);
    assert_eq!((options.stats, warnings.len()), (StatsFile::At("/a".to_owned()), 1));
}

#[test]
fn words_of_every_kind() {
    assert_eq!(good("order:LAZY").order, Order::Lazy);
    for (word, file) in [("default", StatsFile::Default), ("none", StatsFile::Off)] {
        assert_eq!(good(&format!("stats:{word}")).stats, file);
    }
    for (word, log) in [("none", None), ("off", None), ("Warn", Some(Level::WARN))] {
        assert_eq!(good(&format!("log:{word}")).log, log);
    }
    for (word, signal) in [
        ("none", SignalChoice::None),
        ("SIGUSR2", SignalChoice::Usr2),
        ("rtmin", SignalChoice::RealTime(0)),
        ("RTMIN+30", SignalChoice::RealTime(30)),
    ] {
        assert_eq!(good(&format!("signal:{word}")).signal, signal, "{word}");
    }
}

#[test]
fn booleans() {
    for (words, expected) in
        [(["1", "TRUE", "yes", "On"], true), (["0", "false", "NO", "off"], false)]
    {
        for word in words {
            assert_eq!(good(&format!("abort_conf:{word}")).abort_conf, expected, "{word}");
        }
    }
}

#[test]
fn sizes_are_base_1024() {
    for (text, bytes) in [
        ("0", 0),
        ("17", 17),
        ("17b", 17),
        ("64K", 64 << 10),
        ("64kb", 64 << 10),
        ("64KiB", 64 << 10),
        ("3 m", 3 << 20),
        ("2GiB", 2 << 30),
        ("1t", 1 << 40),
        ("18446744073709551615", u64::MAX),
    ] {
        assert_eq!(good(&format!("max_idle:{text}")).max_idle, Limit::Bytes(bytes), "{text}");
    }
}

#[test]
fn sizes_are_shown_in_the_largest_unit_that_is_exact() {
    for (bytes, text) in [(0, "0"), (1023, "1023"), (64 << 10, "64KiB"), (1025 << 20, "1025MiB")] {
        let options = Options { max_idle: Limit::Bytes(bytes), ..Options::defaults() };
        assert!(options.pairs().contains(&("max_idle", text.to_owned())), "{options:?}");
    }
}

#[test]
fn limits_on_a_device() {
    for (text, total, limit) in [
        ("20%", 1000, 200),
        ("12.5 %", 1000, 125),
        ("100%", u64::MAX, u64::MAX),
        ("0%", 1000, 0),
        ("2K", 1000, 2048),
        ("none", 1000, u64::MAX),
    ] {
        assert_eq!(good(&format!("max_idle:{text}")).max_idle.of(total), limit, "{text}");
    }
}

#[test]
fn durations() {
    for (text, ms) in [("10ms", 10), ("10s", 10_000), ("5m", 300_000), ("1 H", 3_600_000)] {
        let expected = Some(Duration::from_millis(ms));
        assert_eq!(good(&format!("interval:{text}")).interval, expected, "{text}");
    }
    assert_eq!(good("interval:none").interval, None);
    for (text, span) in [
        ("0", Span::For(Duration::ZERO)),
        ("off", Span::Unlimited),
        ("none", Span::Unlimited),
        ("2s", Span::For(Duration::from_secs(2))),
    ] {
        let options = good(&format!("decay:{text}"));
        assert_eq!(options.decay, span, "{text}");
        let shown = options.pairs().into_iter().find(|(name, _)| *name == "decay");
        assert_eq!(good(&format!("decay:{}", shown.unwrap().1)), options, "{text}");
    }
}

#[test]
fn none_and_off_are_the_same_wherever_either_is_meant() {
    // Not for `only` and `except`: a program may be called so.
    for key in [
        "max_idle",
        "decay",
        "min_free",
        "flush_threshold",
        "flush_interval",
        "fill",
        "signal",
        "stats",
        "interval",
        "trace",
        "metrics",
        "history",
        "oom_snapshot",
        "log",
    ] {
        assert_eq!(good(&format!("{key}:off")), good(&format!("{key}:none")), "{key}");
    }
}

#[test]
fn what_does_not_fit_is_left_out() {
    for text in [
        "order:",
        "order:soon",
        "order:unordered",
        "backing:arenas",
        "max_idle:-1",
        "max_idle:1.5G",
        "max_idle:1x",
        "max_idle:K",
        "max_idle:16777216T",
        "max_idle:101%",
        "max_idle:-1%",
        "max_idle:NaN%",
        "max_idle:%",
        "signal:KILL",
        "signal:RTMIN+31",
        "signal:RTMIN+x",
        "signal:9",
        "signal_early:2",
        "stats:",
        "stats:/a/%q",
        "stats:a\0b",
        "decay:1",
        "decay:-1s",
        "min_free_period:none",
        "only:",
        "fill:ones",
        "interval:0s",
        "interval:9ms",
        "interval:10",
        "interval:s",
        "interval:99999999999999999h",
        "log:loud",
        "log_file:",
        "abort_conf:maybe",
        "ordre:fence",
        "Order:fence",
        "order",
        ":fence",
        ":",
    ] {
        let line = warning(text);
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn a_warning_names_key_value_cause_and_cure() {
    assert_eq!(
        warning("interval:soon"),
        "CUPOOL_CONF: interval:soon ignored: not a duration; \
         use DURATION (500ms, 10s, 5m, 1h)|none"
    );
    assert_eq!(warning("fence"), "CUPOOL_CONF: fence ignored: no value; write key:value");
    let line = warning("ordre:fence");
    assert!(
        line.starts_with("CUPOOL_CONF: ordre:fence ignored: no such option; there are order, ")
    );
    for name in Options::NAMES {
        assert!(line.contains(name), "{line}");
    }
}

#[test]
fn a_warning_is_one_short_line_whatever_was_written() {
    let line = warning(&format!("order:a\n\u{1b}[1m\u{202e}'{}", "x".repeat(10_000)));
    assert!(!line.contains(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
    assert!(line.contains(r"a\n\u{1b}[1m\u{202e}'xxx"), "{line}");
    assert!(line.contains('…') && line.len() < 300, "{line}");
}

#[test]
fn tests_may_turn_the_order_off() {
    let (options, warnings) = Options::parse("order:unordered", true);
    assert_eq!((options.order, warnings.len()), (Order::Unordered, 0));
}

#[test]
#[cfg(not(miri))]
fn signals_have_numbers() {
    assert_eq!(SignalChoice::None.number(), None);
    assert_eq!(SignalChoice::Usr1.number(), Some(10));
    assert_eq!(SignalChoice::Usr2.number(), Some(12));
    assert_eq!(SignalChoice::RealTime(0).number(), Some(libc::SIGRTMIN()));
    assert_eq!(SignalChoice::RealTime(30).number(), Some(libc::SIGRTMAX()));
}

#[test]
fn the_help_tells_of_every_option_and_its_default() {
    let help = Options::help();
    for (name, default) in Options::defaults().pairs() {
        let line = help.lines().find(|line| line.starts_with(&format!("{name}:")));
        let line = line.unwrap_or_else(|| panic!("{name} is missing:\n{help}"));
        assert!(line.ends_with(&format!("(default {default})")), "{line}");
    }
}
