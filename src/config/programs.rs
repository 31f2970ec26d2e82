//! A set of programs, by patterns.

use super::value::Value;

/// Patterns for executables, none of them empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs(Vec<String>);

impl Programs {
    /// The programs that a text of patterns between colons names.
    pub(super) fn of(text: &str) -> Self {
        let patterns = text.split(':').map(str::trim).filter(|pattern| !pattern.is_empty());
        Self(patterns.map(str::to_owned).collect())
    }

    /// Whether no pattern is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the executable at `path` is one of them: a pattern with a slash is for the path,
    /// another one for the name alone.
    pub fn include(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let fits = |pattern: &String| {
            let subject = if pattern.contains('/') { path } else { name };
            matches(pattern.as_bytes(), subject.as_bytes())
        };
        self.0.iter().any(fits)
    }
}

impl Value for Programs {
    const FORM: &'static str = "none|PATTERN:PATTERN:… (*, ?)";

    fn parse(text: &str, _testing: bool) -> Result<Self, &'static str> {
        let programs = Self::of(text);
        match programs.0.as_slice() {
            [] => Err("no pattern"),
            [word] if word.eq_ignore_ascii_case("none") => Ok(Self::default()),
            _ => Ok(programs),
        }
    }

    fn show(&self) -> String {
        if self.is_empty() { "none".to_owned() } else { self.0.join(":") }
    }
}

/// Whether `text` is as `pattern` says: `?` stands for any byte, `*` for any number of them. Takes no
/// more than the product of both lengths, whatever the pattern.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut next) = (0, 0);
    // Where the last star is, and how much of the text it stands for by now.
    let mut star = None;
    while next < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, next));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[next] => {
                at += 1;
                next += 1;
            }
            _ => {
                let Some((place, begun)) = star else { return false };
                star = Some((place, begun + 1));
                at = place + 1;
                next = begun + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_for_names_or_paths() {
        let programs = Programs::of("python3*: train ::/opt/*/bin/?x");
        for path in ["/usr/bin/python3.12", "python3", "/a/train", "/opt/a/b/bin/xx"] {
            assert!(programs.include(path), "{path}");
        }
        for path in ["/usr/bin/python2", "/python3/sh", "trainer", "/opt/bin/xx", ""] {
            assert!(!programs.include(path), "{path}");
        }
        assert!(!Programs::default().include("anything"));
    }

    #[test]
    fn stars_go_back_as_far_as_needed() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*b*c", "aXbbXc", true),
            ("*ab", "aab", true),
            ("a*b", "aXc", false),
            ("**?", "x", true),
            ("?", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
        let hostile = "*a".repeat(50) + "b";
        assert!(!matches(hostile.as_bytes(), "a".repeat(5000).as_bytes()));
    }
}
