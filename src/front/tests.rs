//! The front against a naive one, and its promises one by one.

use std::cell::Cell;
use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::stats::Counters;

const MIB: u64 = 1 << 20;

#[derive(Clone, Debug)]
enum Step {
    /// Thread, size and horizon.
    Take(u32, u64, u64),
    /// Thread, which of those held, and stamp.
    Put(u32, usize, u64),
    Forget(u32, usize),
    Drain,
    /// Thread, and after how many blocks it is enough.
    DrainUntil(u32, usize),
    Strike(usize),
    ResetPeaks,
}

fn steps(threads: u32) -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![1..4096_u64, 4096..MIB, MIB..20 * MIB];
    let step = prop_oneof![
        8 => (0..threads, size, 0..4_u64).prop_map(|(thread, size, horizon)| Step::Take(thread, size, horizon)),
        8 => (0..threads, any::<usize>(), 0..4_u64).prop_map(|(thread, at, stamp)| Step::Put(thread, at, stamp)),
        1 => (0..threads, any::<usize>()).prop_map(|(thread, at)| Step::Forget(thread, at)),
        1 => Just(Step::Drain),
        1 => (0..threads, 0..6_usize).prop_map(|(thread, wanted)| Step::DrainUntil(thread, wanted)),
        1 => any::<usize>().prop_map(Step::Strike),
        1 => Just(Step::ResetPeaks),
    ];
    proptest::collection::vec(step, 1..if cfg!(miri) { 20 } else { 300 })
}

/// What a front should know, and the backing behind it, which never has anything idle.
#[derive(Default)]
struct Naive {
    next: u32,
    /// What the program holds: block and request.
    held: Vec<(Block, u64)>,
    /// What is idle in the front, by token, with its class and its stamp.
    idle: HashMap<u32, (Block, u64)>,
    peak: u64,
    /// The most by which threads may have told of more than there is.
    slack: u64,
}

impl Naive {
    fn allocated(&self) -> u64 {
        self.held.iter().map(|(block, _)| block.bytes).sum()
    }
}

fn class(bytes: u64) -> u64 {
    crate::backing::round_up(bytes).unwrap()
}

