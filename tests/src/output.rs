//! What a program did, and how two runs differ.

use std::fmt::Write;

use tempfile::TempDir;

use crate::Stats;

/// A finished run.
#[derive(Debug)]
pub struct Output {
    /// The program and how it was run.
    pub label: String,
    /// Everything it printed.
    pub stdout: String,
    /// Everything it printed to standard error.
    pub stderr: String,
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last stats file of its process.
    pub stats: Option<Stats>,
    /// What it left behind in its directory.
    pub files: Vec<String>,
    /// The directory itself, which goes with this value.
    pub directory: TempDir,
}

impl Output {
    /// Its stats file.
    ///
    /// # Panics
    /// If it wrote none.
    #[track_caller]
    pub fn stats(&self) -> &Stats {
        self.stats.as_ref().unwrap_or_else(|| panic!("no stats file\n{}", self.report()))
    }

    /// Checks that it ended with exit code 0.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn succeeded(&self) -> &Output {
        assert!(self.code == Some(0), "should have succeeded\n{}", self.report());
        self
    }

    /// Checks that it succeeded and printed this.
    ///
    /// # Panics
    /// If it did not, showing the first line that differs.
    #[track_caller]
    pub fn printed(&self, expected: &str) -> &Output {
        self.succeeded();
        if let Some(difference) = difference(expected, &self.stdout) {
            panic!("{difference}\n{}", self.report());
        }
        self
    }

    /// The whole run, for a failing test's message.
    pub fn report(&self) -> String {
        let mut text = String::new();
        let end = match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (_, signal) => format!("signal {}", signal.unwrap_or_default()),
        };
        let _ = write!(text, "{}: {end}\n--- stdout\n{}", self.label, self.stdout);
        let _ = write!(text, "--- stderr\n{}---", self.stderr);
        text
    }
}

/// Checks that the pooled run looks, from outside, just like the bare one: output, standard
/// error and the way it ended.
///
/// # Panics
/// If anything differs, with both runs in the message.
#[track_caller]
pub fn assert_same(bare: &Output, pooled: &Output) {
    let ended = (bare.code, bare.signal) == (pooled.code, pooled.signal);
    let difference = difference(&bare.stdout, &pooled.stdout)
        .or_else(|| difference(&bare.stderr, &pooled.stderr))
        .or_else(|| (!ended).then(|| "they ended differently".to_owned()));
    if let Some(difference) = difference {
        panic!("{difference}\n=== expected\n{}\n=== got\n{}", bare.report(), pooled.report());
    }
}

/// The first line in which two texts differ.
fn difference(expected: &str, got: &str) -> Option<String> {
    if expected == got {
        return None;
    }
    let mut got_lines = got.lines();
    for (number, expected) in (1..).zip(expected.lines()) {
        match got_lines.next() {
            Some(got) if got == expected => {}
            Some(got) => {
                return Some(format!(
                    "line {number} differs\n  expected: {expected}\n  got:      {got}"
                ));
            }
            None => return Some(format!("line {number} is missing: {expected}")),
        }
    }
    Some(match got_lines.next() {
        Some(extra) => format!("an unexpected line: {extra}"),
        None => "they differ in the final newline".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn differences_are_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        let changed = difference("a\nb\n", "a\nc\n").unwrap_or_default();
        assert!(changed.contains("line 2") && changed.contains("got:      c"), "{changed}");
        assert!(difference("a\nb\n", "a\n").is_some_and(|text| text.contains("missing: b")));
        assert!(difference("a\n", "a\nb\n").is_some_and(|text| text.contains("unexpected")));
        assert!(difference("a\n", "a").is_some_and(|text| text.contains("newline")));
    }
}
