//! What the program has not freed.

use std::collections::BTreeMap;

use super::Pools;
use super::segments::State;
use crate::driver::Driver;
use crate::stats::Leak;

impl<D: Driver> Pools<D> {
    /// The blocks that the program holds, by device and size; those that hold the most first. What
    /// went with its context is not among them.
    pub fn leaks(&self) -> Vec<Leak> {
        let mut counts: BTreeMap<(i32, u64), u64> = BTreeMap::new();
        for segment in self.segments() {
            let held = segment.blocks.iter().filter(|block| block.state == State::Allocated);
            for block in held {
                *counts.entry((segment.device, block.requested)).or_default() += 1;
            }
        }
        let mut leaks: Vec<_> = counts
            .into_iter()
            .map(|((device, bytes), count)| Leak { device, bytes, count })
            .collect();
        leaks.sort_by_key(|leak| std::cmp::Reverse(leak.bytes.saturating_mul(leak.count)));
        leaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::fake::FakeDriver;

    #[test]
    fn what_is_held_is_counted_by_what_was_asked_for() {
        for backing in ["arena", "exact"] {
            let (options, _) = Options::parse(&format!("backing:{backing}"), false);
            let pools = Pools::new(FakeDriver::new(1 << 30).with_vmm(), &options);
            assert_eq!(pools.leaks(), [], "{backing}");
            for bytes in [1000, 1000, 3 << 20, 1000] {
                pools.allocate(bytes).unwrap();
            }
            for bytes in [1000, 5 << 20] {
                let ptr = pools.allocate(bytes).unwrap();
                pools.free(ptr).unwrap();
            }
            let leak = |bytes, count| Leak { device: 0, bytes, count };
            assert_eq!(pools.leaks(), [leak(3 << 20, 1), leak(1000, 3)], "{backing}");
            pools.close();
            assert_eq!(pools.leaks().len(), 2, "{backing}: also while the process ends");
        }
    }
}
