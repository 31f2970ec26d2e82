//! When a freed block may be handed out again, and when its pages may be given back.
//!
//! Native `cudaFree` does two things beside freeing: all later work of the context runs behind all
//! earlier work, and the host waits. [`Mode`] says how much of that a free does, [`Fences`] does it
//! without waiting, [`Captures`] keeps it out of stream captures, and a [`Sign`] tells that somebody
//! could notice the missing wait.

mod capture;
mod debt;
mod fence;
mod mode;
mod sign;
mod turn;

pub use capture::Captures;
pub use debt::Debt;
pub use fence::{Fences, Ordered, Stamp};
pub use mode::{Mode, ModeSwitch};
pub use sign::Sign;

use crate::sync;
