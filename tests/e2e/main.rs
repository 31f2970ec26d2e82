//! Unmodified programs on the simulated driver, bare and with `libcupool.so` in front.
//!
//! Each module is one promise; each test one program or one property. A victim that behaves
//! alike in both cases has one line in a `same!` table.

mod capture;
mod comm;
mod command;
mod command_check;
mod command_live;
mod command_run;
mod command_top;
mod contexts;
mod driver_pools;
mod drivers;
mod entry;
mod errors;
mod examples;
mod files;
mod frameworks;
mod giving_back;
mod hazards;
mod host_exits;
mod host_languages;
mod host_neighbours;
mod host_processes;
mod host_signals;
mod host_threads;
mod inert;
mod ipc;
mod life;
mod mappings;
mod metrics;
mod options;
mod order;
mod package;
mod peers;
mod pitch;
mod plot;
mod pointers;
mod policies_giving_back;
mod policies_neighbours;
mod policies_programs;
mod signals;
mod signs;
mod slurm;
mod snapshot;
mod stats;
mod symbols;
mod tools;
mod traces;

use cupool_tests::{Victim, assert_same};

// The backing is the arena where none is named.

/// Every order in which a program that observes nothing but its memory must be right.
const ALL: &[&str] = &[
    "order:strict",
    "order:fence",
    "order:auto",
    "order:lazy",
    "order:auto,backing:exact",
    "order:lazy,backing:exact",
];
/// The orders that keep what `cudaFree` promises between streams.
const BETWEEN_STREAMS: &[&str] = &[
    "order:strict",
    "order:fence",
    "order:auto",
    "order:strict,backing:exact",
    "order:fence,backing:exact",
];
/// The orders in which nothing can be told from native `cudaFree`.
const AS_NATIVE: &[&str] = &["order:strict", "order:auto", "order:auto,backing:exact"];

/// Runs a victim bare, then pooled in each of these orders: nothing may differ, and the pool must
/// have served its allocations.
#[track_caller]
fn runs_alike(victim: &Victim, orders: &[&str]) {
    let bare = victim.bare();
    bare.succeeded();
    for order in orders {
        let pooled = victim.pooled(order);
        assert_same(&bare, &pooled);
        let served = pooled.stats().served();
        assert!(served > 0, "no allocation went through the pool\n{}", pooled.report());
    }
}

/// Declares tests that are `same` and nothing else: `name: victim, orders;`.
macro_rules! same {
    ($($name:ident: $victim:expr, $orders:expr;)+) => {
        $(
            #[test]
            fn $name() {
                crate::runs_alike(&$victim, $orders);
            }
        )+
    };
}
pub(crate) use same;
