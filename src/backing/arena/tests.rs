//! The arena against a naive model, and against drivers that fail.

use std::ops::Range;

use proptest::prelude::*;

use super::idle::{IN_PART, SHARED};
use super::space::State;
use super::*;
use crate::backing::{MOVING, REFUSED};
use crate::fake::FakeDriver;
use crate::stats::Kept;

mod faults;
mod pinned;
mod threads;

const MIB: u64 = 1 << 20;
const PAGE: u64 = 2 * MIB;
const CAPACITY: u64 = 400 * MIB;

/// Calls that a script can make fail.
const CALLS: [&str; 5] =
    ["create_memory", "map_memory", "allow_access", "unmap_memory", "release_memory"];

#[derive(Clone, Debug)]
enum Step {
    /// Reuse or grow.
    Take(u64),
    /// Give back the n-th live block, after setting it aside or not, behind the next fence or one so
    /// many before that: it may have been freed a while ago.
    Give(usize, bool, u64),
    /// The next fence is placed.
    Place,
    /// The device has passed every fence so far.
    Pass,
    Trim(u64),
    /// The n-th call of the list fails the next time.
    Fail(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![1..4096u64, 4096..MIB, MIB..40 * MIB, 40 * MIB..200 * MIB];
    let step = prop_oneof![
        8 => bytes.prop_map(Step::Take),
        6 => (any::<usize>(), any::<bool>(), 0..4u64)
            .prop_map(|(at, aside, ago)| Step::Give(at, aside, ago)),
        3 => Just(Step::Place),
        2 => Just(Step::Pass),
        1 => (0..100 * MIB).prop_map(Step::Trim),
        1 => (0..CALLS.len()).prop_map(Step::Fail),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 20 } else { 300 })
}

struct Model {
    driver: FakeDriver,
    arena: Arena,
    /// What the program holds, and what it asked for.
    held: Vec<(Block, u64)>,
    /// What it gave back and the device may still use, with the fence.
    freed: Vec<(Range<u64>, Stamp)>,
    placed: u64,
    passed: u64,
    /// Whether the driver was made to fail.
    faults: bool,
}

impl Model {
    fn new() -> Self {
        Self::on(FakeDriver::new(CAPACITY).with_vmm())
    }

    fn on(driver: FakeDriver) -> Self {
        let vmm = Vmm { granularity: PAGE, shareable: true, rdma: false };
        let arena = Arena::reserve(&driver, Device(0), vmm, CAPACITY).unwrap();
        let (held, freed) = (Vec::new(), Vec::new());
        Self { driver, arena, held, freed, placed: 1, passed: 0, faults: false }
    }

    fn backing(&self) -> &dyn Backing<FakeDriver> {
        &self.arena
    }

    fn progress(&self) -> Progress {
        Progress { ordered: Stamp(self.placed), quiesced: Stamp(self.passed) }
    }

    fn take(&mut self, bytes: u64) -> Result<Block, DriverError> {
        let block = match self.backing().reuse(bytes, Stamp(self.placed)) {
            Some(block) => block,
            None => self.backing().grow(&self.driver, bytes, self.progress())?.0,
        };
        assert!(block.stamp.0 <= self.placed, "handed out before it was ordered");
        assert!(block.bytes >= bytes);
        let alignment = if bytes > MIB { PAGE } else { 512 };
        assert_eq!(block.ptr.0 % alignment, 0, "{bytes} bytes at {:?}", block.ptr);
        assert!(self.driver.may_use(block.ptr, block.bytes), "handed out without memory");
        // Reused in place: only what nobody has any more is unmapped.
        let range = block.ptr.0..block.ptr.0 + block.bytes;
        for (freed, stamp) in &self.freed {
            let apart = freed.end <= range.start || range.end <= freed.start;
            assert!(apart || stamp.0 <= self.placed, "handed out before its fence");
        }
        self.freed.retain(|(freed, _)| freed.end <= range.start || range.end <= freed.start);
        self.held.push((block, bytes));
        Ok(block)
    }

