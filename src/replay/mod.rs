//! Playing a trace through the real pool on a modelled driver.
//!
//! The pool is the one that serves programs: the same [`Pools`], the same backing, the same options.
//! Only the driver is a model: an H200 whose calls cost what [`costs`] says, and which finishes what
//! it is given [`lag`](Settings::lag) after it was given it, by the trace's own clock. There is one
//! pass, and nothing looks ahead, so what comes out is what the pool would have done; but for the
//! host time of the pool itself it is the same each time.
//!
//! What the model leaves out: the trace does not run faster because the pool is, a wait for the
//! device does not delay what comes after it, all calls come from one thread, and there is one
//! context on one device. The wait of a native free, and of `order:strict`, is the lag each time,
//! although a program that waited so often would keep the device less busy.

mod audit;
pub mod costs;
mod device;
mod figures;
mod model;
mod play;
#[cfg(test)]
mod tests;

pub use figures::{Figures, table};
pub use play::{Moment, Settings, play, play_watched};

#[cfg(doc)]
use crate::pools::Pools;
