//! A simulated CUDA driver: `libcuda.so.1` for machines without a GPU.
//!
//! It exports the driver API with NVIDIA's names, versions and error codes. Kernels and copies
//! really read and write memory, asynchronously, at the end of the time they are said to take.
//!
//! What it is for: it knows the order that the program has established between operations
//! ([`clock`]), and aborts with a report when memory is used out of order ([`hazard`]), however
//! lucky the timing was.
//!
//! A call's way through: [`exports`] (the C symbols, one table) → [`dispatch`] (counts, scripted
//! faults, log) → the room that implements it → [`engine`] (what was submitted runs).

// An exported function mirrors the driver's parameter list, whatever its length.
#![allow(clippy::too_many_arguments)]

mod abi;
mod backing;
mod capture;
mod clock;
mod context;
mod copy;
mod device;
mod dispatch;
mod engine;
mod error;
mod event;
mod exports;
mod fill;
mod graph;
mod green;
mod hazard;
mod host_function;
mod host_memory;
mod ipc;
mod kernels;
mod latency;
mod ledger;
mod memory;
mod memory_pool;
mod module;
mod peer;
mod pointer;
mod primary;
mod procaddr;
mod settings;
mod state;
mod stream;
mod stream_memory;
mod timeline;
mod unsupported;
mod vmm;
mod withdraw;
