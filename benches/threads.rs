//! Pairs from many threads at once, in nanoseconds a pair over all threads together.
//!
//! `cargo bench -p cupool --bench threads`. On a machine with fewer processors than threads the
//! figures tell how well threads wait, not how well they run side by side.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use cupool::driver::DevicePtr;
use cupool::pools::Pools;

mod driver;

use driver::{Prompt, pools_on};

const KIB: u64 = 1 << 10;
/// Each half of a fence on an H200 (driver 580).
const FENCE: Duration = Duration::from_nanos(200);
const ROUNDS: usize = 5;

fn main() {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    println!("{processors} processors; ns a pair, all threads together, least of {ROUNDS} rounds");
    println!("{:48}{:>8}{:>8}{:>8}{:>8}{:>8}", "", 1, 2, 4, 8, 16);
    for (driver, fence) in [("prompt", Duration::ZERO), ("0.2 us a call", FENCE)] {
        for order in ["unordered", "lazy", "fence"] {
            row(&format!("{order}, 64 KiB, driver {driver}"), fence, order, |_, _| 64 * KIB);
            row(
                &format!("{order}, 64 KiB to 4 MiB, driver {driver}"),
                fence,
                order,
                |thread, n| (64 * KIB) << ((thread * 3 + n * 5) % 7),
            );
            churn_row(&format!("{order}, mixed, 8 live each, driver {driver}"), fence, order);
        }
    }
    println!("{:48}{:8.0}", "one allocates, another frees, fence, prompt", {
        least(|| producer_and_consumer(&pools_on(Duration::ZERO, "fence")))
    });
}

fn row(name: &str, fence: Duration, order: &str, bytes: fn(usize, usize) -> u64) {
    of_threads(name, fence, order, |pools, threads| pairs(pools, threads, bytes));
}

fn churn_row(name: &str, fence: Duration, order: &str) {
    of_threads(name, fence, order, churn);
}

fn of_threads(
    name: &str,
    fence: Duration,
    order: &str,
    run: impl Fn(&Pools<Prompt>, usize) -> f64,
) {
    print!("{name:48}");
    for threads in [1, 2, 4, 8, 16] {
        let pools = pools_on(fence, order);
        print!("{:8.0}", least(|| run(&pools, threads)));
    }
    println!();
}

fn least(measure: impl Fn() -> f64) -> f64 {
    (0..ROUNDS).map(|_| measure()).fold(f64::INFINITY, f64::min)
}

/// Nanoseconds a pair. Each thread gets its number, and what to call between preparing and the pairs
/// that count, of which there are as many as it is told.
fn timed(threads: usize, work: impl Fn(usize, &dyn Fn(), usize) + Sync) -> f64 {
    let each = 200_000 / threads;
    let barrier = Barrier::new(threads + 1);
    let begun = thread::scope(|scope| {
        for thread in 0..threads {
            let (barrier, work) = (&barrier, &work);
            let ready = move || {
                barrier.wait();
            };
            scope.spawn(move || work(thread, &ready, each));
        }
        let begun = Instant::now();
        barrier.wait();
        begun
    });
    begun.elapsed().as_nanos() as f64 / (each * threads) as f64
}

fn pairs(pools: &Pools<Prompt>, threads: usize, bytes: fn(usize, usize) -> u64) -> f64 {
    timed(threads, |thread, ready, each| {
        let work = |n| {
            let ptr = pools.allocate(bytes(thread, n)).unwrap();
            pools.free(black_box(ptr)).unwrap();
        };
        (0..100).for_each(work);
        ready();
        (0..each).for_each(work);
    })
}

/// Each thread frees the block that it had eight calls ago and takes one of a size chosen at random.
fn churn(pools: &Pools<Prompt>, threads: usize) -> f64 {
    const SIZES: [u64; 8] = [64, 96, 256, 768, 1024, 1536, 3072, 4096];
    timed(threads, |thread, ready, each| {
        let mut held = [(); 8].map(|()| pools.allocate(64 * KIB).unwrap());
        let mut random = thread as u64 + 1;
        ready();
        for n in 0..each {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pools.free(held[n % 8]).unwrap();
            held[n % 8] = pools.allocate(SIZES[(random >> 61) as usize] * KIB).unwrap();
        }
        held.into_iter().for_each(|ptr| pools.free(ptr).unwrap());
    })
}

fn producer_and_consumer(pools: &Pools<Prompt>) -> f64 {
    let pairs = 200_000;
    let (send, receive) = sync_channel::<[DevicePtr; 4]>(64);
    let begun = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..pairs / 4 {
                send.send(std::array::from_fn(|_| pools.allocate(64 * KIB).unwrap())).unwrap();
            }
        });
        for block in receive.iter().flatten() {
            pools.free(block).unwrap();
        }
    });
    begun.elapsed().as_nanos() as f64 / f64::from(pairs)
}
