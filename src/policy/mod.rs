//! What is decided about idle memory without being asked, as functions of what is known: nothing here
//! calls the driver, reads a clock or takes a lock.

pub mod decay;
pub mod flush;
