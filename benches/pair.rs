//! The pool's own part of a malloc and free pair: everything but the driver.
//!
//! `cargo bench -p cupool`. The driver here answers at once, so what is measured is what cupool adds
//! to the driver calls of its order. Times are of this machine's CPU; no GPU is involved.

use std::time::Duration;

use cupool::driver::DevicePtr;
use cupool::pools::Pools;
use divan::Bencher;

mod driver;

use driver::{Prompt, pools_on};

fn main() {
    divan::main();
}

fn pools(order: &str) -> Pools<Prompt> {
    pools_on(Duration::ZERO, order)
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn pair(bencher: Bencher, pools: &Pools<Prompt>, bytes: u64) {
    bencher.bench_local(|| pools.free(pools.allocate(bytes).unwrap()));
}

#[divan::bench(sample_size = 1000, args = ["unordered", "fence", "strict", "lazy"])]
fn by_order(bencher: Bencher, order: &str) {
    pair(bencher, &pools(order), MIB);
}

/// What it costs that the last events are remembered: two in each pair.
#[divan::bench(sample_size = 1000, args = ["none", "100", "100000"])]
fn by_history(bencher: Bencher, history: &str) {
    pair(bencher, &pools(&format!("fence,history:{history}")), MIB);
}

#[divan::bench(sample_size = 1000, args = [256, 64 * KIB, MIB, 64 * MIB, 8 << 30])]
fn by_size(bencher: Bencher, bytes: u64) {
    pair(bencher, &pools("fence"), bytes);
}

#[divan::bench(sample_size = 1000, args = [100, 10_000, 100_000])]
fn among_live_blocks(bencher: Bencher, blocks: u64) {
    let pools = pools("fence");
    for block in 0..blocks {
        pools.allocate(512 * (1 + block % 2048)).unwrap();
    }
    pair(bencher, &pools, 3 * MIB);
}

/// Every other block of a row is freed, so that no two holes join.
fn with_holes(holes: u64, bytes: u64) -> Pools<Prompt> {
    let pools = pools("fence");
    let row: Vec<DevicePtr> = (0..2 * holes).map(|_| pools.allocate(bytes).unwrap()).collect();
    for &ptr in row.iter().step_by(2) {
        pools.free(ptr).unwrap();
    }
    pools
}

#[divan::bench(sample_size = 1000, args = [64, 65_536])]
fn among_holes(bencher: Bencher, holes: u64) {
    pair(bencher, &with_holes(holes, 512 * KIB), 3 * MIB);
}

/// Eight sizes in turn, more than one of each at a time: what a program with a few buffers does.
#[divan::bench(sample_size = 1000, args = [64, 65_536])]
fn sizes_in_turn_among_holes(bencher: Bencher, holes: u64) {
    let pools = with_holes(holes, 512 * KIB);
    let mut held: Vec<DevicePtr> = (0..8).map(|n| pools.allocate((n + 1) * MIB).unwrap()).collect();
    let mut turn = 0;
    bencher.bench_local(|| {
        let (at, bytes) = (turn % 8, (turn as u64 * 5 % 8 + 1) * MIB);
        pools.free(held[at]).unwrap();
        held[at] = pools.allocate(bytes).unwrap();
        turn += 1;
    });
}

/// Every allocation of the holes' own size takes one of them out of the backing, and every free
/// puts one back there: more are free than the front holds.
#[divan::bench(sample_size = 1000, args = [64, 65_536])]
fn in_a_row(bencher: Bencher, holes: u64) {
    let pools = with_holes(holes, 512 * KIB);
    bencher.bench_local(|| {
        let row: [DevicePtr; 32] = std::array::from_fn(|_| pools.allocate(512 * KIB).unwrap());
        for ptr in row {
            pools.free(ptr).unwrap();
        }
    });
}
