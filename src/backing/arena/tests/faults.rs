//! Drivers that fail: nothing is lost, and what is there is told.

use super::*;

#[test]
fn what_the_driver_does_not_unmap_is_not_mapped_over() {
    let mut model = Model::new();
    // The handle stays where it was mapped, since access and unmapping both fail.
    model.driver.fail_next("allow_access", DriverError::INVALID_VALUE);
    model.driver.fail_next("unmap_memory", DriverError::INVALID_VALUE);
    assert!(model.take(8 * MIB).is_err());
    for _ in 0..4 {
        model.take(8 * MIB).unwrap();
    }
}

#[test]
fn what_the_driver_did_not_unmap_goes_the_next_time() {
    let mut model = Model::new();
    model.driver.fail_next("allow_access", DriverError::INVALID_VALUE);
    model.driver.fail_next("unmap_memory", DriverError::INVALID_VALUE);
    assert!(model.take(8 * MIB).is_err());
    assert_eq!(model.driver.reserved(), 8 * MIB);
    assert_eq!(model.backing().idle(), 8 * MIB, "it takes room as long as it is there");
    assert_eq!(model.backing().trim(&model.driver, 0, Stamp::QUIESCED).released, 8 * MIB);
    assert_eq!(model.driver.reserved(), 0);

    let block = model.take(8 * MIB).unwrap();
    model.backing().give(block.token, Stamp::QUIESCED);
    model.driver.fail_next("unmap_memory", DriverError::INVALID_VALUE);
    let trimmed = model.backing().trim(&model.driver, 0, Stamp::QUIESCED);
    let kept = Kept { bytes: 8 * MIB, why: REFUSED };
    assert_eq!(trimmed, Trimmed { kept: vec![kept], ..Trimmed::default() });
    assert_eq!(model.backing().reuse(8 * MIB, Stamp::QUIESCED), Some(block), "as good as before");
    model.backing().give(block.token, Stamp::QUIESCED);
    assert_eq!(model.backing().trim(&model.driver, 0, Stamp::QUIESCED).released, 8 * MIB);
    assert_eq!(model.driver.reserved(), 0);
}

#[test]
fn what_the_driver_has_refused_once_is_told_until_it_goes() {
    let mut model = Model::new();
    let block = model.take(8 * MIB).unwrap();
    model.backing().give(block.token, Stamp::QUIESCED);
    for _ in 0..2 {
        model.driver.fail_next("release_memory", DriverError::INVALID_VALUE);
        let trimmed = model.backing().trim(&model.driver, 0, Stamp::QUIESCED);
        let kept = vec![Kept { bytes: 8 * MIB, why: REFUSED }];
        assert_eq!(trimmed, Trimmed { kept, ..Trimmed::default() });
        assert_eq!((model.backing().idle(), model.backing().returnable()), (8 * MIB, 0));
        model.held.clear();
        model.faults = true;
        model.check();
    }
    assert_eq!(model.backing().trim(&model.driver, 0, Stamp::QUIESCED).released, 8 * MIB);
    assert_eq!(model.driver.reserved(), 0);
}

/// Four free handles of 16 MiB between live blocks: for 150 MiB one grows in place, three move, and
/// two are made.
fn scattered() -> Model {
    let mut model = Model::new();
    for mib in [16, 2, 16, 2, 16, 2, 16, 2] {
        model.take(mib * MIB).unwrap();
    }
    for _ in 0..4 {
        let at = model.held.iter().position(|(block, _)| block.bytes == 16 * MIB).unwrap();
        model.give(at, false);
    }
    model.placed += 1;
    model.passed = model.placed;
    model
}

/// Everything goes back in the end.
fn ends(mut model: Model) {
    while !model.held.is_empty() {
        model.give(0, false);
    }
    model.backing().end(&model.driver);
    assert_eq!((model.driver.reserved(), model.driver.reservations()), (0, 0));
}

