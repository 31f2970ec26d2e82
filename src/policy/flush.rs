//! Whether a flush that is asked for is worth it.

use std::time::Duration;

/// Why a flush is left out where less is idle than `flush_threshold`.
pub const TOO_LITTLE: &str = "skipped: less than flush_threshold is idle";
/// Why a flush is left out that comes sooner than `flush_interval` after the last one.
pub const TOO_SOON: &str = "skipped: sooner than flush_interval after the last flush";

/// Why a flush that is asked for is left out, where `idle` bytes are and the last one that was asked
/// for and done began so long ago; `None` if it is done.
pub fn why_not(
    idle: u64,
    threshold: u64,
    since_last: Option<Duration>,
    interval: Option<Duration>,
) -> Option<&'static str> {
    let too_soon = since_last.zip(interval).is_some_and(|(since, interval)| since < interval);
    if too_soon {
        Some(TOO_SOON)
    } else if idle < threshold {
        Some(TOO_LITTLE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_left_out_below_the_threshold_and_before_the_interval_is_over() {
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(why_not(0, 0, None, None), None, "by default none is");
        assert_eq!(why_not(9, 10, None, None), Some(TOO_LITTLE));
        assert_eq!(why_not(10, 10, None, None), None);
        assert_eq!(why_not(10, 0, ms(99), ms(100)), Some(TOO_SOON));
        assert_eq!(why_not(10, 0, ms(100), ms(100)), None);
        assert_eq!(why_not(10, 0, None, ms(100)), None, "there was none before");
        assert_eq!(why_not(10, 0, ms(1), None), None);
    }
}
