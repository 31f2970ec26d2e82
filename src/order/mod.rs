//! When a freed block may be handed out again, and when its pages may be given back.

mod sign;

pub use sign::Sign;
