//! Going through the words of a page, in one way for writing and for reading.
//!
//! What a page holds is described once, as a walk over its fields; the walk writes with a [`Pen`] and
//! reads with a [`Glass`].

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

/// The size of a word in bytes.
pub(super) const WORD: usize = size_of::<u64>();

/// Visits one field after the other.
pub(super) trait Cursor {
    /// A whole number.
    fn number(&mut self, value: &mut u64);

    /// A text of at most `words` words.
    fn text(&mut self, value: &mut String, words: usize);

    /// A smaller number.
    fn small(&mut self, value: &mut u32) {
        let mut word = u64::from(*value);
        self.number(&mut word);
        match u32::try_from(word) {
            Ok(small) => *value = small,
            Err(_) => self.wrong("a number out of range"),
        }
    }

    /// A fractional number.
    fn real(&mut self, value: &mut f64) {
        let mut bits = value.to_bits();
        self.number(&mut bits);
        *value = f64::from_bits(bits);
        if !value.is_finite() {
            self.wrong("a time that is no number");
        }
    }

    /// A word of a fixed set.
    fn word(&mut self, value: &mut Cow<'static, str>, words: usize) {
        let mut text = std::mem::take(value).into_owned();
        self.text(&mut text, words);
        *value = Cow::Owned(text);
    }

    /// The field cannot be what it says.
    fn wrong(&mut self, what: &'static str);
}

/// Writes. What does not fit is left out.
pub(super) struct Pen<'a> {
    words: std::slice::Iter<'a, AtomicU64>,
}

impl<'a> Pen<'a> {
    pub(super) fn new(words: &'a [AtomicU64]) -> Self {
        Self { words: words.iter() }
    }

    fn put(&mut self, value: u64) {
        debug_assert!(!self.words.as_slice().is_empty(), "the layout has a word for each field");
        if let Some(word) = self.words.next() {
            word.store(value, Ordering::Relaxed);
        }
    }
}

impl Cursor for Pen<'_> {
    fn number(&mut self, value: &mut u64) {
        self.put(*value);
    }

    fn text(&mut self, value: &mut String, words: usize) {
        let mut length = value.len().min(words * WORD);
        while !value.is_char_boundary(length) {
            length -= 1;
        }
        let bytes = &value.as_bytes()[..length];
        self.put(length as u64);
        for index in 0..words {
            let mut word = [0; WORD];
            let rest = bytes.get(index * WORD..).unwrap_or_default();
            let part = &rest[..rest.len().min(WORD)];
            word[..part.len()].copy_from_slice(part);
            self.put(u64::from_ne_bytes(word));
        }
    }

    fn wrong(&mut self, _what: &'static str) {}
}

/// Reads, and remembers the first thing that cannot be.
pub(super) struct Glass<'a> {
    words: std::slice::Iter<'a, u64>,
    fault: Option<&'static str>,
}

impl<'a> Glass<'a> {
    pub(super) fn new(words: &'a [u64]) -> Self {
        Self { words: words.iter(), fault: None }
    }

    fn take(&mut self) -> u64 {
        match self.words.next() {
            Some(&word) => word,
            None => {
                self.wrong("it ends too early");
                0
            }
        }
    }

    /// Whether all that was read can be.
    pub(super) fn finish(self) -> Result<(), &'static str> {
        self.fault.map_or(Ok(()), Err)
    }
}

impl Cursor for Glass<'_> {
    fn number(&mut self, value: &mut u64) {
        *value = self.take();
    }

    fn text(&mut self, value: &mut String, words: usize) {
        let length = self.take();
        let bytes: Vec<u8> = (0..words).flat_map(|_| self.take().to_ne_bytes()).collect();
        value.clear();
        let text = usize::try_from(length).ok().and_then(|length| bytes.get(..length));
        match text.map(std::str::from_utf8) {
            Some(Ok(text)) => value.push_str(text),
            Some(Err(_)) => self.wrong("a text that is not UTF-8"),
            None => self.wrong("a text longer than its place"),
        }
    }

    fn wrong(&mut self, what: &'static str) {
        self.fault.get_or_insert(what);
    }
}
