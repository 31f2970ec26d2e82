//! Threads that put blocks into one thread's bins and take them out.

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

use super::bins::{Bins, Idle, Locked};
use super::in_orders;

/// More than a bin has places for.
const BLOCKS: u32 = 12;
const CLASS: u32 = 2;
/// So many words take long to set up.
const ORDERS: usize = 1000;

#[derive(Default)]
struct World {
    bins: Bins,
    /// Which blocks anybody holds.
    held: [AtomicBool; BLOCKS as usize],
}

impl World {
    fn hold(&self, idle: Idle) -> u32 {
        let held = self.held[idle.token as usize].swap(true, Ordering::Relaxed);
        assert!(!held, "block {} is held twice", idle.token);
        idle.token
    }

    fn put(&self, bins: &mut Locked<'_>, token: u32) -> Option<u32> {
        self.held[token as usize].store(false, Ordering::Relaxed);
        let idle = Idle { class: CLASS, token, stamp: 0 };
        bins.push(idle).map(|pushed_out| self.hold(pushed_out))
    }

    /// Holds whatever is in the bins.
    fn drain(&self) -> Vec<u32> {
        let mut bins = self.bins.lock();
        std::iter::from_fn(|| bins.pop_oldest(u64::MAX)).map(|idle| self.hold(idle)).collect()
    }
}

#[test]
fn no_block_is_lost_or_held_twice() {
    in_orders(ORDERS, || {
        let world = Arc::new(World::default());
        let mut mine = Vec::new();
        for token in 0..BLOCKS {
            mine.push(world.hold(Idle { class: CLASS, token, stamp: 0 }));
        }
        let mut shares = mine.chunks(BLOCKS as usize / 3).map(<[u32]>::to_vec);
        let pairs = |mut mine: Vec<u32>, world: Arc<World>| {
            for round in 0..3 {
                let mut bins = world.bins.lock();
                if let Some(token) = mine.pop() {
                    mine.extend(world.put(&mut bins, token));
                }
                drop(bins);
                if round % 2 == 0
                    && let Some(mut bins) = world.bins.try_lock()
                    && let Some(idle) = bins.pop(CLASS, 0)
                {
                    mine.push(world.hold(idle));
                }
            }
            mine
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (share, world) = (shares.next().unwrap(), world.clone());
                thread::spawn(move || pairs(share, world))
            })
            .collect();
        let mut all = shares.next().unwrap();
        if !world.bins.is_empty() {
            all.extend(world.drain());
        }
        for other in others {
            all.extend(other.join().unwrap());
        }
        all.extend(world.drain());
        assert!(world.bins.is_empty());
        all.sort_unstable();
        assert_eq!(all, (0..BLOCKS).collect::<Vec<_>>(), "a block is lost");
    });
}
