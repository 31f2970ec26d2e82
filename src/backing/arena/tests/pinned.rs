//! Blocks that others may reach: what was theirs is nobody's again before the driver has had it.

use super::*;

/// Everything freed so far is done.
fn settle(model: &mut Model) {
    model.placed += 1;
    model.passed = model.placed;
}

fn take_pinned(model: &mut Model, bytes: u64) -> Range<u64> {
    let block = model.take(bytes).unwrap();
    model.backing().pin(block.token);
    block.ptr.0..block.ptr.0 + block.bytes
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

#[test]
fn a_large_block_is_not_handed_out_again_but_given_back() {
    let mut model = Model::new();
    for aside in [false, true] {
        let pinned = take_pinned(&mut model, 6 * MIB);
        model.give(0, aside);
        settle(&mut model);
        model.check();
        for _ in 0..20 {
            let block = model.take(2 * MIB).unwrap();
            assert!(!overlap(&pinned, &(block.ptr.0..block.ptr.0 + block.bytes)));
            assert_eq!(model.backing().find(DevicePtr(pinned.start)), None);
        }
        while !model.held.is_empty() {
            model.give(0, false);
        }
        settle(&mut model);
        let idle = model.backing().idle();
        assert_eq!(model.backing().trim(&model.driver, 0, Stamp(model.passed)).released, idle);
        assert_eq!(model.driver.reserved(), 0);
        model.check();
    }
    // What the driver has had back is memory as any other.
    let block = model.take(6 * MIB).unwrap();
    model.give(0, false);
    settle(&mut model);
    assert_eq!(model.take(6 * MIB).unwrap().ptr, block.ptr);
}

#[test]
fn memory_that_others_may_reach_does_not_move() {
    let mut model = Model::new();
    take_pinned(&mut model, CAPACITY / 2);
    model.give(0, false);
    settle(&mut model);
    assert_eq!(model.take(CAPACITY * 3 / 4), Err(DriverError::OUT_OF_MEMORY));
    model.check();
    model.backing().trim(&model.driver, 0, Stamp(model.passed));
    assert!(model.take(CAPACITY * 3 / 4).is_ok());
    model.check();
}

#[test]
fn it_goes_back_before_anything_else_does() {
    let mut model = Model::new();
    model.take(8 * MIB).unwrap();
    take_pinned(&mut model, 4 * MIB);
    model.take(8 * MIB).unwrap();
    for _ in 0..3 {
        model.give(0, false);
    }
    settle(&mut model);
    let spare = model.driver.reserved();
    model.backing().trim(&model.driver, spare - 1, Stamp(model.passed));
    let left = model.driver.reserved();
    model.take(8 * MIB).unwrap();
    model.take(8 * MIB).unwrap();
    assert_eq!(model.driver.reserved(), left, "what others could reach is gone, the rest is not");
}

#[test]
fn a_small_block_keeps_its_room_until_its_page_is_empty() {
    let mut model = Model::new();
    let pinned = take_pinned(&mut model, 100 << 10);
    model.take(100 << 10).unwrap();
    model.give(0, false);
    settle(&mut model);
    for _ in 0..40 {
        let block = model.take(100 << 10).unwrap();
        assert!(!overlap(&pinned, &(block.ptr.0..block.ptr.0 + block.bytes)));
    }
    while !model.held.is_empty() {
        model.give(0, false);
    }
    settle(&mut model);
    // The page is nobody's any more, and not to be shared anew.
    for _ in 0..8 {
        let block = model.take(MIB).unwrap();
        assert!(!overlap(&pinned, &(block.ptr.0..block.ptr.0 + block.bytes)));
    }
    model.check();
    for _ in 1..8 {
        model.give(0, false);
    }
    model.give(0, false);
    settle(&mut model);
    model.backing().trim(&model.driver, 0, Stamp(model.passed));
    assert_eq!(model.driver.reserved(), 0);
    model.check();
}
