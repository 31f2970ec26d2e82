//! When memory has been idle for long enough to go back by itself.
//!
//! Nothing is timed when memory is used: a backing numbers the moments at which memory becomes idle,
//! and what looks after it notes now and then which number it has come to. Whatever has a number that
//! was reached `decay` ago, and no later one, was not used since.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::backing::Moment;

/// So many looks are made in the time that memory may stay idle: it goes at most that part late.
const LOOKS: u32 = 8;
/// More often would do little else.
const SHORTEST_PERIOD: Duration = Duration::from_millis(10);

/// How much goes in one portion, in bytes. Giving it back takes the driver about a millisecond.
pub const PORTION: u64 = 1 << 30;
/// The pause between two portions.
pub const PAUSE: Duration = Duration::from_millis(10);

/// How often is looked where something is idle that may stay so for `decay`.
pub fn period(decay: Duration) -> Duration {
    (decay / LOOKS).max(SHORTEST_PERIOD)
}

/// How often is looked where nothing is: what becomes idle meanwhile goes so much later.
pub fn longest_period(decay: Duration) -> Duration {
    (decay / 2).max(SHORTEST_PERIOD)
}

/// The moments that one backing has come to.
#[derive(Debug, Default)]
pub struct Aging {
    /// The oldest first.
    noted: VecDeque<(Instant, Moment)>,
}

impl Aging {
    /// Whether the moment that the backing has come to is to be noted again.
    pub fn is_due(&self, now: Instant, decay: Duration) -> bool {
        self.noted.back().is_none_or(|&(last, _)| now >= last + period(decay))
    }

    /// The backing has come to `moment` now.
    pub fn note(&mut self, now: Instant, moment: Moment) {
        self.noted.push_back((now, moment));
    }

    /// The latest moment that lies `decay` back, if one was noted: what was not used after it can go.
    pub fn old(&mut self, now: Instant, decay: Duration) -> Option<Moment> {
        let is_old = |noted: &(Instant, Moment)| now >= noted.0 + decay;
        while self.noted.get(1).is_some_and(is_old) {
            self.noted.pop_front();
        }
        self.noted.front().filter(|&noted| is_old(noted)).map(|&(_, moment)| moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn look(aging: &mut Aging, now: Instant, moment: u64, decay: Duration) -> Option<u64> {
        if aging.is_due(now, decay) {
            aging.note(now, Moment(moment));
        }
        aging.old(now, decay).map(|moment| moment.0)
    }

    /// What is old after each of a number of looks, a second apart, at a backing that has come to one
    /// more moment at each.
    fn looks(decay: Duration, count: u64) -> Vec<Option<u64>> {
        let start = Instant::now();
        let mut aging = Aging::default();
        (0..count).map(|at| look(&mut aging, start + at as u32 * SECOND, at, decay)).collect()
    }

    #[test]
    fn nothing_is_old_before_its_time() {
        assert_eq!(looks(4 * SECOND, 7), [None, None, None, None, Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn without_a_time_everything_is_old_at_once() {
        assert_eq!(looks(Duration::ZERO, 3), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn looks_in_between_neither_hurry_nor_delay() {
        let start = Instant::now();
        let mut aging = Aging::default();
        let decay = 8 * SECOND;
        for millisecond in 0..20_000 {
            let now = start + Duration::from_millis(millisecond);
            match look(&mut aging, now, millisecond, decay) {
                None => assert!(millisecond < 8_000, "{millisecond}"),
                Some(then) => {
                    assert!(then + 8_000 <= millisecond, "{then} is not old at {millisecond}");
                    assert!(then + 9_000 > millisecond, "{then} at {millisecond} comes late");
                }
            }
        }
        assert!(aging.noted.len() <= LOOKS as usize + 2, "{}", aging.noted.len());
    }

    #[test]
    fn a_pause_in_the_looks_is_no_use_of_memory() {
        let start = Instant::now();
        let mut aging = Aging::default();
        assert_eq!(look(&mut aging, start, 5, SECOND), None);
        assert_eq!(look(&mut aging, start + 100 * SECOND, 6, SECOND), Some(5));
    }

    #[test]
    fn looks_are_often_enough_to_be_in_time_and_no_more() {
        assert_eq!(period(8 * SECOND), SECOND);
        assert_eq!(longest_period(8 * SECOND), 4 * SECOND);
        assert_eq!(period(Duration::ZERO), SHORTEST_PERIOD);
    }
}
