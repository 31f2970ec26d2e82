//! CUDA IPC for memory that the driver cannot share by a handle of its own: a handle of ours names
//! the block and its process, and a Unix socket passes descriptors of the memory behind it.
//!
//! ```text
//!  exporter                                  importer
//!  cuIpcGetMemHandle ──── 64 bytes, by any way of the program's ───▶ cuIpcOpenMemHandle
//!  (listens from the first one on)                                   │
//!        ◀───────────────────────── the handle ──────────────────────┤
//!        ├──── where the block begins, its size, descriptors ───────▶│ imports, maps, closes them
//! ```
//!
//! The socket's name is abstract. So nothing is left behind when a process is killed, no directory
//! has to be the same for both (`XDG_RUNTIME_DIR` and `/tmp` often are not), and none to be writable.
//! Such a name holds within one network namespace. Each side asks the system who the other is, and
//! deals with its own user only; besides, the name is but half of what a handle knows.
//!
//! Nobody waits for the other side for ever: every send and receive has a limit.

mod client;
mod handle;
mod mapping;
mod server;
#[cfg(all(test, not(miri)))]
mod tests;
mod wire;

pub use client::FetchError;
pub use handle::{Handle, Key, Parsed};
pub use mapping::Mapping;
pub use server::Server;
