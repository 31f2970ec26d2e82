//! What has to be said in assembly: exported functions that jump on with their caller's registers
//! and return address intact.

#[cfg(target_arch = "aarch64")]
#[path = "aarch64.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod machine;

#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
compile_error!("libcupool.so is written for aarch64 and x86_64: see shim/src/arch");

pub(crate) use machine::{SavedArguments, enter, export_thunks};

/// How many spare thunks there are.
pub const SPARES: usize = 512;
/// Bytes from one spare thunk to the next.
const SPARE_BYTES: usize = 16;

/// The spare thunk of that index.
pub fn spare(index: usize) -> usize {
    debug_assert!(index < SPARES);
    first_spare() + index * SPARE_BYTES
}

/// The index of the spare thunk that `inside` is in.
pub fn spare_index(inside: usize) -> Option<usize> {
    let index = inside.checked_sub(first_spare())? / SPARE_BYTES;
    (index < SPARES).then_some(index)
}

/// Where the spare thunks begin: `spares` itself may begin with padding.
fn first_spare() -> usize {
    (machine::spares as *const () as usize).next_multiple_of(SPARE_BYTES)
}
