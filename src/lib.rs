//! A caching pool for CUDA device memory: everything that can be understood without a GPU.
//!
//! `libcupool.so` (the crate in `shim/`) stands in front of an unmodified CUDA process and sends its
//! `cuMemAlloc`/`cuMemFree` here:
//!
//! ```text
//! program → libcudart → hook (shim) → Pool → Backing → Driver
//! ```
//!
//! This crate exports no symbol, looks none up, and reaches the driver only through the
//! [`Driver`](driver::Driver) trait, so that all of it runs against simulated drivers.
//!
//! It does: decide which memory serves an allocation, when a freed block may be handed out again,
//! when it may be given back, and keep the figures that tell so.
//! It does not: know symbol names, signals, threads of its own, or what a process is.

#![deny(unsafe_code)]

pub mod backing;
pub mod config;
pub mod driver;
#[cfg(test)]
mod fake;
pub mod files;
pub mod front;
pub mod history;
pub mod ipc;
pub mod live;
pub mod log;
pub mod metrics;
#[cfg(all(test, not(miri)))]
mod model;
pub mod order;
pub mod policy;
pub mod pool;
pub mod pools;
pub mod ptrmap;
pub mod replay;
pub mod report;
pub mod request;
pub mod snapshot;
pub mod stats;
mod sync;
pub mod trace;
