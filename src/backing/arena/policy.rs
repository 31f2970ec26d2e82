//! What a miss prefers, by name.
//!
//! Tuned on recorded allocation traces with the costs of an H200 (driver 580): a handle costs some
//! 40 µs to make or to move, nearly whatever its size, and memory that is reserved beyond what the
//! program holds is lost to everybody else.

/// What a miss of an arena prefers.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Growing is preferred over moving as long as what is reserved stays within the most that the
    /// program has held since the last flush, plus one part in so many.
    pub slack: u64,
    /// The size of a large fresh handle in bytes. Only wholly free handles can move or be given back, so
    /// large blocks are made of several; a small block has a handle of its own size.
    pub largest: u64,
    /// But no more than so many handles are made for one block: with thousands of them a block as
    /// large as the device would take seconds where other processes keep the driver busy.
    pub pieces: u32,
    /// Fresh memory that extends nothing and fits in no hole is put where so many times its size of
    /// addresses stay free below it, so that what is there can grow in place later. Addresses cost
    /// nothing.
    pub room: u32,
    /// Free extents that are looked at for the place where the least is missing.
    pub places: usize,
}

impl Policy {
    /// The one and only default.
    pub const DEFAULT: Self =
        Self { slack: 64, largest: 64 << 20, pieces: 256, room: 5, places: 64 };
}
