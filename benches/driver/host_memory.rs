//! A test on the benchmarks' driver: what is served from idle memory takes no host memory.

#[path = "mod.rs"]
mod driver;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use cupool::pools::Pools;
use driver::{Prompt, pools_on};

/// The system's allocator, which counts what each thread asks of it.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ASKED.with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: all of it is the system's; the count is a plain word of the thread, without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// From the smallest block to a large one; the last two have pages of their own.
const SIZES: [u64; 7] = [1, 512, 4096, 100 << 10, 1 << 20, 3 << 20, 64 << 20];

fn pair(pools: &Pools<Prompt>, bytes: u64) {
    let ptr = pools.allocate(bytes).expect("there is room");
    pools.free(ptr).expect("ours");
}

/// Several small blocks at a time, freed in another order.
fn several(pools: &Pools<Prompt>) {
    let blocks = [4096, 512, 100 << 10, 4096].map(|bytes| pools.allocate(bytes).expect("room"));
    for at in [2, 0, 3, 1] {
        pools.free(blocks[at]).expect("ours");
    }
}

fn asked_by(work: impl FnOnce()) -> u64 {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

fn every_pools(mut test: impl FnMut(&str, &Pools<Prompt>)) {
    for order in ["strict", "fence", "auto", "lazy"] {
        for backing in ["arena", "exact"] {
            let conf = format!("{order},backing:{backing}");
            test(&conf, &pools_on(Duration::ZERO, &conf));
        }
    }
}

#[test]
fn counts() {
    assert!(asked_by(|| drop(std::hint::black_box(Box::new(1)))) >= 2);
}

#[test]
fn hits_take_no_host_memory() {
    every_pools(|conf, pools| {
        for bytes in SIZES {
            // The first is a miss; in lazy order a few blocks more are asked for in the first rounds.
            (0..100).for_each(|_| pair(pools, bytes));
            let asked = asked_by(|| (0..1000).for_each(|_| pair(pools, bytes)));
            assert_eq!(asked, 0, "{conf}: {bytes} bytes");
        }
        (0..100).for_each(|_| several(pools));
        assert_eq!(asked_by(|| (0..1000).for_each(|_| several(pools))), 0, "{conf}");
        let counters = &pools.snapshot().pools[0].counters;
        assert!(counters.hits >= 11_000, "{conf}: these were hits");
    });
}