    fn give(&mut self, at: usize, aside: bool) {
        self.give_late(at, aside, 0);
    }

    fn give_late(&mut self, at: usize, aside: bool, ago: u64) {
        let at = at % self.held.len();
        let (block, _) = self.held.swap_remove(at);
        let stamp = Stamp((self.placed + 1).saturating_sub(ago));
        if aside {
            self.backing().set_aside(block.token);
            assert!(self.backing().find(block.ptr).is_none(), "set aside is not the program's");
        }
        self.backing().give(block.token, stamp);
        self.freed.push((block.ptr.0..block.ptr.0 + block.bytes, stamp));
    }

    fn check(&self) {
        let mut ranges: Vec<_> =
            self.held.iter().map(|(b, _)| (b.ptr.0, b.ptr.0 + b.bytes)).collect();
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "two live blocks overlap: {pair:x?}");
        }
        for (block, bytes) in &self.held {
            assert!(self.driver.may_use(block.ptr, block.bytes), "a live block lost its memory");
            let inside = DevicePtr(block.ptr.0 + bytes - 1);
            assert_eq!(self.backing().find(inside), Some((block.ptr, *bytes)));
        }
        for (range, stamp) in &self.freed {
            let bytes = range.end - range.start;
            let there = self.driver.may_use(DevicePtr(range.start), bytes);
            assert!(stamp.0 <= self.passed || there, "unmapped while the device may use it");
        }
        let books = self.arena.books.lock();
        let counters = &books.counters;
        let allocated: u64 = self.held.iter().map(|(block, _)| block.bytes).sum();
        assert_eq!(counters.allocated_bytes.current, allocated);
        let requested: u64 = self.held.iter().map(|held| held.1).sum();
        assert_eq!(counters.requested_bytes.current, requested);
        assert_eq!(counters.reserved_bytes.current - allocated, books.idle());
        let mapped: u64 = books.handles.all().map(|handle| u64::from(handle.pages) * PAGE).sum();
        assert_eq!(counters.reserved_bytes.current, self.driver.reserved(), "none is lost");
        assert_eq!(mapped, self.driver.accessible(), "every handle is mapped once");
        let refused = &books.refused;
        assert!(self.faults || refused.is_empty());
        let strays = refused.iter().filter(|left| left.at.is_none()).count();
        assert_eq!(strays, self.driver.strays(), "what is mapped nowhere is to be released");
        let pages: u64 = refused.iter().map(|left| u64::from(left.pages)).sum();
        assert_eq!(books.reserved, books.handles.pages(), "nothing is under way");
        assert_eq!(counters.reserved_bytes.current, (books.reserved + pages) * PAGE);
        let there = books.handles.all().count() + refused.len();
        let counted = counters.num_device_alloc - counters.num_device_free;
        assert_eq!(counted, there as u64, "each handle that is there was made and not taken back");
        coalesced(books.space());
        coalesced(books.small().space());
    }
}

