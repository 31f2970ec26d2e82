//! The simulated driver, tested through its C interface.
//!
//! A hazard ends the process and the settings are read once in it, so every test's body runs in a
//! process of its own: [`child`] starts the test binary again for it.

// The names of C functions.
#![allow(non_snake_case)]

mod captures;
mod child;
mod contexts;
mod cuda;
mod errors;
mod hazards;
mod lookups;
mod mapping;
mod order;
mod peers;
mod pools;
