//! What a program hears about its pointers is what it would hear natively.

use cupool_tests::{Output, Victim, assert_same};

use crate::same;

same! {
    // Whatever the order and the backing: questions do not depend on them.
    attributes: Victim::new("pointers"),
        &["backing:exact", "backing:arena", "order:strict,backing:arena", "order:lazy"];
    nothing_shared: Victim::new("share"), &["backing:exact", "backing:arena"];
    allocation_handles: Victim::new("share").arg("handle"), &["backing:exact", "backing:arena"];
    shared_by_handle: Victim::new("share").arg("ipc"), &["backing:exact", "backing:arena"];
    synchronous_where_blocks_are_native: Victim::new("share").arg("sync"), &["backing:exact"];
    exported_as_dma_buf: Victim::new("share").arg("dmabuf"), &["backing:exact", "backing:arena"];
}

/// The table as the driver gives it for what `cuMemAlloc` made.
#[test]
fn the_native_table() {
    let bare = Victim::new("pointers").bare();
    for line in [
        "1 of 1000, one by one, context its own, memory type 0x2, device pointer the address, \
         host pointer = 1, buffer id the block's, managed 0, device 0, range start the start, \
         range size 0x3e8, mapped 0x1",
        "1 of 1000, range = 0, the start, 1000 bytes, handle = 1",
        "freed 1000, together = 0, context 0, memory type 0, device pointer 0, host pointer the start, \
         buffer id 0, managed 0, device 0xfffffffe, range start 0, range size 0, mapped 0",
        "then 1000: id new",
    ] {
        assert!(bare.stdout.lines().any(|found| found == line), "no `{line}`\n{}", bare.report());
    }
}

fn share(way: &str, options: &str) -> Output {
    let pooled = Victim::new("share").arg(way).pooled(&format!("max_idle:none,{options}"));
    pooled.succeeded();
    pooled
}

/// Memory that somebody else can reach is nobody else's, not even after its free.
#[test]
fn shared_blocks_are_not_recycled() {
    for way in ["ipc", "sync", "dmabuf"] {
        let pooled = share(way, "backing:exact");
        // The shared block, then one that serves all rounds and is shared in the end; the same in the
        // other context.
        assert_eq!(pooled.stats().sum("/num_device_free"), 3, "{way}\n{}", pooled.report());
        assert_eq!(pooled.stats().sum("/misses"), 3, "{way}\n{}", pooled.report());
    }
    for way in ["ipc", "dmabuf"] {
        let pooled = share(way, "backing:arena");
        assert_eq!(pooled.stats().sum("/misses"), 3, "{way}\n{}", pooled.report());
    }
    for backing in ["backing:exact", "backing:arena"] {
        let pooled = share("handle", backing);
        assert_eq!(pooled.stats().sum("/misses"), 2, "{}", pooled.report());
    }
}

/// What memory of the arena cannot do fails as the driver says, and is said once, with the cure.
/// What is allocated afterwards is as the program wants it, unless somebody insists on the arena.
#[test]
fn the_arena_says_what_it_cannot_do() {
    let first = "sync: 801\ninside: 801\nfreed: 1\nround 0: 0\n";
    for (options, then, advice) in [
        ("backing:auto", 0, "what is allocated from now on can"),
        ("backing:arena", 801, "CUPOOL_CONF=backing:exact can"),
    ] {
        let pooled = share("sync", options);
        assert!(pooled.stdout.starts_with(first), "{}", pooled.report());
        let last = format!("later: {then}\nin another context: {then}\n");
        assert!(pooled.stdout.ends_with(&last), "{}", pooled.report());
        let call = "cuPointerSetAttribute(SYNC_MEMOPS)";
        let told: Vec<&str> = pooled.stderr.lines().filter(|line| line.contains(call)).collect();
        assert_eq!(told.len(), 1, "{}", pooled.report());
        assert!(told[0].contains(advice), "{}", pooled.report());
    }
}

/// One context has two pools then, and leaves nothing of either.
#[test]
fn what_the_arena_has_handed_out_is_taken_back_as_ever() {
    let left = Victim::new("share").arg("sync").env("SIMCUDA_LEFT", "left").pooled("backing:auto");
    let stats = left.succeeded().stats();
    assert_eq!(stats.sum("/allocation/current"), 0, "{:#}", stats.0);
    let left = std::fs::read_to_string(left.directory.path().join("left"));
    assert_eq!(left.expect("written"), "mappings 0\nmemory 0\nreservations 0\n");
}

/// `auto` is the arena, unless something speaks for native allocations; the stats file says what.
#[test]
fn the_choice_of_a_backing() {
    let victim = || Victim::new("driver");
    let two = || victim().env("SIMCUDA_DEVICES", "2");
    for (victim, options, backing, reason) in [
        (victim(), "backing:auto", "arena", "nothing needs"),
        (victim(), "backing:arena", "arena", "as configured"),
        (victim(), "backing:exact", "exact", "as configured"),
        (victim().env("SIMCUDA_NO_VMM", "1"), "backing:arena", "exact", "no virtual memory"),
        (victim().env("PMI_SIZE", "4"), "backing:auto", "exact", "PMI_SIZE=4"),
        (victim().env("PMI_SIZE", "4"), "backing:arena", "arena", "as configured"),
        (victim().env("PMI_SIZE", "1"), "backing:auto", "arena", "nothing needs"),
        (victim().preload("libmpi.so.40"), "backing:auto", "exact", "libmpi.so.40 is loaded"),
        (victim().preload("libmpi.so.40"), "backing:arena", "arena", "as configured"),
        (two(), "backing:auto", "arena", "nothing needs"),
        (two().env("SIMCUDA_PEERS", "1"), "backing:auto", "exact", "access to each other"),
        (victim().env("SIMCUDA_PEERS", "1"), "backing:auto", "arena", "nothing needs"),
    ] {
        let pooled = victim.pooled(options);
        let stats = pooled.succeeded().stats();
        assert_eq!(stats.at("/devices/0/backing"), backing, "{options}\n{}", pooled.report());
        let told = stats.at("/devices/0/backing_reason").to_string();
        assert!(told.contains(reason), "{told} does not say `{reason}`");
    }
}

/// A device without virtual memory management serves as before.
#[test]
fn without_virtual_memory_management() {
    let victim = Victim::new("pointers").env("SIMCUDA_NO_VMM", "1");
    assert_same(&victim.bare(), &victim.pooled("backing:auto"));
}