/// Every unit belongs to one span, and no two free spans or holes touch.
fn coalesced(space: &space::Space) {
    let mut end = 0;
    let mut last = None;
    for (at, span) in space.spans() {
        assert_eq!(at, end, "spans leave no gap");
        end = at + span.units;
        let mergeable = matches!(span.state, State::Free | State::Hole);
        assert!(!mergeable || last != Some(span.state), "two like spans touch at {at}");
        last = Some(span.state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 1000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_as_a_naive_allocator(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Take(bytes) => {
                    if let Err(error) = model.take(bytes) {
                        // Without a fault, only the device's size is a reason.
                        assert!(model.faults || error == DriverError::OUT_OF_MEMORY, "{error}");
                    }
                }
                Step::Give(at, aside, ago) if !model.held.is_empty() => {
                    model.give_late(at, aside, ago);
                }
                Step::Give(..) => {}
                Step::Place => model.placed += 1,
                Step::Pass => model.passed = model.placed,
                Step::Trim(keep) => {
                    let quiesced = Stamp(model.passed);
                    let before = model.driver.reserved();
                    let idle = model.backing().idle();
                    let trimmed = model.backing().trim(&model.driver, keep, quiesced);
                    assert_eq!(before - model.driver.reserved(), trimmed.released);
                    assert_eq!(idle - model.backing().idle(), trimmed.released);
                    let kept: u64 = trimmed.kept.iter().map(|kept| kept.bytes).sum();
                    let told = trimmed.released + trimmed.pending + kept;
                    assert!(told <= idle && idle - told <= keep, "every idle byte is told of");
                    let moving = trimmed.kept.iter().any(|kept| kept.why == MOVING);
                    assert!(!moving, "nobody else is at it");
                }
                Step::Fail(call) => {
                    model.faults = true;
                    model.driver.fail_next(CALLS[call], DriverError::INVALID_VALUE);
                }
            }
            model.check();
        }
        while !model.held.is_empty() {
            model.give(0, false);
        }
        model.placed += 1;
        model.passed = model.placed;
        model.driver.forget_faults();
        let trimmed = model.backing().trim(&model.driver, 0, Stamp(model.passed));
        if !model.faults {
            assert_eq!((trimmed.pending, model.driver.reserved()), (0, 0), "all of it can go");
        }
        let (live, counters) = model.backing().end(&model.driver);
        assert!(live.is_empty());
        assert_eq!(counters.reserved_bytes.current, 0);
        let left = (model.driver.reserved(), model.driver.reservations());
        assert_eq!(left, (0, 0), "what was refused once is given back in the end");
    }
}

#[test]
fn a_flush_says_why_anything_stays() {
    let mut model = Model::new();
    let small = [(); 2].map(|()| model.take(MIB).unwrap());
    let large = blocks(&mut model, &[8, 8, 8]);
    model.backing().give(small[0].token, Stamp::QUIESCED);
    model.backing().give(large[0].token, Stamp::QUIESCED);
    model.backing().give(large[1].token, Stamp(1));
    let trimmed = model.backing().trim(&model.driver, 0, Stamp::QUIESCED);
    assert_eq!((trimmed.released, trimmed.pending), (8 * MIB, 8 * MIB));
    assert_eq!(trimmed.kept, [Kept { bytes: MIB, why: SHARED }], "half a page");
}

#[test]
fn each_reason_is_told_with_its_bytes() {
    let mut model = Model::new();
    let large = model.take(64 * MIB).unwrap();
    let [first, second] = [(); 2].map(|()| model.take(512 * 1024).unwrap());
    model.backing().give(large.token, Stamp::QUIESCED);
    // In place: the handle of 64 MiB is in use in part now.
    assert_eq!(model.take(20 * MIB).unwrap().ptr, large.ptr);
    model.backing().pin(first.token);
    model.backing().give(first.token, Stamp::QUIESCED);
    assert!(model.driver.may_use(second.ptr, second.bytes));
    let in_use = model.take(8 * MIB).unwrap();
    model.backing().give(in_use.token, Stamp(1));
    let [rest, half] = [44 * MIB, MIB + 512 * 1024];
    let kept = vec![Kept { bytes: rest, why: IN_PART }, Kept { bytes: half, why: SHARED }];
    let trimmed = model.backing().trim(&model.driver, 0, Stamp::QUIESCED);
    assert_eq!(trimmed, Trimmed { released: 0, pending: 0, kept });
    assert_eq!(model.backing().idle(), rest + half);
}

/// One handle each for blocks of so many MiB.
fn blocks(model: &mut Model, sizes: &[u64]) -> Vec<Block> {
    sizes.iter().map(|mib| model.take(mib * MIB).unwrap()).collect()
}

