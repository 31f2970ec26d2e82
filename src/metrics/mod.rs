//! What the pools count, as a textfile for Prometheus.
//!
//! `node_exporter` hands on what it finds in the `*.prom` files of one directory. Each process has
//! one there, made from the same numbers as the stats file:
//!
//! | label | meaning |
//! |---|---|
//! | `pid`, `executable` | the process, on every series |
//! | `gpu`, `UUID` | the device: its ordinal in the process, and what it is called everywhere |
//! | `cause` | of `cupool_released_bytes_total`: what had memory given back, one of the words of the stats file |
//!
//! Names follow Prometheus' conventions: base units, `_bytes`, `_seconds`, and `_total` for what only
//! goes up. There are no timestamps, which a textfile must not have; `node_textfile_mtime_seconds`
//! tells how old a file is.
//!
//! # Life
//! The file is replaced as a whole, and deleted when the process exits: `node_exporter` would hand on
//! a file that stays for ever, and with each pid the number of series would grow. A series whose file
//! is gone is marked stale by Prometheus at the next scrape; what it was before remains there. What a
//! killed process leaves is deleted by the next one that starts in the same pid namespace.

mod family;
#[cfg(test)]
mod tests;
mod textfile;

pub use family::text;
pub use textfile::Textfile;
