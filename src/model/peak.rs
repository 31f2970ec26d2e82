//! Threads that add to one level, each its own part.

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::in_many_orders;
use super::tally::{Level, Part};

const SLACK: u64 = 2;

#[derive(Default)]
struct World {
    level: Level,
    parts: [Part; 3],
    /// What all hold, and the most they held, as one would see who changes it before and after.
    held: AtomicU64,
    most: AtomicU64,
}

#[test]
fn a_peak_is_never_too_low_and_the_slack_bounds_it() {
    in_many_orders(|| {
        let world = Arc::new(World::default());
        let work = |world: &World, thread: usize| {
            let part = &world.parts[thread];
            for amount in [1, 3] {
                part.add(&world.level, amount);
                let held = world.held.fetch_add(amount, Ordering::Relaxed) + amount;
                world.most.fetch_max(held, Ordering::Relaxed);
                world.held.fetch_sub(amount, Ordering::Relaxed);
                part.take(&world.level, amount, SLACK);
            }
        };
        let others = [1, 2].map(|thread| {
            let world = world.clone();
            thread::spawn(move || work(&world, thread))
        });
        work(&world, 0);
        for other in others {
            other.join().unwrap();
        }
        let gauge = world.level.gauge(world.parts.iter());
        let most = world.most.load(Ordering::Relaxed);
        assert_eq!((gauge.current, gauge.allocated, gauge.freed), (0, 12, 12));
        assert!(gauge.peak >= most, "{} were held, {} told", most, gauge.peak);
        assert!(gauge.peak <= 3 * 3, "never held at all");
        assert!(world.level.bound() <= 3 * (SLACK + 3));
        world.parts.iter().for_each(|part| part.publish(&world.level));
        assert_eq!(world.level.bound(), 0);
    });
}
