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
        let Self { key, value, fault } = self;
        match fault {
            Fault::Key { known } => {
                write!(f, "CUPOOL_CONF: {key}:{value} ignored: no such option; there are ")?;
                for (index, name) in known.iter().enumerate() {
                    write!(f, "{}{name}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Fault::NoValue => write!(f, "CUPOOL_CONF: {key} ignored: no value; write key:value"),
            Fault::Value { cause, form } => {
                write!(f, "CUPOOL_CONF: {key}:{value} ignored: {cause}; use {form}")
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
