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
