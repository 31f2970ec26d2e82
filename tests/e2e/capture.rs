//! Stream captures: nothing the pool does may disturb one.

use std::iter::zip;

use cupool_tests::Victim;

use crate::{ALL, same};

same! {
    a_block_freed_during_a_capture: Victim::new("capture_reuse"), ALL;
    another_thread_works_meanwhile: Victim::new("capture_thread"), ALL;
    several_at_once: Victim::new("captures").arg("several"), ALL;
    ended_by_another_thread: Victim::new("captures").arg("elsewhere"), ALL;
    invalidated: Victim::new("captures").arg("spoilt"), ALL;
    graphs_that_are_put_together_and_changed: Victim::new("captures").arg("graphs"), ALL;
    whatever_is_asked_of_the_pool_meanwhile: Victim::new("captures").arg("quiet"), ALL;
    the_device_is_reset_meanwhile:
        Victim::new("capture_reset").env("SIMCUDA_MEMORY", "1073741824"), ALL;
}

/// Where an allocation or a free inside a capture succeeds natively, everything is as it is
/// natively. Where it fails and spoils the capture, the pool may serve it instead; then the
/// capture must survive and compute the right thing.
#[test]
fn allocating_and_freeing_in_three_modes() {
    let bare = Victim::new("capture").bare();
    assert_eq!(bare.succeeded().stdout.lines().count(), 12, "{}", bare.report());
    for order in ALL {
        let pooled = Victim::new("capture").pooled(order);
        assert!(pooled.succeeded().stats().served() > 0, "{}", pooled.report());
        assert_eq!(pooled.stdout.lines().count(), 12, "{}", pooled.report());
        for (native, line) in zip(bare.stdout.lines(), pooled.stdout.lines()) {
            let served = native.replace("900 end 901", "0 end 0 wrong words 0");
            assert!(line == native || line == served, "{line}, natively {native}");
        }
    }
}

/// The victim knows the difference: natively a stricter capture is spoilt by these calls.
#[test]
fn natively_a_stricter_capture_is_spoilt() {
    let bare = Victim::new("capture").bare();
    for mode in ["global", "thread-local"] {
        for call in ["malloc", "free"] {
            let line = format!("{mode} capture, {call}: {call} 900 end 901");
            assert!(bare.stdout.lines().any(|found| found == line), "{}", bare.report());
        }
    }
}
