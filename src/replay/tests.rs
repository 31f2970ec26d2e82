//! The model, and traces played on it.

use std::time::Duration;

use super::{Figures, Settings, costs, play};
use crate::config::Options;
use crate::trace::{Action, Event, Trace};

fn trace(calls: &[(Action, u64)]) -> Trace {
    let event = |&(action, micros)| Event { action, thread: 0, micros };
    let allocations =
        calls.iter().filter(|(action, _)| matches!(action, Action::Allocate { .. })).count() as u64;
    Trace { events: calls.iter().map(event).collect(), allocations }
}

fn a(id: u64, bytes: u64) -> Action {
    Action::Allocate { id, bytes }
}

fn f(id: u64) -> Action {
    Action::Free { id }
}

#[track_caller]
fn played(conf: &str, calls: &[(Action, u64)]) -> Figures {
    let (options, warnings) = Options::parse(conf, false);
    assert!(warnings.is_empty(), "{warnings:?}");
    let settings = Settings { options, lag: Settings::LAG, audit: true };
    let figures = play("test", &trace(calls), &settings);
    assert_eq!(figures.violations.as_deref(), Some(&[][..]));
    figures
}

const MIB: u64 = 1 << 20;
const EXACT: &str = "backing:exact,order:fence";

#[test]
fn what_the_trace_says_is_counted() {
    let figures = played(
        EXACT,
        &[(a(0, 3 * MIB), 0), (a(1, 0), 1), (a(2, 5 * MIB), 2), (f(0), 3), (f(1), 4), (a(3, 1), 5)],
    );
    assert_eq!((figures.allocations, figures.frees, figures.zero_sized), (3, 1, 1));
    assert_eq!((figures.live_at_end, figures.failed), (2, 0));
    assert_eq!(figures.requested_peak_bytes, 8 * MIB);
    let natively = [3 * MIB, 5 * MIB, 1].map(costs::allocate).iter().sum::<u64>();
    assert_eq!(figures.native_driver_us, (natively + costs::free(3 * MIB)) as f64 / 1e3);
}

#[test]
fn a_driver_call_costs_what_the_table_says() {
    let figures = played(EXACT, &[(a(0, 4 * MIB), 0), (f(0), 1), (a(1, 4 * MIB), 2)]);
    assert_eq!((figures.hits, figures.misses, figures.driver_calls), (1, 1, 1));
    assert_eq!(figures.calls.get("cuMemAlloc"), Some(&1));
    assert_eq!(figures.driver_us, costs::allocate(4 * MIB) as f64 / 1e3);
    assert_eq!(figures.fences, 1);
    assert_eq!(figures.fence_us, (costs::RECORD + costs::CONTEXT_WAIT) as f64 / 1e3);
    assert_eq!(figures.reserved_peak_bytes, 4 * MIB);
    assert_eq!(figures.wait_us, 0.0);
}

#[test]
fn a_wait_lasts_until_the_device_is_done() {
    // Without room for idle memory the free gives the block back, and so waits for the work before.
    let conf = "backing:exact,order:fence,max_idle:0";
    let figures = played(conf, &[(a(0, 4 * MIB), 0), (f(0), 5)]);
    assert_eq!((figures.waits, figures.wait_us), (1, 10_000.0));
    assert_eq!(figures.calls.get("cuMemFree"), Some(&1));
    let calls = costs::allocate(4 * MIB) + costs::free(4 * MIB);
    assert_eq!(figures.driver_us, 10_000.0 + calls as f64 / 1e3);
}

#[test]
fn strict_waits_at_every_free() {
    let calls = [(a(0, MIB), 0), (a(1, MIB), 0), (f(0), 5), (f(1), 6)];
    let figures = played("backing:exact,order:strict", &calls);
    assert_eq!((figures.order, figures.fences), ("strict", 0));
    assert_eq!((figures.waits, figures.wait_us), (2, 20_000.0));
}

#[test]
fn without_lag_nothing_is_waited_for() {
    let (options, _) = Options::parse("order:strict", false);
    let settings = Settings { options, lag: Duration::ZERO, audit: true };
    let figures = play("test", &trace(&[(a(0, MIB), 0), (f(0), 5)]), &settings);
    assert_eq!((figures.waits, figures.wait_us), (0, 0.0));
}

#[test]
fn what_the_device_cannot_hold_fails_and_is_never_freed() {
    let too_much = 200 << 30;
    let figures = played(EXACT, &[(a(0, too_much), 0), (f(0), 1), (a(1, u64::MAX), 2), (f(1), 3)]);
    assert_eq!((figures.failed, figures.allocations, figures.frees), (2, 2, 0));
    // What fails takes no time for memory that it does not get.
    assert!(figures.native_driver_us < 1e3 && figures.driver_us < 1e3, "{figures:?}");
    assert_eq!(figures.requested_peak_bytes, 0);
    assert_eq!(figures.reserved_over_requested, 0.0);
}

#[test]
fn an_empty_trace_has_figures_too() {
    let figures = played("", &[]);
    assert_eq!((figures.allocations, figures.backing), (0, "none"));
    let json: serde_json::Value = serde_json::from_str(&figures.json()).expect("JSON");
    assert_eq!(json["driver_us"], 0.0);
}