#[test]
fn a_flush_waits_for_nobody_and_gives_back_what_is_done() {
    let mut model = Model::new();
    blocks(&mut model, &[8, 8, 8]);
    model.give(0, false);
    model.placed += 1;
    model.passed = model.placed;
    model.give(0, false);
    let trimmed = model.backing().trim(&model.driver, 0, Stamp(model.passed));
    assert_eq!((trimmed.released, trimmed.pending), (8 * MIB, 8 * MIB));
    model.placed += 1;
    model.passed = model.placed;
    let trimmed = model.backing().trim(&model.driver, 0, Stamp(model.passed));
    assert_eq!((trimmed.released, trimmed.pending), (8 * MIB, 0));
    model.check();
}

#[test]
fn memory_between_live_blocks_goes_too() {
    let mut model = Model::new();
    let all = blocks(&mut model, &[4; 64]);
    for (n, block) in all.iter().enumerate() {
        if n % 8 != 0 {
            model.backing().give(block.token, Stamp::QUIESCED);
        }
    }
    let trimmed = model.backing().trim(&model.driver, 0, Stamp::QUIESCED);
    assert_eq!(trimmed.released, 56 * 4 * MIB);
}

#[test]
fn a_huge_block_is_made_of_so_many_handles_at_most() {
    let driver = FakeDriver::new(1 << 40).with_vmm();
    let vmm = Vmm { granularity: PAGE, shareable: true, rdma: false };
    let arena = Arena::reserve(&driver, Device(0), vmm, 1 << 40).unwrap();
    let progress = Progress { ordered: Stamp(0), quiesced: Stamp(0) };
    let backing: &dyn Backing<FakeDriver> = &arena;
    backing.grow(&driver, 400 << 30, progress).unwrap();
    assert_eq!(driver.count("create_memory"), Policy::DEFAULT.pieces as usize);
    backing.grow(&driver, 256 << 20, progress).unwrap();
    assert_eq!(driver.count("create_memory"), Policy::DEFAULT.pieces as usize + 4, "64 MiB each");
}

#[test]
fn idle_handles_move_before_more_is_reserved() {
    let mut model = Model::new();
    let all = blocks(&mut model, &[64, 2, 64, 2, 64, 2]);
    for n in [0, 2, 4] {
        model.backing().give(all[n].token, Stamp::QUIESCED);
    }
    let reserved = model.driver.reserved();
    let block = model.backing().grow(&model.driver, 190 * MIB, model.progress()).unwrap().0;
    assert_eq!(model.driver.reserved(), reserved, "three times 64 MiB hold it");
    assert_eq!(model.arena.books.lock().counters.num_device_move, 2, "one grows in place");
    assert!(model.driver.may_use(block.ptr, block.bytes));
}

#[test]
fn what_the_device_may_still_use_does_not_move() {
    let mut model = Model::new();
    let all = blocks(&mut model, &[64, 2, 64, 2]);
    for n in [0, 2] {
        model.backing().give(all[n].token, Stamp(1));
    }
    let reserved = model.driver.reserved();
    model.backing().grow(&model.driver, 128 * MIB, model.progress()).unwrap();
    assert_eq!(model.driver.reserved(), reserved + 64 * MIB, "one grows in place");
    assert!(model.driver.may_use(all[0].ptr, 64 * MIB));
    assert!(model.driver.may_use(all[2].ptr, 64 * MIB));
}

#[test]
fn small_blocks_share_pages_that_go_when_they_are_free() {
    let mut model = Model::new();
    let all: Vec<_> = (0..4096).map(|_| model.take(512).unwrap()).collect();
    assert_eq!(model.driver.reserved(), PAGE);
    for block in all {
        model.backing().give(block.token, Stamp::QUIESCED);
    }
    assert_eq!(model.backing().trim(&model.driver, 0, Stamp::QUIESCED).released, PAGE);
}
