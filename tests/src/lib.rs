//! What the end-to-end tests share: running an unmodified program bare and pooled on the
//! simulated driver, and comparing what it did.
//!
//! ```no_run
//! use cupool_tests::{Victim, assert_same};
//!
//! let bare = Victim::new("runtime_static").bare();
//! let pooled = Victim::new("runtime_static").pooled("order:fence");
//! assert_same(&bare, &pooled);
//! assert!(pooled.stats().served() > 0);
//! ```

mod elf;
mod output;
mod paths;
mod running;
mod stats;
mod victim;

pub use elf::Elf;
pub use output::{Output, assert_same};
pub use paths::{
    COMMAND, EMULATOR, HAVE_CXX, LIBCUPOOL, SIMCUDA_DIR, VICTIMS_DIR, VICTIMS_SOURCE, python,
};
pub use running::Running;
pub use stats::Stats;
pub use victim::Victim;
