//! What a backing has taken from the driver, piece by piece.

use super::Token;
use crate::driver::DevicePtr;

/// Memory in one stretch of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins.
    pub ptr: DevicePtr,
    /// Its size in bytes: the sum of its pieces.
    pub bytes: u64,
    /// Whether it can grow and shrink.
    pub expandable: bool,
    /// What it consists of, by address and without gaps.
    pub pieces: Vec<Piece>,
}

/// A part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub ptr: DevicePtr,
    /// Its size in bytes.
    pub bytes: u64,
    /// Who has it.
    pub holder: Holder,
}

/// Who has a piece, as far as the backing knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A block that the backing has handed out: the program's, or idle in front of the backing.
    Block(Token),
    /// Nobody yet: it was freed during a stream capture, is moving or leaving, or others may reach it.
    Waiting,
    /// Nobody.
    Idle,
}

impl Segment {
    /// A segment that begins at `ptr`, of which nothing is known yet.
    pub(super) fn new(ptr: DevicePtr, expandable: bool) -> Self {
        Self { ptr, bytes: 0, expandable, pieces: Vec::new() }
    }

    /// Adds `bytes` more at its end. Idle pieces are one with their neighbours.
    pub(super) fn push(&mut self, bytes: u64, holder: Holder) {
        let ptr = DevicePtr(self.ptr.0 + self.bytes);
        self.bytes += bytes;
        match self.pieces.last_mut() {
            _ if bytes == 0 => {}
            Some(last) if holder == Holder::Idle && last.holder == holder => last.bytes += bytes,
            _ => self.pieces.push(Piece { ptr, bytes, holder }),
        }
    }
}
