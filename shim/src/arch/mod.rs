//! What has to be said in assembly: exported functions that jump on with their caller's registers
//! and return address intact.

#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod machine;

// aarch64 needs the same five items in `aarch64.rs`; the arguments are x0 to x7 and v0 to v7.
#[cfg(not(target_arch = "x86_64"))]
compile_error!("libcupool.so is written for x86_64 only: see shim/src/arch/x86_64.rs");

pub(crate) use machine::{SPARES, SavedArguments, enter, export_thunks, spare, spare_index};