#[test]
fn a_fault_at_any_call_of_a_miss_leaves_everything_in_order() {
    let mut model = scattered();
    let before = CALLS.map(|call| model.driver.count(call));
    model.take(150 * MIB).unwrap();
    let calls = |n: usize| model.driver.count(CALLS[n]) - before[n];
    assert_eq!([0, 1, 2, 3, 4].map(calls), [2, 5, 1, 3, 0], "as described");

    for (call, times) in CALLS.into_iter().zip([2, 5, 1, 3]) {
        for which in 0..times {
            // A second fault hits what is done about the first.
            for second in [
                None,
                Some(("unmap_memory", 0)),
                Some(("unmap_memory", 2)),
                Some(("release_memory", 0)),
                Some(("release_memory", 2)),
            ] {
                let mut model = scattered();
                model.faults = true;
                model.driver.fail_after(call, which, DriverError::INVALID_VALUE);
                let after = if call == "unmap_memory" || second.is_none() { 0 } else { 3 };
                if let Some((call, which)) = second {
                    let moves = if call == "unmap_memory" { after } else { 0 };
                    model.driver.fail_after(call, which + moves, DriverError::INVALID_VALUE);
                }
                assert_eq!(model.take(150 * MIB), Err(DriverError::INVALID_VALUE));
                model.check();
                model.driver.forget_faults();
                model.take(150 * MIB).unwrap();
                model.check();
                ends(model);
            }
        }
    }
}

#[test]
fn what_was_refused_goes_with_the_context() {
    for call in ["unmap_memory", "release_memory"] {
        let mut model = Model::new();
        model.faults = true;
        model.driver.fail_next("allow_access", DriverError::INVALID_VALUE);
        model.driver.fail_next(call, DriverError::INVALID_VALUE);
        assert!(model.take(8 * MIB).is_err());
        assert_eq!(model.driver.reserved(), 8 * MIB, "{call}");
        model.check();
        ends(model);
    }
}

/// The device is full but for what is idle in two places: before anything is refused, both move.
#[test]
fn where_nothing_can_be_made_whatever_can_move_does() {
    let mut model = Model::new();
    let all = blocks(&mut model, &[2; 64]);
    model.driver.allocate(CAPACITY - model.driver.reserved()).unwrap();
    for n in [10, 20] {
        model.backing().give(all[n].token, Stamp::QUIESCED);
    }
    let created = model.driver.count("create_memory");
    model.backing().grow(&model.driver, 4 * MIB, model.progress()).unwrap();
    assert!(model.driver.count("create_memory") > created, "growing comes first");
}

#[test]
fn what_others_may_reach_is_nobodys_though_the_driver_does_not_unmap_it() {
    let mut model = Model::new();
    let block = model.take(8 * MIB).unwrap();
    model.backing().pin(block.token);
    model.backing().give(block.token, Stamp::QUIESCED);
    model.driver.fail_next("unmap_memory", DriverError::INVALID_VALUE);
    model.backing().trim(&model.driver, 0, Stamp::QUIESCED);
    assert_eq!(model.backing().idle(), 8 * MIB);
    assert_eq!(model.backing().reuse(8 * MIB, Stamp::QUIESCED), None);
    assert_eq!(model.backing().trim(&model.driver, 0, Stamp::QUIESCED).released, 8 * MIB);
}

#[test]
fn a_block_that_a_late_peer_cannot_use_is_taken_back() {
    let mut model = Model::new();
    let block = model.take(8 * MIB).unwrap();
    model.driver.fail_next("allow_access", DriverError::INVALID_VALUE);
    let opened = model.arena.open_late(&model.driver, &[Device(1)], Ok(Some(block)));
    assert_eq!(opened, Err(DriverError::INVALID_VALUE));
    assert_eq!(model.backing().idle(), 8 * MIB);
    assert_eq!(model.backing().find(block.ptr), None);
}