/// Plays `steps` on a front and on the naive one.
fn agrees(steps: Vec<Step>, threads: u32) -> Result<(), TestCaseError> {
    let front = Front::default();
    let mut naive = Naive::default();
    for step in steps {
        match step {
            Step::Take(thread, bytes, horizon) => {
                let shard = ShardId::of_thread(thread);
                let block = match front.take(shard, class(bytes), bytes, Stamp(horizon)) {
                    Some(block) => {
                        let known = naive.idle.remove(&block.token.0);
                        let (idle, of_class) = known.expect("it was idle, and here");
                        prop_assert_eq!(block, idle);
                        prop_assert_eq!(of_class, class(bytes));
                        prop_assert!(block.stamp.0 <= horizon, "handed out before its fence");
                        block
                    }
                    None => {
                        naive.next += 1;
                        let block = Block {
                            ptr: DevicePtr(u64::from(naive.next) << 32),
                            bytes: class(bytes),
                            token: Token(naive.next),
                            stamp: Stamp::QUIESCED,
                        };
                        front.enter(shard, &block, class(bytes), bytes);
                        block
                    }
                };
                prop_assert_eq!(front.requested(block.token), bytes);
                naive.held.push((block, bytes));
                naive.peak = naive.peak.max(naive.allocated());
            }
            Step::Put(thread, at, stamp) if !naive.held.is_empty() => {
                let (mut block, bytes) = naive.held.swap_remove(at % naive.held.len());
                block.stamp = Stamp(stamp);
                let mut out = None;
                let give = |token, stamp| out = Some((token, stamp));
                let put = front.put(ShardId::of_thread(thread), block.token, block.stamp, give);
                if put != Put::Refused {
                    naive.idle.insert(block.token.0, (block, class(bytes)));
                }
                if let Some((token, stamp)) = out {
                    let (idle, _) = naive.idle.remove(&token.0).expect("it was here");
                    prop_assert_eq!(idle.stamp, stamp);
                }
                naive.slack = naive.slack.max(SLACK_BYTES + block.bytes);
            }
            Step::Forget(thread, at) if !naive.held.is_empty() => {
                let (block, _) = naive.held.swap_remove(at % naive.held.len());
                front.forget(ShardId::of_thread(thread), block.token);
                naive.slack = naive.slack.max(SLACK_BYTES + block.bytes);
            }
            Step::Drain => {
                front.drain(|token, stamp| {
                    let (idle, _) = naive.idle.remove(&token.0).expect("it was here");
                    assert_eq!(idle.stamp, stamp);
                });
                prop_assert!(naive.idle.is_empty(), "all of it has left");
            }
            Step::DrainUntil(thread, wanted) => {
                let left = Cell::new(wanted);
                let leave = |token: Token, _| {
                    naive.idle.remove(&token.0).expect("it was here");
                    left.set(left.get().saturating_sub(1));
                };
                let shard = ShardId::of_thread(thread);
                let found = front.drain_until(shard, leave, || (left.get() == 0).then_some(()));
                prop_assert!(found.is_some() || naive.idle.is_empty(), "it stopped too early");
            }
            Step::Strike(at) => {
                let held = naive.held.iter().map(|(block, _)| *block);
                let all: Vec<_> = held.chain(naive.idle.values().map(|(idle, _)| *idle)).collect();
                if let Some(block) = all.get(at % all.len().max(1)) {
                    front.strike(&[block.ptr], none);
                    naive.idle.remove(&block.token.0);
                    naive.held.retain(|(held, _)| held.token != block.token);
                    naive.slack = naive.slack.max(SLACK_BYTES + block.bytes);
                }
            }
            Step::ResetPeaks => {
                front.reset_peaks();
                naive.peak = naive.allocated();
            }
            Step::Put(..) | Step::Forget(..) => {}
        }
        let mut counters = Counters::default();
        counters.reserved_bytes.peak = u64::MAX;
        front.count(&mut counters);
        let idle: u64 = naive.idle.values().map(|(idle, _)| idle.bytes).sum();
        prop_assert_eq!(front.idle(), idle);
        prop_assert!(front.idle_bound() >= idle);
        prop_assert_eq!(counters.allocated_bytes.current, naive.allocated());
        let requested: u64 = naive.held.iter().map(|&(_, bytes)| bytes).sum();
        prop_assert_eq!(counters.requested_bytes.current, requested);
        prop_assert_eq!(counters.allocation.current, naive.held.len() as u64);
        let gauge = counters.allocated_bytes;
        prop_assert_eq!(gauge.allocated - gauge.freed, gauge.current);
        prop_assert!(gauge.peak >= naive.peak);
        prop_assert!(gauge.peak - naive.peak <= naive.slack * u64::from(threads - 1));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 256 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Peaks are exact here.
    #[test]
    fn behaves_as_a_naive_one(steps in steps(1)) {
        agrees(steps, 1)?;
    }

    #[test]
    fn behaves_as_a_naive_one_with_threads(steps in steps(3)) {
        agrees(steps, 3)?;
    }
}

/// A block that the backing handed to `thread`.
fn entered(front: &Front, thread: u32, token: u32) -> Token {
    let ptr = DevicePtr(u64::from(token + 1) << 32);
    let block = Block { ptr, bytes: MIB, token: Token(token), stamp: Stamp::QUIESCED };
    front.enter(ShardId::of_thread(thread), &block, MIB, MIB);
    block.token
}

fn none(token: Token, _: Stamp) {
    panic!("{token:?} is pushed out");
}

#[test]
fn a_large_block_stays_only_if_it_was_the_last_to_be_allocated() {
    let front = Front::default();
    let shard = ShardId::of_thread(0);
    let class = 8 * MIB;
    let large = |token: u32| {
        let ptr = DevicePtr(u64::from(token + 1) << 32);
        let block = Block { ptr, bytes: class, token: Token(token), stamp: Stamp::QUIESCED };
        front.enter(shard, &block, class, class);
        block.token
    };
    let (first, second) = (large(0), large(1));
    assert_eq!(front.put(shard, first, Stamp::QUIESCED, none), Put::Refused);
    assert_eq!(front.put(shard, second, Stamp::QUIESCED, none), Put::Refused, "not by then");
    let second = large(1);
    assert_ne!(front.put(shard, second, Stamp::QUIESCED, none), Put::Refused);
    for _ in 0..3 {
        let block =
            front.take(shard, class, class, Stamp::QUIESCED).expect("it was freed just now");
        assert_ne!(front.put(shard, block.token, Stamp::QUIESCED, none), Put::Refused);
    }
    let third = large(2);
    let mut out = None;
    assert_ne!(
        front.put(shard, third, Stamp::QUIESCED, |token, _| out = Some(token)),
        Put::Refused
    );
    assert_eq!(out, Some(second), "there is place for one");
}

#[test]
fn in_a_crowd_large_blocks_stay_too() {
    let front = Front::default();
    for thread in 1..CROWD as u32 {
        entered(&front, thread, 100 + thread);
    }
    let shard = ShardId::of_thread(0);
    let enter = |token: u32, class: u64| {
        let ptr = DevicePtr(u64::from(token + 1) << 32);
        let block = Block { ptr, bytes: class, token: Token(token), stamp: Stamp::QUIESCED };
        front.enter(shard, &block, class, class);
        block.token
    };
    let sizes = [4 * MIB, 64 * MIB, 2 * MIB];
    let tokens = [0, 1, 2].map(|n| enter(n, sizes[n as usize]));
    for token in tokens {
        assert_ne!(front.put(shard, token, Stamp::QUIESCED, none), Put::Refused);
    }
    for (size, token) in sizes.into_iter().zip(tokens) {
        let found = front.take(shard, size, size, Stamp::QUIESCED).map(|block| block.token);
        assert_eq!(found, Some(token));
    }
    let (first, _) = (enter(10, 66 * MIB), enter(11, 66 * MIB));
    assert_eq!(front.put(shard, first, Stamp::QUIESCED, none), Put::Refused, "too large for that");
}

#[test]
fn of_one_size_the_last_freed_comes_first_and_the_oldest_leaves() {
    let front = Front::default();
    let shard = ShardId::default();
    let mut out = Vec::new();
    let tokens: Vec<Token> = (0..10).map(|token| entered(&front, 0, token)).collect();
    for &token in &tokens {
        front.put(shard, token, Stamp::QUIESCED, |token, _| out.push(token));
    }
    assert_eq!(out, tokens[..2]);
    let next = front.take(shard, MIB, MIB, Stamp::QUIESCED).map(|block| block.token);
    assert_eq!(next, Some(tokens[9]));
    let mut rest = Vec::new();
    front.drain(|token, _| rest.push(token));
    assert_eq!(rest, tokens[2..9]);
}

#[test]
fn a_block_goes_back_to_where_it_was_allocated() {
    let front = Front::default();
    let [producer, consumer] = [0, 1].map(ShardId::of_thread);
    let token = entered(&front, 0, 7);
    front.put(consumer, token, Stamp::QUIESCED, none);
    assert_eq!(front.take(consumer, MIB, MIB, Stamp::QUIESCED), None);
    assert!(front.take(producer, MIB, MIB, Stamp::QUIESCED).is_some());
}

#[test]
fn a_block_behind_a_fence_to_come_waits_in_its_place() {
    let front = Front::default();
    let shard = ShardId::default();
    let [early, late] = [1, 2].map(|token| entered(&front, 0, token));
    front.put(shard, early, Stamp(1), none);
    front.put(shard, late, Stamp(2), none);
    let take = |horizon| front.take(shard, MIB, MIB, Stamp(horizon)).map(|block| block.token);
    assert_eq!(take(0), None);
    assert_eq!(take(1), Some(early));
    assert_eq!(take(1), None);
    assert_eq!(take(2), Some(late));
}

#[test]
fn what_needs_no_fence_comes_first_where_one_goes_before_the_reuse() {
    let front = Front::default();
    let shard = ShardId::default();
    let lazily = |placed| match front.take_lazily(shard, MIB, MIB, Stamp(placed)) {
        Lazily::Found(block) => Some(block.token),
        Lazily::Few | Lazily::Nothing => None,
    };
    let [early, late, latest] = [1, 2, 3].map(|token| {
        let ptr = DevicePtr(u64::from(token) << 32);
        let block = Block { ptr, bytes: MIB, token: Token(token), stamp: Stamp::QUIESCED };
        front.enter(shard, &block, MIB, MIB);
        front.put(shard, block.token, Stamp(token.into()), none);
        block.token
    });
    assert_eq!(lazily(1), Some(early));
    assert_eq!(lazily(1), Some(latest), "the last freed of those that need one");
    assert_eq!(lazily(2), Some(late));
    assert_eq!(lazily(9), None);
}

#[test]
fn a_few_threads_are_no_crowd() {
    let front = Front::default();
    for thread in 0..4 {
        assert!(!front.is_crowded(), "{thread} threads");
        entered(&front, thread, thread);
    }
    assert!(front.is_crowded());
}

#[test]
fn what_is_large_leaves_by_itself() {
    let front = Front::default();
    let shard = ShardId::default();
    let small = entered(&front, 0, 1);
    front.put(shard, small, Stamp::QUIESCED, none);
    front.drain_large(shard, none);
    let ptr = DevicePtr(1 << 40);
    let block = Block { ptr, bytes: 2 * MIB, token: Token(2), stamp: Stamp::QUIESCED };
    front.enter(shard, &block, 2 * MIB, 2 * MIB);
    front.put(shard, block.token, Stamp(7), none);
    let mut out = Vec::new();
    front.drain_large(shard, |token, stamp| out.push((token, stamp)));
    assert_eq!(out, [(block.token, Stamp(7))]);
    assert_eq!(front.idle(), MIB, "the small one is here");
}

#[test]
fn threads_beyond_the_last_shard_share() {
    assert_eq!(ShardId::of_thread(SHARDS as u32), ShardId::of_thread(0));
    let front = Front::default();
    let token = entered(&front, 3, 1);
    front.put(ShardId::of_thread(3), token, Stamp::QUIESCED, none);
    let later = ShardId::of_thread(3 + SHARDS as u32);
    assert!(front.take(later, MIB, MIB, Stamp::QUIESCED).is_some());
}

#[test]
fn who_pairs_tells_nobody() {
    let front = Front::default();
    let shard = ShardId::default();
    for bytes in [MIB, 8 << 30] {
        let block = Block { bytes, ptr: DevicePtr(1 << 40), token: Token(1), stamp: Stamp(0) };
        front.enter(shard, &block, bytes, bytes);
        assert_eq!(front.put(shard, block.token, Stamp(0), none), Put::More);
        for _ in 0..3 {
            assert!(front.take(shard, bytes, bytes, Stamp(0)).is_some());
            assert_eq!(front.put(shard, block.token, Stamp(0), none), Put::Here);
        }
        front.drain(|_, _| {});
    }
}

/// A thread in the middle of its own bins holds up none that has others.
#[test]
fn shards_have_nothing_to_do_with_each_other() {
    let front = Front::default();
    let [one, other] =
        [1, 2].map(|thread| (ShardId::of_thread(thread), entered(&front, thread, thread)));
    for (shard, token) in [one, other] {
        assert_ne!(front.put(shard, token, Stamp::QUIESCED, none), Put::Refused);
    }
    let mut found = None;
    let leave = |_, _| found = front.take(other.0, MIB, MIB, Stamp::QUIESCED);
    assert_eq!(front.drain_until(one.0, leave, || Some(())), Some(()));
    assert_eq!(found.map(|block| block.token), Some(other.1));
}

/// Before there was a crowd a large block had a place of its own, and now its bin is full.
#[test]
fn what_has_no_place_any_more_goes_to_the_backing() {
    let front = Front::default();
    let shard = ShardId::of_thread(0);
    let enter = |token: u32| {
        let ptr = DevicePtr(u64::from(token + 1) << 32);
        let block = Block { ptr, bytes: 8 * MIB, token: Token(token), stamp: Stamp(token.into()) };
        front.enter(shard, &block, 8 * MIB, 8 * MIB);
        block
    };
    let early = enter(0);
    front.put(shard, early.token, early.stamp, none);
    for thread in 1..CROWD as u32 {
        entered(&front, thread, 100 + thread);
    }
    for block in [1, 2, 3, 4, 5, 6, 7, 8].map(enter) {
        front.put(shard, block.token, block.stamp, none);
    }
    let mut out = Vec::new();
    front.strike(&[DevicePtr(102 << 32)], |token, stamp| out.push((token, stamp)));
    assert_eq!(out, [(early.token, early.stamp)]);
    assert_eq!(front.idle(), 8 * 8 * MIB);
}

/// Who had an address before tells nothing of who has it now.
#[test]
fn a_refused_block_leaves_no_trace() {
    let front = Front::default();
    let shard = ShardId::default();
    let ptr = DevicePtr(1 << 40);
    let enter = |token, ptr, mib: u64| {
        let block = Block { ptr, bytes: mib * MIB, token: Token(token), stamp: Stamp::QUIESCED };
        front.enter(shard, &block, block.bytes, block.bytes);
        block.token
    };
    let first = enter(2, ptr, 8);
    enter(3, DevicePtr(1 << 41), 4);
    assert_eq!(front.put(shard, first, Stamp::QUIESCED, none), Put::Refused);
    enter(1, ptr, 32);
    front.strike(&[ptr], none);
    let mut counters = Counters::default();
    counters.allocated_bytes.add(36 * MIB);
    counters.requested_bytes.add(36 * MIB);
    (0..2).for_each(|_| counters.allocation.add(1));
    front.count(&mut counters);
    assert_eq!(counters.allocated_bytes.current, 4 * MIB);
}
