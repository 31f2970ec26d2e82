//! Allocation traces: what a program asked for, and when.
//!
//! A trace is text, plain or compressed with gzip, one line per call, in the order of the calls:
//!
//! ```text
//! a ID BYTES THREAD MICROSECONDS      an allocation
//! f ID THREAD MICROSECONDS            the free of that block
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `ID` | names the block until its free; a number, by custom counted up from 0 |
//! | `BYTES` | what the program asked for |
//! | `THREAD` | the calling thread; a number, by custom counted up from 0 |
//! | `MICROSECONDS` | when, since the first line |
//!
//! Allocations of 0 bytes and calls that failed are usually left out, and contexts and devices are
//! not told apart. Fields are decimal and separated by one or more blanks. Empty lines and lines that start with `#`
//! mean nothing. Blocks that are still live at the end were never freed. Several gzip members in one
//! file are read as one text, so that a trace can be written piece by piece.
//!
//! What is read has its blocks and threads numbered from 0, in the order in which they come.

mod error;
mod line;
mod reader;
#[cfg(test)]
#[cfg(not(miri))]
mod tests;
mod writer;

pub use error::TraceError;
pub use line::{Action, Event};
pub use reader::Trace;
pub use writer::{RecordError, Recorder};
