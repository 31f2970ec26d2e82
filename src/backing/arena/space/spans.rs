//! Which spans there are: found by their start, or by any unit in them, in constant time.
//!
//! Units come in chunks. A chunk has a bit for each unit at which a span starts, and a place for what is
//! known of that span; a chunk in which none starts does not exist. So what is known of neighbours
//! stands together, and a look touches few cache lines, which matters in programs whose own data
//! pushes ours out of the caches between two calls.

use super::State;

/// Units in a chunk, the square of the bits in a word.
const CHUNK: u32 = WORD * WORD;
const WORD: u32 = u64::BITS;

/// Chunks that are kept for later, 33 KiB each: spans come and go by the thousand where nothing stays.
const SPARE: usize = 64;

/// What [`Spans`] keeps of each span.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    pub(super) units: u32,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
struct Chunk {
    starts: Set,
    /// The rest is only meant where a span starts, and is only touched there.
    units: Box<[u32]>,
    states: Box<[u32]>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Spans {
    chunks: Vec<Option<Box<Chunk>>>,
    /// The chunks that exist, in groups as large as a chunk, and the groups in which there are any.
    existing: Vec<Set>,
    groups: Set,
    #[expect(clippy::vec_box, reason = "they come from boxes and go back there")]
    spare: Vec<Box<Chunk>>,
}

/// A set of numbers below [`CHUNK`].
#[derive(Clone, Debug)]
struct Set {
    words: [u64; WORD as usize],
    /// Which of them are not 0.
    filled: u64,
}

/// A state in one word. No arena has so many blocks that a token would not fit.
fn packed(state: State) -> u32 {
    match state {
        State::Hole => 0,
        State::Free => 1,
        State::Busy => 2,
        State::Used(token) => token.saturating_add(3),
    }
}

fn unpacked(state: u32) -> State {
    match state {
        0 => State::Hole,
        1 => State::Free,
        2 => State::Busy,
        token => State::Used(token - 3),
    }
}

fn split(number: u32) -> (usize, u32) {
    ((number / CHUNK) as usize, number % CHUNK)
}

impl Spans {
    /// No spans yet, of `units` units.
    pub(super) fn new(units: u32) -> Self {
        let chunks = units.div_ceil(CHUNK);
        Self {
            chunks: vec![None; chunks as usize],
            existing: vec![Set::EMPTY; chunks.div_ceil(CHUNK) as usize],
            groups: Set::EMPTY,
            spare: Vec::new(),
        }
    }

    /// The span that starts at `at`, if one does.
    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<Extent> {
        let (chunk, place) = split(at);
        let chunk = self.chunks.get(chunk)?.as_ref()?;
        chunk.starts.contains(place).then(|| chunk.extent(place))
    }

    /// The last span that starts at `unit` or before.
    #[inline]
    pub(super) fn last_until(&self, unit: u32) -> Option<(u32, Extent)> {
        let (number, place) = split(unit);
        let here = self.chunks.get(number)?.as_ref();
        let found = here.and_then(|chunk| Some((chunk, chunk.starts.last_until(place)?)));
        if let Some((chunk, place)) = found {
            return Some((number as u32 * CHUNK + place, chunk.extent(place)));
        }
        let number = self.chunk_before(number as u32)?;
        let chunk = self.chunks[number as usize].as_ref()?;
        let place = chunk.starts.last_until(CHUNK - 1)?;
        Some((number * CHUNK + place, chunk.extent(place)))
    }

    /// The last chunk before this one.
    fn chunk_before(&self, number: u32) -> Option<u32> {
        let (group, place) = split(number.checked_sub(1)?);
        if let Some(place) = self.existing[group].last_until(place) {
            return Some(group as u32 * CHUNK + place);
        }
        let group = self.groups.last_until((group as u32).checked_sub(1)?)?;
        Some(group * CHUNK + self.existing[group as usize].last_until(CHUNK - 1)?)
    }

    /// A span starts at `at`; what was known of it is replaced.
    #[inline]
    pub(super) fn insert(&mut self, at: u32, extent: Extent) {
        let (number, place) = split(at);
        if self.chunks[number].is_none() {
            self.make(number);
        }
        if let Some(chunk) = &mut self.chunks[number] {
            chunk.starts.insert(place);
            chunk.units[place as usize] = extent.units;
            chunk.states[place as usize] = packed(extent.state);
        }
    }

