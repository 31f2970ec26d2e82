//! One line of a trace.

use std::fmt;

/// A call of the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// What it did.
    pub action: Action,
    /// The calling thread.
    pub thread: u32,
    /// When, in microseconds since the start of the trace.
    pub micros: u64,
}

/// What a call did to a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// An allocation.
    Allocate {
        /// The block's name.
        id: u64,
        /// Its size in bytes as it was asked for.
        bytes: u64,
    },
    /// A free.
    Free {
        /// The block's name.
        id: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, thread, micros } = self;
        match action {
            Action::Allocate { id, bytes } => write!(f, "a {id} {bytes} {thread} {micros}"),
            Action::Free { id } => write!(f, "f {id} {thread} {micros}"),
        }
    }
}

/// Reads a line without its end. `None` for one that means nothing; the error says in a few words
/// what is wrong.
pub(super) fn parse(line: &[u8]) -> Result<Option<Event>, &'static str> {
    let mut fields =
        line.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
    let event = match fields.next() {
        None => return Ok(None),
        Some(comment) if comment.starts_with(b"#") => return Ok(None),
        Some(b"a") => {
            let id = number(fields.next())?;
            let action = Action::Allocate { id, bytes: number(fields.next())? };
            Event { action, thread: thread(fields.next())?, micros: number(fields.next())? }
        }
        Some(b"f") => {
            let action = Action::Free { id: number(fields.next())? };
            Event { action, thread: thread(fields.next())?, micros: number(fields.next())? }
        }
        Some(_) => return Err("it starts with neither `a` nor `f`"),
    };
    match fields.next() {
        None => Ok(Some(event)),
        Some(_) => Err("it has too many fields"),
    }
}

fn number(field: Option<&[u8]>) -> Result<u64, &'static str> {
    let field = field.ok_or("a field is missing")?;
    if !field.iter().all(u8::is_ascii_digit) {
        return Err("a field is not a decimal number");
    }
    let digits = str::from_utf8(field).map_err(|_| "a field is not a decimal number")?;
    digits.parse().map_err(|_| "a number is too large")
}

fn thread(field: Option<&[u8]>) -> Result<u32, &'static str> {
    number(field)?.try_into().map_err(|_| "a number is too large")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_and_shown() {
        let allocation =
            Event { action: Action::Allocate { id: 7, bytes: 4096 }, thread: 2, micros: u64::MAX };
        let free = Event { action: Action::Free { id: 0 }, thread: 0, micros: 3 };
        for (line, event) in [("a 7 4096 2 18446744073709551615", allocation), ("f 0 0 3", free)] {
            assert_eq!(parse(line.as_bytes()), Ok(Some(event)));
            assert_eq!(event.to_string(), line);
        }
        assert_eq!(parse(b" f\t0  0 3 \r"), Ok(Some(free)));
    }

    #[test]
    fn some_lines_mean_nothing() {
        for line in ["", "  ", "\r", "# a 1 2 3 4", "#"] {
            assert_eq!(parse(line.as_bytes()), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, fault) in [
            ("x 1 2 3", "it starts with neither `a` nor `f`"),
            ("ab 1 2 3 4", "it starts with neither `a` nor `f`"),
            ("a 1 2 3", "a field is missing"),
            ("f 1 2", "a field is missing"),
            ("f 1 2 3 4", "it has too many fields"),
            ("a 1 -2 3 4", "a field is not a decimal number"),
            ("a 1 +2 3 4", "a field is not a decimal number"),
            ("a 1 0x2 3 4", "a field is not a decimal number"),
            ("a 1 2 3 18446744073709551616", "a number is too large"),
            ("f 1 4294967296 3", "a number is too large"),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(fault), "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_or_refused(line in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&line);
        }
    }
}
