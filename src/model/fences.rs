//! Threads that submit work and then free.

use std::convert::Infallible;

use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use super::in_many_orders;
use super::turn::{Held, Turn};

/// What the driver keeps under its own lock: submissions so far, and how many of them the last
/// record was behind.
#[derive(Default)]
struct Device {
    submitted: u64,
    recorded: u64,
    /// Records made.
    records: u64,
    /// A record was made, and the context does not yet wait for it.
    recording: bool,
    /// How many submissions the last fence in place is behind.
    ordered: u64,
}

#[derive(Default)]
struct World {
    turn: Turn,
    device: Mutex<Device>,
}

impl World {
    fn submit(&self) -> u64 {
        let mut device = self.device.lock().unwrap();
        device.submitted += 1;
        device.submitted
    }

    fn record(&self) {
        let mut device = self.device.lock().unwrap();
        assert!(!device.recording, "two threads place a fence at once");
        device.recording = true;
        device.records += 1;
        device.recorded = device.submitted;
    }

    fn wait(&self) {
        let mut device = self.device.lock().unwrap();
        device.recording = false;
        device.ordered = device.recorded;
    }

    /// A fence that begins after this call, which `place` places if nobody else does.
    fn share<E>(&self, place: impl FnOnce(&Held<'_>) -> Result<u64, E>) -> Result<u64, E> {
        self.turn.reach(self.turn.begun() + 1, place)
    }

    fn ordered(&self) -> u64 {
        self.device.lock().unwrap().ordered
    }

    fn place(&self, held: &Held<'_>) -> Result<u64, Infallible> {
        let fence = held.begin();
        assert_eq!(fence.number(), self.turn.placed() + 1);
        self.record();
        self.wait();
        Ok(fence.placed())
    }
}

#[test]
fn nobody_returns_before_a_fence_behind_its_own_work() {
    in_many_orders(|| {
        let world = Arc::new(World::default());
        let free = |world: &World| {
            let mine = world.submit();
            let number = world.share(|held| world.place(held)).unwrap();
            assert!(number <= world.turn.placed());
            assert!(mine <= world.ordered(), "returned one fence too early");
        };
        let others = [(); 2].map(|()| {
            let world = world.clone();
            thread::spawn(move || free(&world))
        });
        free(&world);
        for other in others {
            other.join().unwrap();
        }
        let fences = world.turn.placed();
        assert!((1..=3).contains(&fences), "{fences} fences for three frees");
    });
}

#[test]
fn a_stamp_without_a_fence_is_never_too_early() {
    in_many_orders(|| {
        let world = Arc::new(World::default());
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                world.share(|held| world.place(held)).unwrap();
            })
        };
        let mine = world.submit();
        let stamp = world.turn.begun() + 1;
        if stamp <= world.turn.placed() {
            assert!(mine <= world.ordered(), "handed out before its fence");
        }
        other.join().unwrap();
        if stamp <= world.turn.placed() {
            assert!(mine <= world.ordered(), "handed out before its fence");
        }
    });
}

#[test]
fn a_stamp_is_reached_by_a_fence_that_is_under_way() {
    in_many_orders(|| {
        let world = Arc::new(World::default());
        let others = [(); 2].map(|()| {
            let world = world.clone();
            thread::spawn(move || {
                let mine = world.submit();
                let stamp = world.turn.begun() + 1;
                thread::yield_now();
                world.turn.reach(stamp, |held| world.place(held)).unwrap();
                assert!(mine <= world.ordered(), "handed out before its fence");
            })
        });
        // One whose fence fails leaves nobody waiting.
        let _ = world.share(|held| {
            let _fence = held.begin();
            Err("the driver's error")
        });
        for other in others {
            other.join().unwrap();
        }
        assert!((1..=2).contains(&world.turn.placed()));
    });
}

#[test]
fn who_waits_for_a_fence_that_fails_places_its_own() {
    in_many_orders(|| {
        let world = Arc::new(World::default());
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let failed = world.share(|held| {
                    let _fence = held.begin();
                    Err("the driver's error")
                });
                // Where another thread's fence served both, this one saw no error.
                assert!(failed.is_err() || world.turn.placed() == 1);
            })
        };
        let mine = world.submit();
        world.share(|held| world.place(held)).unwrap();
        assert!(mine <= world.ordered());
        other.join().unwrap();
        assert_eq!((world.turn.begun(), world.turn.placed()), (1, 1));
    });
}

#[test]
fn whoever_holds_the_turn_sees_no_fence_under_way() {
    in_many_orders(|| {
        let world = Arc::new(World::default());
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                world.share(|held| world.place(held)).unwrap();
            })
        };
        {
            let _held = world.turn.hold();
            assert_eq!(world.turn.begun(), world.turn.placed());
            assert!(!world.device.lock().unwrap().recording);
        }
        other.join().unwrap();
    });
}

#[test]
fn no_capture_begins_between_a_look_and_a_record() {
    in_many_orders(|| {
        let world = Arc::new(World::default());
        let announced = Arc::new(AtomicBool::new(false));
        let fencing = [(); 2].map(|()| {
            let (world, announced) = (world.clone(), announced.clone());
            thread::spawn(move || {
                let fence = world.share(|held| {
                    if announced.load(Ordering::SeqCst) {
                        return Err("captured");
                    }
                    world.place(held).map_err(|never| match never {})
                });
                assert!(fence.is_ok() || announced.load(Ordering::SeqCst));
            })
        });
        announced.store(true, Ordering::SeqCst);
        drop(world.turn.hold());
        // Here the capture begins.
        let before = world.device.lock().unwrap().records;
        for thread in fencing {
            thread.join().unwrap();
        }
        assert_eq!(world.device.lock().unwrap().records, before, "a capture is invalidated");
    });
}
