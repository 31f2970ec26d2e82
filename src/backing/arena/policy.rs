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
    /// But no more than so many handles are made for one block: what lies in a handle together with
    /// the next block cannot be given back, and a handle costs some 80 µs, in all. On an H200 with four
    /// neighbours that kept the driver busy 120 GiB took 0.5 s so (0.26 s natively, 0.18 s with 256
    /// handles), and 0.08 to 0.16 s alone (0.1 s natively).
    pub pieces: u32,
    /// Fresh memory that extends nothing and fits in no hole is put where so many times its size of
    /// addresses stay free below it, so that what is there can grow in place later. Addresses cost
    /// nothing.
    pub room: u32,
    /// Free extents that are looked at for the place where the least is missing, and holes for the lowest
    /// that is large enough.
    pub places: usize,
}

impl Policy {
    /// The one and only default.
    pub const DEFAULT: Self =
        Self { slack: 64, largest: 64 << 20, pieces: 4096, room: 5, places: 64 };
}
