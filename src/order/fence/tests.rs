use super::*;
use crate::fake::FakeDriver;

const CONTEXT: Context = Context(0x10);

#[test]
fn a_fence_orders_what_was_freed_before_it_and_nothing_after() {
    let driver = FakeDriver::new(1 << 30);
    let (fences, captures) = (Fences::new(CONTEXT), Captures::default());
    let early = fences.next();
    assert!(early > fences.placed());
    fences.place(&driver, &captures).unwrap();
    assert!(early <= fences.placed());
    assert!(fences.next() > fences.placed());
}

#[test]
fn polling_finds_how_far_the_device_has_come() {
    let driver = FakeDriver::new(1 << 30);
    let (fences, captures) = (Fences::new(CONTEXT), Captures::default());
    assert_eq!(fences.poll(&driver), Ok(Stamp(0)));
    // More fences than the ring has events.
    for number in 1..=3 * RING {
        driver.submit();
        fences.place(&driver, &captures).unwrap();
        if number == 3 * RING - 5 {
            driver.finish();
        }
    }
    assert_eq!(fences.completed(), Stamp(0), "nobody has asked");
    assert_eq!(fences.poll(&driver), Ok(Stamp(3 * RING - 5)));
    driver.finish();
    assert_eq!(fences.poll(&driver), Ok(Stamp(3 * RING)));
}

#[test]
fn a_full_ring_of_open_fences_completes_nothing() {
    let driver = FakeDriver::new(1 << 30);
    let (fences, captures) = (Fences::new(CONTEXT), Captures::default());
    for _ in 0..2 * RING {
        driver.submit();
        fences.place(&driver, &captures).unwrap();
    }
    assert_eq!(fences.poll(&driver), Ok(Stamp(0)));
}

#[test]
fn a_failed_fence_is_in_nobodys_way() {
    let driver = FakeDriver::new(1 << 30);
    let (fences, captures) = (Fences::new(CONTEXT), Captures::default());
    driver.fail_next("context_waits", DriverError::INVALID_CONTEXT);
    let stamp = fences.next();
    assert!(fences.place(&driver, &captures).is_err());
    assert!(stamp > fences.placed(), "nothing was ordered");
    assert_eq!(fences.place(&driver, &captures), Ok(Ordered::Yes(stamp)));
}

#[test]
fn a_mark_is_neither_a_fence_nor_recorded_in_a_capture() {
    let driver = FakeDriver::new(1 << 30);
    let (fences, captures) = (Fences::new(CONTEXT), Captures::default());
    let event = fences.mark(&driver, &captures).unwrap().expect("no capture is under way");
    assert_eq!((fences.placed(), driver.count("context_waits")), (Stamp(0), 0));
    fences.recycle(event);
    let stream = crate::driver::Stream(1);
    captures.announce(stream, None);
    driver.start_capture(stream);
    assert_eq!(fences.mark(&driver, &captures), Ok(None));
    assert_eq!(fences.place(&driver, &captures), Ok(Ordered::Captured));
    assert_eq!(fences.synchronize(&driver, &captures), Ok(Ordered::Captured));
    assert!(!driver.invalidated());
}

#[test]
fn no_capture_begins_between_a_fences_check_and_its_calls() {
    let driver = FakeDriver::new(1 << 30);
    let (fences, captures) = (Fences::new(CONTEXT), Captures::default());
    let rounds = if cfg!(miri) { 20 } else { 5000 };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds {
                fences.place(&driver, &captures).unwrap();
                fences.synchronize(&driver, &captures).unwrap();
            }
        });
        for n in 0..rounds {
            let stream = crate::driver::Stream(n);
            captures.announce(stream, None);
            fences.pass();
            driver.start_capture(stream);
            driver.stop_capture(stream);
            assert!(captures.ended(stream, &driver));
        }
    });
    assert!(!driver.invalidated());
}

#[test]
fn threads_that_fence_at_once_share() {
    let driver = FakeDriver::new(1 << 30);
    let (fences, captures) = (Fences::new(CONTEXT), Captures::default());
    let (threads, rounds) = (4, if cfg!(miri) { 10 } else { 1000 });
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let needed = fences.next();
                    let Ok(Ordered::Yes(stamp)) = fences.place(&driver, &captures) else {
                        panic!("nothing fails here")
                    };
                    assert!(needed <= fences.placed() && stamp <= fences.placed());
                }
            });
        }
    });
    assert!(fences.count() <= threads * rounds);
    assert_eq!(driver.count("record_context") as u64, fences.count());
}
