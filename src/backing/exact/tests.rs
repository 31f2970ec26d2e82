//! The backing against a naive model, and against drivers that fail.

use proptest::prelude::*;

use super::*;
use crate::fake::FakeDriver;

const MIB: u64 = 1 << 20;
const DONE: Progress = Progress { ordered: Stamp::QUIESCED, quiesced: Stamp::QUIESCED };

#[derive(Clone, Debug)]
enum Step {
    /// Reuse or grow.
    Take(u64),
    /// Give back the n-th live block, behind a fence that is still to come or not,
    /// after setting it aside or not.
    Give(usize, bool, bool),
    Trim(u64),
    Dispose(usize),
    FailNextAllocation,
    FailNextFree,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop_oneof![1..4096u64, 4096..MIB, MIB..40 * MIB].prop_map(Step::Take),
        5 => (any::<usize>(), any::<bool>(), any::<bool>()).prop_map(|(at, late, aside)| Step::Give(at, late, aside)),
        1 => (0..100 * MIB).prop_map(Step::Trim),
        1 => any::<usize>().prop_map(Step::Dispose),
        1 => Just(Step::FailNextAllocation),
        1 => Just(Step::FailNextFree),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 20 } else { 200 })
}

/// What the program holds: the block, and what it asked for.
type Held = Vec<(Block, u64)>;

fn no_overlap(held: &Held) {
    let mut ranges: Vec<_> = held.iter().map(|(b, _)| (b.ptr.0, b.ptr.0 + b.bytes)).collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two live blocks overlap: {pair:x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn behaves_as_a_naive_allocator(steps in steps()) {
        let driver = FakeDriver::new(400 * MIB);
        let exact = Exact::new();
        let backing: &dyn Backing<FakeDriver> = &exact;
        let in_place = Stamp(1);
        let mut held: Held = Vec::new();
        for step in steps {
            match step {
                Step::Take(bytes) => {
                    let block = match backing.reuse(bytes, in_place) {
                        Some(block) => {
                            prop_assert!(block.stamp <= in_place, "handed out before its fence");
                            let class = super::super::round_up(bytes).unwrap();
                            prop_assert!(block.bytes <= largest_fit(class), "slack is bounded");
                            Ok(block)
                        }
                        None => backing.grow(&driver, bytes, DONE).map(|(block, _)| block),
                    };
                    if let Ok(block) = block {
                        prop_assert!(block.bytes >= bytes);
                        prop_assert_eq!(block.ptr.0 % 512, 0);
                        prop_assert_eq!(backing.find(DevicePtr(block.ptr.0 + bytes - 1)),
                                        Some((block.ptr, bytes)));
                        held.push((block, bytes));
                    }
                }
                Step::Give(at, late, aside) if !held.is_empty() => {
                    let (block, _) = held.swap_remove(at % held.len());
                    let stamp = if late { Stamp(2) } else { in_place };
                    if aside {
                        backing.set_aside(block.token);
                        prop_assert_eq!(backing.aside(), block.bytes);
                    }
                    backing.give(block.token, stamp);
                    prop_assert_eq!(backing.find(block.ptr), None);
                    prop_assert!(backing.owns(block.ptr));
                }
                Step::Trim(keep) => {
                    let before = backing.idle();
                    let trimmed = backing.trim(&driver, keep, Stamp::QUIESCED);
                    let refused: u64 = trimmed.kept.iter().map(|kept| kept.bytes).sum();
                    prop_assert!(backing.returnable() <= keep);
                    prop_assert_eq!(backing.idle(), backing.returnable() + refused);
                    prop_assert_eq!(before - backing.idle(), trimmed.released);
                }
                Step::Dispose(at) if !held.is_empty() => {
                    let at = at % held.len();
                    if backing.dispose(held[at].0.token, &mut |ptr| driver.free(ptr)).is_ok() {
                        held.swap_remove(at);
                    }
                }
                Step::FailNextAllocation => driver.fail_next("allocate", DriverError::OUT_OF_MEMORY),
                Step::FailNextFree => driver.fail_next("free", DriverError::INVALID_CONTEXT),
                Step::Give(..) | Step::Dispose(_) => {}
            }
            no_overlap(&held);
            let live: u64 = held.iter().map(|(block, _)| block.bytes).sum();
            prop_assert_eq!(live + backing.idle(), driver.reserved());
            let mut counters = Counters::default();
            backing.count(&mut |current| counters = current.clone());
            prop_assert_eq!(counters.allocated_bytes.current, live);
            prop_assert_eq!(counters.allocation.current, held.len() as u64);
            prop_assert_eq!(counters.reserved_bytes.current, driver.reserved());
            prop_assert_eq!(counters.segment.current, driver.count_live() as u64);
        }
    }
}

#[test]
fn the_best_fit_is_taken_and_the_slack_bounded() {
    let driver = FakeDriver::new(1024 * MIB);
    let exact = Exact::new();
    let backing: &dyn Backing<FakeDriver> = &exact;
    let blocks = [64, 66, 80].map(|mib| backing.grow(&driver, mib * MIB, DONE).unwrap().0);
    for block in blocks {
        backing.give(block.token, Stamp::QUIESCED);
    }
    let take = |mib: u64| backing.reuse(mib * MIB, Stamp::QUIESCED).map(|block| block.ptr);
    assert_eq!(take(65), Some(blocks[1].ptr), "the smallest that holds it");
    assert_eq!(take(65), None, "80 MiB are more than an eighth too many");
    assert_eq!(take(72), Some(blocks[2].ptr));
    assert_eq!(take(64), Some(blocks[0].ptr));
}

#[test]
fn of_equal_blocks_the_most_recently_freed_is_reused_and_the_oldest_given_back() {
    let driver = FakeDriver::new(1024 * MIB);
    let exact = Exact::new();
    let backing: &dyn Backing<FakeDriver> = &exact;
    let blocks = [(); 3].map(|()| backing.grow(&driver, MIB, DONE).unwrap().0);
    for block in blocks {
        backing.give(block.token, Stamp::QUIESCED);
    }
    backing.trim(&driver, 2 * MIB, Stamp::QUIESCED);
    assert!(!backing.owns(blocks[0].ptr));
    let reused = backing.reuse(MIB, Stamp::QUIESCED).unwrap();
    assert_eq!(reused.ptr, blocks[2].ptr);
}

/// From the moment the driver has a block back it may hand the address out again, past the pool: a
/// free of that is no second free of the block.
#[test]
fn what_leaves_is_the_drivers() {
    let driver = FakeDriver::new(400 * MIB);
    let exact = Exact::new();
    let backing: &dyn Backing<FakeDriver> = &exact;
    let (block, _) = backing.grow(&driver, MIB, DONE).unwrap();
    assert!(backing.owns(block.ptr));
    let mut asked = false;
    let free = &mut |ptr| {
        asked = true;
        assert!(!backing.owns(ptr));
        Ok(())
    };
    assert_eq!(backing.dispose(block.token, free), Ok(MIB));
    assert!(asked && !backing.owns(block.ptr));
}
