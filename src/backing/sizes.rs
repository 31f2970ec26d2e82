//! Size classes.
//!
//! | request | class |
//! |---|---|
//! | up to 4 KiB | multiples of 512 bytes, the driver's own granularity |
//! | up to 1 MiB | eight classes to each doubling: at most 1/8 more than asked |
//! | above | multiples of 2 MiB, the pages the driver takes for such a block in any case |
//!
//! So a class never takes more pages from the device than the request would have natively, and the
//! number of different sizes that idle blocks can have stays small.

/// Everything is a multiple of this many bytes, and starts at such an address.
pub const GRANULE: u64 = 512;

const PAGE: u64 = 2 << 20;
const SMALL: u64 = 1 << 20;
/// Classes to each doubling, as a power of two.
const STEPS_LOG2: u32 = 3;

/// The class of a request of `bytes`; `None` where no such size exists.
pub const fn round_up(bytes: u64) -> Option<u64> {
    if bytes <= SMALL {
        let step = match bytes.checked_ilog2() {
            None => return None,
            // One below, so that a power of two is the last class of its doubling.
            Some(_) => {
                let log2 = (bytes - 1).checked_ilog2();
                match log2 {
                    Some(log2) if log2 > STEPS_LOG2 => 1 << (log2 - STEPS_LOG2),
                    _ => 1,
                }
            }
        };
        bytes.checked_next_multiple_of(if step > GRANULE { step } else { GRANULE })
    } else {
        bytes.checked_next_multiple_of(PAGE)
    }
}

/// The largest idle block that may serve a request of class `bytes`: best fit with bounded slack.
pub const fn largest_fit(bytes: u64) -> u64 {
    bytes.saturating_add(bytes >> STEPS_LOG2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_the_request_and_are_granular() {
        for bytes in (1..10_000).chain((1..200).map(|n| n * 77_777)) {
            let class = round_up(bytes).unwrap();
            assert!(class >= bytes, "{bytes} in {class}");
            assert_eq!(class % GRANULE, 0, "{bytes} in {class}");
            assert_eq!(round_up(class), Some(class), "a class is its own class");
        }
    }

    #[test]
    fn waste_is_bounded() {
        for bytes in (4096..=SMALL).step_by(311) {
            assert!(round_up(bytes).unwrap() - bytes <= bytes / 8, "{bytes}");
        }
        for bytes in [SMALL + 1, 3 << 20, (1 << 30) + 1] {
            assert!(round_up(bytes).unwrap() - bytes < PAGE, "{bytes}");
        }
    }

    #[test]
    fn the_table_holds() {
        for (bytes, class) in [
            (1, 512),
            (512, 512),
            (513, 1024),
            (4096, 4096),
            (4097, 4608),
            (1 << 20, 1 << 20),
            ((1 << 20) + 1, 2 << 20),
            ((2 << 20) + 1, 4 << 20),
        ] {
            assert_eq!(round_up(bytes), Some(class), "{bytes}");
        }
    }

    #[test]
    fn sizes_that_cannot_be_have_no_class() {
        assert_eq!(round_up(0), None);
        assert_eq!(round_up(u64::MAX), None);
    }
}
