//! The one place where each option is defined.

use std::fmt::Write;
use std::time::Duration;

use tracing::Level;

use super::choice::{
    Backing, Fill, LogFile, LogFormat, Order, SignalChoice, StatsFile, TraceFile, UnderTools,
};
use super::formats::{HistoryLength, MetricsDirectory, SnapshotFile};
use super::programs::Programs;
use super::value::{self, Limit, Span, Value};
use super::warning::Fault;

/// From `name: type = "default"` and its documentation make the field, its parser, its default and
/// its place in the help.
macro_rules! options {
    ($($(#[doc = $help:literal])+ $name:ident: $type:ty = $default:literal;)+) => {
        /// Every option of `CUPOOL_CONF`, with its value.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Options {
            $($(#[doc = $help])+ pub $name: $type,)+
        }

        /// How each option is called, set and explained.
        const TABLE: &[Entry] = &[$(Entry {
            name: stringify!($name),
            default: $default,
            form: <$type as Value>::FORM,
            help: &[$($help),+],
        }),+];

        impl Default for Options {
            fn default() -> Self {
                Self {
                    $($name: Value::parse($default, false).expect("a test parses each default"),)+
                }
            }
        }

        impl Options {
            /// The names of all options.
            pub const NAMES: &[&str] = &[$(stringify!($name)),+];

            /// Every option with its value in the notation of `CUPOOL_CONF`, in the order of the
            /// help: joined by `key:value,key:value` they parse to the same options.
            pub fn pairs(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($name), self.$name.show())),+]
            }

            /// Sets one option from its text, or leaves it alone.
            pub(super) fn set(
                &mut self,
                key: &str,
                text: &str,
                testing: bool,
            ) -> Result<(), Fault> {
                match key {
                    $(stringify!($name) => {
                        self.$name = value::parse(text, testing)
                            .map_err(|cause| Fault::Value { cause, form: <$type>::FORM })?;
                    })+
                    _ => return Err(Fault::Key { known: Self::NAMES }),
                }
                Ok(())
            }
        }
    };
}

options! {
    /// When freed memory may be handed out again. `strict` waits for the device inside every free,
    /// as CUDA does; `fence` orders later work behind earlier work on the device and does not wait;
    /// `auto` is `fence` until the program could tell the difference, then `strict`; `lazy` fences
    /// only before memory is reused, for programs that order their own streams.
    order: Order = "auto";
    /// Where memory comes from. `arena` maps physical memory where it is needed, which wastes and
    /// hoards the least; `exact` makes every block one driver allocation, which other processes can
    /// open by CUDA's legacy IPC; `auto` is the arena where the device and the program allow it.
    backing: Backing = "auto";
    /// Whether cupool serves a process at which a tool looks that wants to see each allocation.
    /// `auto` leaves it to the driver under a memory checker (compute-sanitizer), and serves it under a
    /// debugger (cuda-gdb); `aside` leaves it to the driver under either; `serve` does under none.
    under_tools: UnderTools = "auto";
    /// How much idle memory the pool of a context keeps at most; the least recently used goes
    /// first. A percentage is of the device's memory.
    max_idle: Limit = "20%";
    /// How long idle memory may stay unused before it is given back, in portions, by cupool's own
    /// thread. `0` is as soon as that thread sees it, `off` is for ever.
    decay: Span = "10s";
    /// Idle memory is given back, the least recently used first, while the device has less free memory
    /// than this, so that other processes find room without asking. A percentage is of the device's
    /// memory.
    min_free: Limit = "none";
    /// How often the driver is asked for that. Not at all while nothing is idle.
    min_free_period: Duration = "1s";
    /// Whether the other processes of this user under cupool on the same GPU are asked to flush, the
    /// caches of their frameworks included, for at most 200 ms, before an allocation fails for lack of
    /// memory.
    ask_neighbours: bool = "true";
    /// `empty_cache()`, the signal and requests do nothing while less than this is idle in the process;
    /// `cupool flush --force` always does. A percentage is of the device's memory. The caches of
    /// frameworks are emptied before, and what was in them counts.
    flush_threshold: Limit = "0";
    /// Nor do they less than this after the last time that they did.
    flush_interval: Option<Duration> = "none";
    /// The programs that cupool serves, all others are left alone: patterns with `*` and `?`, separated
    /// by colons, for the path of the executable, or for its name alone if they hold no slash.
    only: Programs = "none";
    /// Programs that are left alone.
    except: Programs = "none";
    /// What memory is overwritten with when it is allocated and when it is freed, to find programs that
    /// read what they never wrote: `junk` is the byte a5 and at the free 5a.
    fill: Fill = "none";
    /// Whether the last stats file lists the blocks that were never freed, by size.
    report_leaks: bool = "false";
    /// Whether idle memory of the driver's own pools (of `cudaMallocAsync` and of graphs) is given back
    /// together with that of cupool.
    flush_driver_pools: bool = "true";
    /// Whether a flush by signal or by request also empties the caches of PyTorch and CuPy in a Python
    /// process.
    framework_caches: bool = "true";
    /// The signal on which idle memory is given back and the stats file is written.
    signal: SignalChoice = "USR1";
    /// Whether the signal is caught as soon as the process starts, so that one which comes before
    /// the process uses CUDA does not kill it, instead of from the first use of CUDA.
    signal_early: bool = "true";
    /// Where the stats file goes. `default` is `cupool.%p.json` in `$XDG_RUNTIME_DIR/cupool`, or
    /// else in `/tmp/cupool-<uid>`; a path that ends in `/` names the directory alone.
    stats: StatsFile = "default";
    /// How often the stats file is written beside signals, requests and exit.
    interval: Option<Duration> = "none";
    /// Whether the process has a live page, which feeds `cupool top` and `stats` and takes requests
    /// for a flush.
    live: bool = "true";
    /// Where every allocation and free is written down, for `cupool replay`. The file must not exist
    /// yet, and is compressed if its name ends in `.gz`; a path that ends in `/` names the directory
    /// alone.
    trace: TraceFile = "none";
    /// The directory of a textfile for Prometheus: `node_exporter` reads it with its textfile
    /// collector. It is written with the stats file, every 15 s where `interval` is not set, and
    /// deleted at exit.
    metrics: MetricsDirectory = "none";
    /// How many of the last allocations, frees, flushes and failures are remembered for a memory
    /// snapshot.
    history: HistoryLength = "none";
    /// Where a memory snapshot is written when an allocation fails for lack of memory, at most every
    /// 10 s. `cupool snapshot` makes of it what PyTorch's memory viewer opens.
    oom_snapshot: SnapshotFile = "none";
    /// What is told while the program runs, from this level up. `CUPOOL_LOG` overrides it.
    log: Option<Level> = "none";
    /// Where it is told. Lines are appended.
    log_file: LogFile = "stderr";
    /// What its lines are: text for people, or an object of JSON each.
    log_format: LogFormat = "text";
    /// Whether a mistake in `CUPOOL_CONF` ends the process.
    abort_conf: bool = "false";
    /// Whether every option is printed with its value when cupool starts.
    confirm_conf: bool = "false";
}

struct Entry {
    name: &'static str,
    default: &'static str,
    form: &'static str,
    help: &'static [&'static str],
}

impl Options {
    /// Explains every option: its name, the form of its value, its default, what it does.
    pub fn help() -> String {
        let mut text = String::new();
        for Entry { name, default, form, help } in TABLE {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}:{form}  (default {default})");
            for line in *help {
                let _ = writeln!(text, "    {}", line.trim());
            }
        }
        text
    }
}
