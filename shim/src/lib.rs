//! `libcupool.so`: put in front of an unmodified CUDA process with `LD_PRELOAD`, it serves
//! `cudaMalloc` and `cudaFree` from the pools of the `cupool` crate.
//!
//! Two halves that meet in [`state`]:
//!
//! - *Interposition*: the functions a program finds instead of the driver's, and the way on to the
//!   real ones.
//! - *Process life*: when the pools are made, the signal, the worker, fork, exit, and the functions
//!   that a program can call ([`api`], declared in `include/cupool.h`).
//!
//! It does nothing until the process uses CUDA, but for keeping an early signal from killing it.

mod api;
mod arch;
mod cancel;
mod cudart;
mod disposition;
mod dlsym;
mod driver;
mod dump;
mod elf;
mod entry;
mod ffi;
mod frameworks;
mod futex;
mod guard;
mod hooks;
mod ipc;
mod libcuda;
mod life;
mod linker;
mod live;
mod lookup;
mod metrics;
mod notice;
mod object;
mod predicate;
mod signal;
mod state;
mod surroundings;
mod table;
mod thunk;
mod tools;
mod worker;
mod wrapped;
