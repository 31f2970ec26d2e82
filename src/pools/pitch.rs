//! Rows at a distance: `cuMemAllocPitch`, which `cudaMallocPitch` and `cudaMalloc3D` call.
//!
//! How far the driver puts rows apart is its own affair. The pools learn it from the program's own
//! calls, the first of which it therefore serves itself, and use only what follows from them: a
//! longer row never gets a smaller pitch, and a row as long as a pitch gets that pitch.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{Phase, Pools};
use crate::driver::{Device, DevicePtr, Driver};

/// Pitches that are remembered. A program with more of them is served by the driver.
const REMEMBERED: usize = 4096;

/// What the program asks for: `height` rows of `width` bytes, to be accessed in units of `element`
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rows {
    /// Bytes of a row.
    pub width: u64,
    /// How many there are.
    pub height: u64,
    /// 4, 8 or 16.
    pub element: u32,
}

/// Rows for which one pitch follows from another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Family {
    device: i32,
    element: u32,
    /// Of one row, nobody can say that it is treated as others are.
    single: bool,
}

impl Family {
    fn of(device: Device, rows: Rows) -> Self {
        Self { device: device.0, element: rows.element, single: rows.height == 1 }
    }
}

/// The pitches seen so far: for each, the shortest row that got it.
#[derive(Default)]
pub(super) struct Pitches(Mutex<BTreeMap<(Family, u64), u64>>);

impl Pitches {
    /// The pitch that the driver would choose; `None` if that is not known.
    fn of(&self, family: Family, width: u64) -> Option<u64> {
        let pitches = self.0.lock();
        let (&(at, pitch), &shortest) = pitches.range((family, width)..).next()?;
        (at == family && shortest <= width).then_some(pitch)
    }

    /// The driver chose `pitch`.
    fn learn(&self, family: Family, width: u64, pitch: u64) {
        let mut pitches = self.0.lock();
        let known = pitches.len();
        match pitches.get_mut(&(family, pitch)) {
            Some(shortest) => *shortest = width.min(*shortest),
            None if pitch >= width && known < REMEMBERED => {
                pitches.insert((family, pitch), width);
            }
            None => {}
        }
    }
}

impl<D: Driver> Pools<D> {
    /// `cuMemAllocPitch`: memory in the current context, and the pitch in bytes. `None`: the driver is
    /// to be called, whose pitch is not known yet or whose error is to be had.
    pub fn allocate_rows(&self, rows: Rows) -> Option<(DevicePtr, u64)> {
        if self.phase() != Phase::Open || rows.width == 0 || rows.height == 0 {
            return None;
        }
        let device = self.driver.context_device().ok()?;
        let pitch = self.pitches.of(Family::of(device, rows), rows.width)?;
        let ptr = self.allocate(pitch.checked_mul(rows.height)?).ok()?;
        Some((ptr, pitch))
    }

    /// The driver has just put such rows, in the current context, so many bytes apart.
    pub fn learn_pitch(&self, rows: Rows, pitch: u64) {
        if let Ok(device) = self.driver.context_device() {
            self.pitches.learn(Family::of(device, rows), rows.width, pitch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::DriverError;
    use crate::fake::FakeDriver;

    const MIB: u64 = 1 << 20;

    fn pools() -> Pools<FakeDriver> {
        Pools::new(FakeDriver::new(1024 * MIB).with_vmm(), &Options::defaults())
    }

    fn rows(width: u64, height: u64) -> Rows {
        Rows { width, height, element: 4 }
    }

    fn pitch(pools: &Pools<FakeDriver>, rows: Rows) -> Option<u64> {
        let (ptr, pitch) = pools.allocate_rows(rows)?;
        pools.free(ptr).expect("it is a block of the pool");
        Some(pitch)
    }

    #[test]
    fn only_what_follows_is_known() {
        let pools = pools();
        assert_eq!(pitch(&pools, rows(1000, 10)), None);
        pools.learn_pitch(rows(1000, 10), 1024);
        for (width, expected) in
            [(999, None), (1000, Some(1024)), (1001, Some(1024)), (1024, Some(1024)), (1025, None)]
        {
            assert_eq!(pitch(&pools, rows(width, 10)), expected, "{width}");
        }
        pools.learn_pitch(rows(600, 2), 1024);
        pools.learn_pitch(rows(700, 2), 1024);
        assert_eq!(pitch(&pools, rows(600, 500)), Some(1024));
        assert_eq!(pitch(&pools, rows(599, 500)), None);
        pools.learn_pitch(rows(3000, 2), 3072);
        assert_eq!(pitch(&pools, rows(2000, 2)), None, "no smaller pitch than a longer row's");
    }

    #[test]
    fn elements_and_single_rows_are_apart() {
        let pools = pools();
        pools.learn_pitch(rows(100, 10), 512);
        assert_eq!(pitch(&pools, Rows { element: 16, ..rows(100, 10) }), None);
        assert_eq!(pitch(&pools, rows(100, 1)), None);
        pools.learn_pitch(rows(100, 1), 100);
        assert_eq!(pitch(&pools, rows(100, 1)), Some(100));
        assert_eq!(pitch(&pools, rows(100, 2)), Some(512));
    }

    #[test]
    fn the_pool_serves_all_rows() {
        let pools = pools();
        pools.learn_pitch(rows(1000, 2), 1024);
        let (ptr, _) = pools.allocate_rows(rows(1000, 3000)).unwrap();
        assert_eq!(pools.address_range(ptr), Some(Ok((ptr, 3000 * 1024))));
        pools.free(ptr).unwrap();
        assert_eq!(pools.allocate_rows(rows(1010, 3000)), Some((ptr, 1024)));
        assert_eq!(pools.driver().count("allocate"), 0);
    }

    #[test]
    fn errors_are_left_to_the_driver() {
        let pools = pools();
        pools.learn_pitch(rows(1000, 2), 1024);
        for (width, height) in [(0, 10), (1000, 0), (1000, u64::MAX), (1000, 2 * MIB)] {
            assert_eq!(pools.allocate_rows(rows(width, height)), None, "{width} × {height}");
        }
        pools.driver().fail_next("context_device", DriverError::INVALID_CONTEXT);
        assert_eq!(pitch(&pools, rows(1000, 10)), None);
        pools.retire("a test");
        assert_eq!(pitch(&pools, rows(1000, 10)), None);
    }

    #[test]
    fn a_pitch_that_makes_no_sense_is_not_learned() {
        let pools = pools();
        pools.learn_pitch(rows(1000, 2), 512);
        assert_eq!(pitch(&pools, rows(1000, 2)), None);
        assert_eq!(pitch(&pools, rows(500, 2)), None);
    }

    #[test]
    fn no_program_fills_memory_with_pitches() {
        let pools = pools();
        for width in 1..=REMEMBERED as u64 + 1 {
            pools.learn_pitch(rows(width, 2), width);
        }
        assert_eq!(pitch(&pools, rows(REMEMBERED as u64, 2)), Some(REMEMBERED as u64));
        assert_eq!(pitch(&pools, rows(REMEMBERED as u64 + 1, 2)), None);
        assert_eq!(pitch(&pools, rows(1, 2)), Some(1));
    }
}
