//! Reading a trace.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::TraceError;
use super::error::Cause;
use super::line::{self, Action, Event};

const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A whole trace. Its blocks are renumbered: the id in each [`Event`] counts allocations from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The calls, in their order.
    pub events: Vec<Event>,
    /// How many of them allocate.
    pub allocations: u64,
}

impl Trace {
    /// Reads the file at `path`, plain or gzip, whatever it is called.
    ///
    /// # Errors
    /// The file cannot be read, a line is none of the format, a block is allocated while it is live
    /// or freed while it is not.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let failed = |error| TraceError::new(path, None, Cause::Read(error));
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
        let gzip = file.fill_buf().map_err(failed)?.starts_with(&GZIP);
        if gzip {
            let mut text = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file));
            Self::read_lines(&mut text, path, true)
        } else {
            Self::read_lines(&mut file, path, false)
        }
    }

    fn read_lines(text: &mut impl BufRead, path: &Path, gzip: bool) -> Result<Self, TraceError> {
        let mut blocks = Blocks::default();
        let mut threads = HashMap::new();
        let mut events = Vec::new();
        let mut buffer = Vec::new();
        for number in 1.. {
            let fault = |cause| TraceError::new(path, Some(number), cause);
            buffer.clear();
            match text.by_ref().take(LONGEST).read_until(b'\n', &mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(TraceError::new(path, None, cause_of(error, gzip))),
            }
            // What is not text at all has lines of any length.
            if buffer.len() as u64 == LONGEST {
                return Err(fault(Cause::Line("it is too long")));
            }
            let event = line::parse(&buffer).map_err(|what| fault(Cause::Line(what)))?;
            if let Some(mut event) = event {
                let next = threads.len() as u32;
                event.thread = *threads.entry(event.thread).or_insert(next);
                events.push(blocks.renumber(event).map_err(fault)?);
            }
        }
        Ok(Self { events, allocations: blocks.allocated })
    }
}

/// No line of the format is as long.
const LONGEST: u64 = 4096;

fn cause_of(error: io::Error, gzip: bool) -> Cause {
    match error.kind() {
        io::ErrorKind::UnexpectedEof if gzip => Cause::Truncated,
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if gzip => Cause::Damaged,
        _ => Cause::Read(error),
    }
}

/// The blocks that are live, by the id in the file.
#[derive(Default)]
struct Blocks {
    live: HashMap<u64, u64>,
    allocated: u64,
}

impl Blocks {
    fn renumber(&mut self, mut event: Event) -> Result<Event, Cause> {
        match &mut event.action {
            Action::Allocate { id, .. } => {
                let Entry::Vacant(place) = self.live.entry(*id) else {
                    return Err(Cause::AllocatedTwice(*id));
                };
                *id = self.allocated;
                place.insert(*id);
                self.allocated += 1;
            }
            Action::Free { id } => {
                *id = self.live.remove(id).ok_or(Cause::FreedUnknown(*id))?;
            }
        }
        Ok(event)
    }
}
