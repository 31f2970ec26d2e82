//! What is said about an entry that could not be used.

use std::fmt;

/// An entry of `CUPOOL_CONF` that was left out. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    key: String,
    value: String,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The key does not exist.
    Key { known: &'static [&'static str] },
    /// The entry has no colon.
    NoValue,
    /// The value does not fit.
    Value { cause: &'static str, form: &'static str },
}

impl Warning {
    /// Keys and values of more characters are cut in the message.
    const LONGEST: usize = 60;

    pub(super) fn new(key: &str, value: &str, fault: Fault) -> Self {
        Self { key: printable(key), value: printable(value), fault }
    }

    /// The key as the user wrote it, cut and made printable.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value as the user wrote it, cut and made printable.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tell(f, "CUPOOL_CONF:", " ignored")
    }
}

impl Warning {
    /// The same of an entry that came by `--conf`, for which a command refuses to go on.
    pub fn refusal(&self) -> String {
        let mut line = String::new();
        // Writing to a string cannot fail.
        let _ = self.tell(&mut line, "--conf", "");
        line
    }

    fn tell(&self, f: &mut impl fmt::Write, whence: &str, ignored: &str) -> fmt::Result {
        let Self { key, value, fault } = self;
        match fault {
            Fault::Key { known } => {
                write!(f, "{whence} {key}:{value}{ignored}: no such option; there are ")?;
                for (index, name) in known.iter().enumerate() {
                    write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Fault::NoValue => write!(f, "{whence} {key}{ignored}: no value; write key:value"),
            Fault::Value { cause, form } => {
                write!(f, "{whence} {key}:{value}{ignored}: {cause}; use {form}")
            }
        }
    }
}

/// A user's text as it can stand in one line of a terminal.
fn printable(text: &str) -> String {
    let mut cut: String = text.chars().take(Warning::LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut.chars().fold(String::new(), |mut line, c| {
        // Control characters, and the format characters that reorder or hide text.
        match c {
            '"' | '\'' | '\\' => line.push(c),
            _ => line.extend(c.escape_debug()),
        }
        line
    })
}
