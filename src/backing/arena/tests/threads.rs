//! Threads that take, give, grow and trim at once, on a device that is nearly always full.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const THREADS: u64 = 4;
const ROUNDS: u64 = if cfg!(miri) { 40 } else { 3000 };

/// The same numbers in every run; what the threads make of one another is not.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % end
    }
}

struct Shared {
    model: Model,
    /// What all threads hold: ends by starts.
    held: Mutex<BTreeMap<u64, u64>>,
    placed: AtomicU64,
    passed: AtomicU64,
}

impl Shared {
    fn progress(&self) -> Progress {
        // Read in this order, since what is passed was placed.
        let quiesced = Stamp(self.passed.load(Ordering::SeqCst));
        Progress { ordered: Stamp(self.placed.load(Ordering::SeqCst)), quiesced }
    }

    fn take(&self, bytes: u64) -> Option<Block> {
        let backing = self.model.backing();
        let progress = self.progress();
        let block = backing.reuse(bytes, progress.ordered).or_else(|| {
            let grown = backing.grow(&self.model.driver, bytes, progress);
            grown.ok().map(|(block, _)| block)
        })?;
        assert!(block.stamp <= progress.ordered, "handed out before it was ordered");
        let end = block.ptr.0 + block.bytes;
        let mut held = self.held.lock();
        let below = held.range(..end).next_back();
        assert!(below.is_none_or(|(_, &below)| below <= block.ptr.0), "two blocks overlap");
        held.insert(block.ptr.0, end);
        Some(block)
    }

    fn give(&self, block: Block, aside: bool) {
        let there = self.model.driver.may_use(block.ptr, block.bytes);
        assert!(there, "a live block lost its memory");
        self.held.lock().remove(&block.ptr.0);
        if aside {
            self.model.backing().set_aside(block.token);
        }
        self.model.backing().give(block.token, Stamp(self.placed.load(Ordering::SeqCst) + 1));
    }

    fn work(&self, seed: u64, faults: bool) -> Vec<Block> {
        let mut random = Random(seed);
        let mut blocks = Vec::new();
        for _ in 0..ROUNDS {
            match random.below(24) {
                0 => {
                    self.placed.fetch_add(1, Ordering::SeqCst);
                }
                1 => {
                    let placed = self.placed.load(Ordering::SeqCst);
                    self.passed.fetch_max(placed, Ordering::SeqCst);
                }
                2 => {
                    let keep = random.below(2) * 64 * MIB;
                    let quiesced = self.progress().quiesced;
                    self.model.backing().trim(&self.model.driver, keep, quiesced);
                }
                3 if faults => {
                    let call = CALLS[random.below(CALLS.len() as u64) as usize];
                    self.model.driver.fail_next(call, DriverError::INVALID_VALUE);
                }
                4..12 if !blocks.is_empty() => {
                    let block = blocks.swap_remove(random.below(blocks.len() as u64) as usize);
                    self.give(block, random.below(4) == 0);
                }
                _ => {
                    let most = [4096, MIB, 12 * MIB, 120 * MIB][random.below(4) as usize];
                    blocks.extend(self.take(1 + random.below(most)));
                }
            }
        }
        blocks
    }
}

fn hammer(faults: bool) {
    let shared = Shared {
        model: Model::on(FakeDriver::new(CAPACITY).with_vmm().that_yields()),
        held: Mutex::default(),
        placed: AtomicU64::new(1),
        passed: AtomicU64::new(0),
    };
    let blocks = std::thread::scope(|scope| {
        let start = |n| {
            let shared = &shared;
            scope.spawn(move || shared.work(n, faults))
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut model = shared.model;
    model.driver.forget_faults();
    (model.placed, model.passed, model.faults) = (shared.placed.into_inner(), 0, faults);
    model.held = blocks.iter().map(|&block| (block, 0)).collect();
    for (block, bytes) in &mut model.held {
        *bytes = model.arena.books.lock().block_around(block.ptr).unwrap().1.requested;
    }
    model.check();
    assert_eq!(model.backing().leaving(), 0);
    while !model.held.is_empty() {
        model.give(0, false);
    }
    model.passed = model.placed + 1;
    let idle = model.backing().idle();
    let trimmed = model.backing().trim(&model.driver, 0, Stamp(model.passed));
    assert_eq!((trimmed.released, trimmed.pending, trimmed.kept), (idle, 0, Vec::new()));
    assert_eq!(model.driver.reserved(), 0, "what was refused is given back too");
    model.backing().end(&model.driver);
    assert_eq!(model.driver.reservations(), 0);
}

#[test]
fn at_once_keep_the_books() {
    hammer(false);
}

#[test]
fn with_a_driver_that_fails_keep_the_books() {
    hammer(true);
}

#[test]
fn two_plans_share_nothing() {
    let mut model = Model::new();
    let all = blocks(&mut model, &[64, 2, 64, 2, 32]);
    for n in [0, 2] {
        model.backing().give(all[n].token, Stamp::QUIESCED);
    }
    let mut books = model.arena.books.lock();
    let mut plans = Vec::new();
    for pages in [60, 60, 1] {
        plans.push(books.plan(&Policy::DEFAULT, pages, model.progress(), true).unwrap());
    }
    for (n, plan) in plans.iter().enumerate() {
        for other in &plans[..n] {
            let taken = [other.block.clone(), other.gap.clone()];
            let moved = other.moved.iter().map(|handle| handle.range());
            for range in taken.into_iter().chain(moved) {
                for own in [&plan.block, &plan.gap] {
                    assert!(range.end <= own.start || own.end <= range.start, "{plan:?} {other:?}");
                }
            }
            for handle in &plan.moved {
                assert!(other.moved.iter().all(|moved| moved.memory != handle.memory));
            }
        }
    }
}

#[test]
fn each_handle_has_one_turn_to_leave() {
    let mut model = Model::new();
    let all = blocks(&mut model, &[8, 4, 16, 2, 32]);
    for (block, stamp) in all.iter().zip([0, 0, 0, 0, 1]) {
        model.backing().give(block.token, Stamp(stamp));
    }
    let mut books = model.arena.books.lock();
    let (mut last, mut sizes) = (None, Vec::new());
    while let Some((turn, handle)) = books.send_away(last, Stamp::QUIESCED, Moment::LAST) {
        last = Some(turn);
        sizes.push(handle.pages);
        // As if the driver had refused it.
        books.stays(&handle);
    }
    assert_eq!(sizes, [4, 2, 8, 1], "in the order of their frees, and not what is still in use");
}
