//! Which programs are served, and what is told of them at the end.

use cupool_tests::{Victim, assert_same};

#[test]
fn only_those_that_are_named_are_served() {
    let victim = Victim::new("runtime_static");
    let bare = victim.bare();
    for options in
        ["only:run*_static", "only:*/runtime_static", "only:sh:runtime_static", "except:sh"]
    {
        let pooled = victim.pooled(options);
        assert_same(&bare, &pooled);
        assert!(pooled.stats().served() > 0, "{options}");
    }
    for options in ["only:sh", "except:runtime_*", "only:runtime_*,except:*_static", "only:/sh"] {
        let alone = victim.pooled(options);
        assert_same(&bare, &alone);
        assert!(alone.files.is_empty(), "{options}: left behind: {:?}", alone.files);
    }
}

/// A program that is left alone does not even have the signal caught.
#[test]
fn one_that_is_left_alone_gets_the_signal_as_it_is() {
    let mut running = Victim::new("signal_read").start_pooled("except:signal_read");
    running.wait_for("ready").signal(libc::SIGUSR1);
    assert_eq!(running.finish().signal, Some(libc::SIGUSR1));
}

#[test]
fn what_was_never_freed_is_listed() {
    for backing in ["arena", "exact"] {
        let steps = |options: &str| {
            let mut running =
                Victim::new("policy_steps").start_pooled(&format!("backing:{backing},{options}"));
            running.wait_for("ready");
            for mib in [3, 1, 3, 5] {
                running.say(&format!("alloc {mib}")).wait_for(&format!("alloc {mib}: 0"));
            }
            running.say("free").wait_for("free: 0");
            // What it holds in between may be freed yet.
            running.signal(libc::SIGUSR1);
            let stats = running.wait_for_stats(|stats| stats.at("/reason") == "signal");
            assert!(stats.0.get("leaks").is_none(), "{:#}", stats.0);
            running.finish()
        };
        let leaks = steps("report_leaks:on");
        let leaks = leaks.succeeded().stats().at("/leaks").to_string();
        assert_eq!(
            leaks,
            r#"[{"bytes":3145728,"count":2,"device":0},{"bytes":1048576,"count":1,"device":0}]"#,
            "{backing}"
        );
        let silent = steps("report_leaks:off");
        assert!(silent.succeeded().stats().0.get("leaks").is_none(), "{backing}");
    }
}

/// Programs that write what they read do not notice: what a block is filled with comes neither before
/// its last use nor after its first.
#[test]
fn filled_memory_is_what_it_is_to_those_who_write_first() {
    const FILLED: &[&str] = &[
        "fill:junk,order:fence",
        "fill:junk,order:strict",
        "fill:junk,order:lazy",
        "fill:junk,backing:exact",
        "fill:zero",
    ];
    for name in ["soak", "reuse", "order_streams"] {
        crate::runs_alike(&Victim::new(name), FILLED);
    }
}

#[test]
fn what_was_never_written_is_as_told() {
    for (fill, word) in [("junk", "a5a5a5a5"), ("zero", "00000000")] {
        for backing in ["arena", "exact"] {
            let mut running =
                Victim::new("policy_steps").start_pooled(&format!("fill:{fill},backing:{backing}"));
            running.wait_for("ready");
            for _ in 0..2 {
                running.say("alloc 3").wait_for("alloc 3: 0").say("word");
                running.wait_for(&format!("word: {word}")).say("free").wait_for("free: 0");
            }
            running.finish().succeeded();
        }
    }
}
