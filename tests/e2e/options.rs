//! What `CUPOOL_CONF` and `CUPOOL_LOG` say is done, and mistakes in them are told once.

use cupool_tests::{Output, Victim};

const PLAIN: &str = "sum 1225, 0 versioned\n";

fn run(options: &str) -> Output {
    Victim::new("dlopen").pooled(options)
}

#[track_caller]
fn warnings(output: &Output) -> Vec<&str> {
    output.stderr.lines().filter(|line| line.starts_with("cupool: ")).collect()
}

#[test]
fn silent_by_default() {
    let output = run("order:auto");
    output.printed(PLAIN);
    assert_eq!(output.stderr, "", "{}", output.report());
}

#[test]
fn a_mistake_is_told_and_the_default_stays() {
    for (options, words) in [
        ("no_such_key:1", ["no_such_key", "1"]),
        ("order:sideways", ["order", "sideways"]),
        ("max_idle:much", ["max_idle", "much"]),
        ("interval:3", ["interval", "3"]),
    ] {
        let output = run(options);
        output.printed(PLAIN);
        let told = warnings(&output);
        assert_eq!(told.len(), 1, "{}", output.report());
        assert!(words.iter().all(|word| told[0].contains(word)), "{}", output.report());
        assert_eq!(output.stats().at("/options/order"), "auto");
    }
}

#[test]
fn a_mistake_can_be_made_fatal() {
    let output = run("abort_conf:true,no_such_key:1");
    assert_ne!(output.code, Some(0), "{}", output.report());
    assert!(output.stderr.contains("no_such_key"), "{}", output.report());
    assert_eq!(output.stdout, "", "it still ran");
}

#[test]
fn values_can_be_confirmed() {
    let output = run("confirm_conf:true,order:fence");
    output.printed(PLAIN);
    for words in ["order", "fence", "max_idle"] {
        assert!(output.stderr.contains(words), "no `{words}`\n{}", output.report());
    }
}

#[test]
fn the_later_value_wins() {
    assert_eq!(run("order:strict,order:fence").stats().at("/options/order"), "fence");
}

#[test]
fn the_log_has_levels() {
    let at = |level: &str| {
        let output = Victim::new("dlopen").env("CUPOOL_LOG", level).pooled("order:auto");
        output.printed(PLAIN);
        let told = warnings(&output).len();
        assert_eq!(told, output.stderr.lines().count(), "{}", output.report());
        told
    };
    assert_eq!(at("warn"), 0);
    assert!(at("debug") > at("warn"));
}
