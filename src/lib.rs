//! cupool.
pub fn x() -> i32 { 3 }