    #[cold]
    fn make(&mut self, number: usize) {
        self.chunks[number] = Some(self.spare.pop().unwrap_or_else(|| Box::new(Chunk::new())));
        let (group, place) = split(number as u32);
        self.existing[group].insert(place);
        self.groups.insert(group as u32);
    }

    /// No span starts at `at` any more.
    #[inline]
    pub(super) fn remove(&mut self, at: u32) {
        let (number, place) = split(at);
        let Some(chunk) = &mut self.chunks[number] else { return };
        chunk.starts.remove(place);
        if chunk.starts.is_empty() {
            self.drop_chunk(number);
        }
    }

    #[cold]
    fn drop_chunk(&mut self, number: usize) {
        self.spare.extend(self.chunks[number].take().filter(|_| self.spare.len() < SPARE));
        let (group, place) = split(number as u32);
        self.existing[group].remove(place);
        if self.existing[group].is_empty() {
            self.groups.remove(group as u32);
        }
    }
}

impl Chunk {
    fn new() -> Self {
        let zeroes = || vec![0; CHUNK as usize].into_boxed_slice();
        Self { starts: Set::EMPTY, units: zeroes(), states: zeroes() }
    }

    fn extent(&self, place: u32) -> Extent {
        let place = place as usize;
        Extent { units: self.units[place], state: unpacked(self.states[place]) }
    }
}

impl Set {
    const EMPTY: Self = Self { words: [0; WORD as usize], filled: 0 };

    fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn contains(&self, number: u32) -> bool {
        self.words[(number / WORD) as usize] >> (number % WORD) & 1 == 1
    }

    fn insert(&mut self, number: u32) {
        self.words[(number / WORD) as usize] |= 1 << (number % WORD);
        self.filled |= 1 << (number / WORD);
    }

    fn remove(&mut self, number: u32) {
        let word = &mut self.words[(number / WORD) as usize];
        *word &= !(1 << (number % WORD));
        if *word == 0 {
            self.filled &= !(1 << (number / WORD));
        }
    }

    /// The largest number that is not above `number`.
    fn last_until(&self, number: u32) -> Option<u32> {
        let at = number / WORD;
        let here = self.words[at as usize] & (u64::MAX >> (WORD - 1 - number % WORD));
        if let Some(bit) = here.checked_ilog2() {
            return Some(at * WORD + bit);
        }
        let before = (self.filled & ((1 << at) - 1)).checked_ilog2()?;
        Some(before * WORD + self.words[before as usize].ilog2())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const UNITS: u32 = u32::MAX;

    /// Near each other, or far apart in every way that there is.
    fn unit() -> impl Strategy<Value = u32> {
        prop_oneof![
            0..200_u32,
            CHUNK - 70..CHUNK + 70,
            (0..CHUNK).prop_map(|chunk| chunk * CHUNK),
            (0..UNITS / CHUNK).prop_map(|chunk| chunk * CHUNK + CHUNK - 1),
            0..UNITS,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 2 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn finds_what_a_tree_finds(
            steps in prop::collection::vec((unit(), any::<bool>(), any::<u32>()), 1..60),
            looks in prop::collection::vec(unit(), 1..60),
        ) {
            let mut spans = Spans::new(UNITS);
            let mut tree = BTreeMap::new();
            for (at, comes, token) in steps {
                if comes {
                    let states = [State::Hole, State::Free, State::Busy, State::Used(token / 4)];
                    let extent = Extent { units: token | 1, state: states[token as usize % 4] };
                    spans.insert(at, extent);
                    tree.insert(at, extent);
                } else if let Some((&at, _)) = tree.range(..=at).next_back() {
                    spans.remove(at);
                    tree.remove(&at);
                }
                for look in looks.iter().copied().chain([0, at, UNITS - 1]) {
                    let expected = tree.range(..=look).next_back().map(|(&at, &extent)| (at, extent));
                    prop_assert_eq!(spans.last_until(look), expected);
                    prop_assert_eq!(spans.get(look), tree.get(&look).copied());
                }
            }
            for &at in tree.keys() {
                spans.remove(at);
            }
            prop_assert!(spans.chunks.iter().all(Option::is_none), "nothing is kept for nothing");
            prop_assert_eq!(spans.last_until(UNITS - 1), None);
        }
    }
}
