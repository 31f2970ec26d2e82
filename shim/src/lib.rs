//! libcupool.so.
#[unsafe(no_mangle)]
pub extern "C" fn empty_cache() -> i32 { cupool::x() }
