//! What a miss prefers, by name.
//!
//! Tuned on recorded allocation traces with the costs of an H200 (driver 580): a handle costs some
//! 40 µs to make or to move, whatever its size, and memory that is reserved beyond what the program
//! holds is lost to everybody else.

/// See the [module](self).
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Growing is preferred over remapping as long as what is reserved stays within the most that
    /// the program has held so far plus one part in so many.
    pub slack: u64,
    /// A fresh handle is at least one part in so many of what is reserved: so the number of handles
    /// grows with the logarithm of the memory, and what is made in advance stays small beside it.
    pub advance: u64,
    /// And never more than this is made in advance, in bytes.
    pub advance_limit: u64,
    /// The largest fresh handle in bytes. Only wholly free handles can move or be given back.
    pub largest: u64,
    /// Holes that are looked at for the place where the least is missing.
    pub places: usize,
}

impl Policy {
    /// The one and only default.
    pub const DEFAULT: Self =
        Self { slack: 64, advance: 64, advance_limit: 32 << 20, largest: 1 << 30, places: 32 };
}
