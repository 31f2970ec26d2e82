//! Processes on the same GPU make room for each other.

use std::path::Path;
use std::time::{Duration, Instant};

use cupool_tests::{Running, Victim};
use tempfile::TempDir;

use crate::command::wait_for_page;

/// A device of 1 GiB that two processes share, and the directory in which they find each other.
struct Shared(TempDir);

impl Shared {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn start(&self, options: &str) -> Running {
        self.start_victim(Victim::new("policy_steps"), options)
    }

    fn start_victim(&self, victim: Victim, options: &str) -> Running {
        let at = |name: &str| Path::new(self.0.path()).join(name);
        let victim = victim
            .env("SIMCUDA_MEMORY", (1 << 30).to_string())
            .env("SIMCUDA_SHARED", at("device"))
            .env("XDG_RUNTIME_DIR", self.0.path())
            // Those of other tests are not asked.
            .env("CUPOOL_PAGES", at("cupool"));
        let mut running = victim.start_pooled(options);
        running.wait_for("ready");
        wait_for_page(&at("cupool"), &running);
        running
    }
}

fn has_idle(running: &mut Running, mib: u32) {
    running.say(&format!("alloc {mib}")).wait_for(&format!("alloc {mib}: 0"));
    running.say("free").wait_for("free: 0");
}

const KEEPS: &str = "decay:off,max_idle:none";

#[test]
fn a_neighbour_gives_back_what_it_holds_idle() {
    for options in ["backing:arena", "backing:exact", "backing:arena,order:lazy"] {
        let shared = Shared::new();
        let options = format!("{KEEPS},ask_neighbours:on,{options}");
        let mut idle = shared.start(&options);
        has_idle(&mut idle, 700);
        let mut needy = shared.start(&options);
        needy.say("alloc 700").wait_for("alloc 700: 0");
        let stats = idle.wait_for_stats(|stats| stats.at("/reason") == "request");
        assert_eq!(stats.at("/flushes/0/reason"), "neighbour", "{:#}", stats.0);
        // What is in use stays in use.
        idle.say("alloc 700").wait_for("alloc 700: 2");
        needy.finish().succeeded();
        idle.say("alloc 700").wait_for("alloc 700: 0");
        idle.finish().succeeded();
    }
}

/// What PyTorch and CuPy keep is idle, too: 768 MiB of the device's 1024.
#[test]
fn the_caches_of_frameworks_make_room() {
    let shared = Shared::new();
    // That one comes too soon, or is for too little, is said to who asks, and not to a neighbour.
    let options = format!("{KEEPS},flush_interval:1h,flush_threshold:64M");
    let mut python = shared.start_victim(framework_caches("refills"), &options);
    python.signal(libc::SIGUSR1);
    python.wait_for_stats(|stats| stats.at("/devices/0/reserved_bytes/current") == 0);
    python.say("x").wait_for("again");
    let mut needy = shared.start(&format!("{KEEPS},ask_neighbours:on"));
    needy.say("alloc 700").wait_for("alloc 700: 0");
    let stats = python.wait_for_stats(|stats| stats.at("/reason") == "request");
    let released = |cause: &str| stats.number(&format!("/devices/0/released_bytes/{cause}"));
    assert_eq!((released("asked"), released("neighbour")), (768 << 20, 768 << 20));
    let emptied = "0 blocks left, emptied 2 times \n";
    python.say("x");
    python.finish().printed(&format!("ready\nagain\n{}", emptied.repeat(3)));
    let output = needy.finish();
    let gave = output.succeeded().stats().number("/devices/0/neighbours_released_bytes");
    assert_eq!(gave, 768 << 20);
}

/// 768 MiB in caches, 128 MiB idle, 128 MiB free, and nobody gives Python's lock away for a second.
#[test]
fn an_interpreter_that_keeps_its_lock_keeps_its_caches_and_no_more() {
    let shared = Shared::new();
    let mut needy = shared.start(&format!("{KEEPS},ask_neighbours:on"));
    let python = shared.start_victim(framework_caches("idle_and_locked"), KEEPS);
    needy.say("alloc 200").wait_for("alloc 200: 0");
    needy.finish().succeeded();
    python.finish().succeeded();
}

fn framework_caches(mode: &str) -> Victim {
    Victim::new("framework_caches.py").arg(mode)
}

#[test]
fn without_being_asked_it_does_not() {
    let shared = Shared::new();
    let mut idle = shared.start(KEEPS);
    has_idle(&mut idle, 700);
    let mut needy = shared.start(&format!("{KEEPS},ask_neighbours:off"));
    needy.say("alloc 700").wait_for("alloc 700: 2");
    needy.finish().succeeded();
    idle.finish().succeeded();
}

#[test]
fn two_that_ask_each_other_do_not_wait_for_each_other() {
    let shared = Shared::new();
    let options = format!("{KEEPS},ask_neighbours:on");
    let (mut one, mut other) = (shared.start(&options), shared.start(&options));
    for running in [&mut one, &mut other] {
        running.say("alloc 400").wait_for("alloc 400: 0");
        has_idle(running, 100);
    }
    let started = Instant::now();
    const ROUNDS: u32 = 10;
    for _ in 0..ROUNDS {
        // Neither can have that, and both look for it at the same time.
        one.say("alloc 700");
        other.say("alloc 700");
        one.wait_for("alloc 700: 2");
        other.wait_for("alloc 700: 2");
    }
    let took = started.elapsed() / ROUNDS;
    assert!(took < Duration::from_millis(150), "{took:?} each: they wait for each other");
    // One of them can have this: what both hold idle is enough.
    one.say("alloc 200").wait_for("alloc 200: 0");
    one.finish().succeeded();
    other.finish().succeeded();
}

#[test]
fn one_that_does_not_answer_is_not_waited_for_long() {
    let shared = Shared::new();
    let options = format!("{KEEPS},ask_neighbours:on");
    let mut stopped = shared.start(&options);
    has_idle(&mut stopped, 700);
    stopped.signal(libc::SIGSTOP);
    let mut needy = shared.start(&options);
    let started = Instant::now();
    needy.say("alloc 700").wait_for("alloc 700: 2");
    let took = started.elapsed();
    assert!((200..2000).contains(&took.as_millis()), "{took:?}");
    stopped.signal(libc::SIGCONT);
    needy.finish().succeeded();
    stopped.finish().succeeded();
}

#[test]
fn one_that_was_killed_is_not_waited_for() {
    let shared = Shared::new();
    let options = format!("{KEEPS},ask_neighbours:on");
    let mut killed = shared.start(&options);
    has_idle(&mut killed, 700);
    killed.signal(libc::SIGKILL);
    drop(killed.finish());
    let mut needy = shared.start(&options);
    needy.say("alloc 600").wait_for("alloc 600: 0");
    let started = Instant::now();
    needy.say("alloc 600").wait_for("alloc 600: 2");
    assert!(started.elapsed() < Duration::from_millis(150), "{:?}", started.elapsed());
    needy.finish().succeeded();
}
