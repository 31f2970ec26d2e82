//! Which backing a new pool gets.
//!
//! The arena, unless its memory cannot do what the process may want. That is CUDA IPC with processes
//! that do not run cupool above all, by which MPI, UCX and some programs share memory: between
//! processes that do, handles of the arena's own work ([`ipc`](crate::ipc)). That a program makes
//! handles tells nothing of who opens them, and mostly it is a process that it started itself; that it
//! opens one of the driver's tells of a process that makes such. Libraries that ask about a pointer first (NCCL, NVSHMEM, newer UCX) find
//! a way that works with either backing, so that they are loaded says nothing: PyTorch loads
//! `libnvshmem_host.so` with every program.

use crate::config;
use crate::driver::Vmm;
use crate::order::Sign;

/// The pages that the arena is built for, in bytes.
const PAGE: u64 = 2 << 20;

/// A backing to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Virtual memory management.
    Arena,
    /// Every block is one driver allocation.
    Exact,
}

/// What is known of the process around the pools, at the moment when a pool is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The driver is that of the Windows Subsystem for Linux.
    pub wsl: bool,
    /// What tells that an MPI launcher started several ranks: see [`launcher`].
    pub launcher: Option<String>,
    /// The file name of a loaded library that [shares memory](shares_memory).
    pub library: Option<String>,
    /// A device of the process can be given access to another's memory. The pools open mapped memory to
    /// it as well, but that the driver's copies between devices take it by all their ways is not known.
    pub peers: bool,
}

/// Variables in which launchers put the number of ranks.
const RANKS: &[&str] =
    &["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_SIZE"];
/// Variables that tell a rank of a job whose size Slurm may know.
const RANK: &[&str] = &["PMIX_RANK", "PMI_RANK"];
/// The number of ranks of a Slurm step, whether or not they speak MPI.
const STEP: &str = "SLURM_STEP_NUM_TASKS";

/// What in the environment, which `variable` looks up, tells that an MPI launcher started this
/// process as one of several: a variable that says how many, or a rank among an unknown number.
pub fn launcher(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let number = |name| variable(name)?.trim().parse::<u64>().ok();
    let sizes: Vec<_> = RANKS.iter().filter_map(|&name| Some((name, number(name)?))).collect();
    if let Some((name, ranks)) = sizes.iter().find(|(_, ranks)| *ranks > 1) {
        return Some(format!("{name}={ranks}"));
    }
    let rank = RANK.iter().find(|&&name| variable(name).is_some())?;
    match number(STEP) {
        Some(tasks) if tasks > 1 => Some(format!("{rank} with {STEP}={tasks}")),
        Some(_) => None,
        None if sizes.is_empty() => Some(format!("{rank} without a number of ranks")),
        None => None,
    }
}

/// Whether a loaded library of this file name shares device memory by ways that only native allocations
/// allow, without being asked for it by the program: MPI and UCX with other processes by legacy IPC,
/// GDRCopy with the host by peer-to-peer pages and `SYNC_MEMOPS`.
pub fn shares_memory(file_name: &[u8]) -> bool {
    const PREFIXES: &[&[u8]] = &[b"libmpi.so", b"libmpich.so", b"libucp.so", b"libgdrapi.so"];
    PREFIXES.iter().any(|prefix| file_name.starts_with(prefix))
}

/// What a call that gives this sign has asked for, if it is one that memory of the arena cannot do.
pub const fn wants_native(sign: Sign) -> Option<&'static str> {
    match sign {
        Sign::SyncMemops | Sign::P2pToken => Some(sign.name()),
        _ => None,
    }
}

/// A program that does this may share its own memory with the same processes.
pub const FOREIGN_HANDLE: &str = "a CUDA IPC handle of the driver's own";

/// The backing for a new pool, and why, in the words of the stats file. `seen` is what the
/// process has asked for that only native memory can do.
pub fn choose(
    option: config::Backing,
    vmm: Option<Vmm>,
    seen: Option<&str>,
    surroundings: &Surroundings,
) -> (Kind, String) {
    let exact = |reason: String| (Kind::Exact, reason);
    if option == config::Backing::Exact {
        return exact("as configured".to_owned());
    }
    let Some(vmm) = vmm else {
        return exact("the device has no virtual memory management".to_owned());
    };
    if vmm.granularity != PAGE {
        return exact(format!("the device maps memory in units of {} bytes", vmm.granularity));
    }
    if option == config::Backing::Arena {
        return (Kind::Arena, "as configured".to_owned());
    }
    if surroundings.wsl {
        return exact("the Windows Subsystem for Linux".to_owned());
    }
    if let Some(seen) = seen {
        return exact(format!("the program has used {seen}"));
    }
    if let Some(launcher) = &surroundings.launcher {
        return exact(format!("an MPI launcher started several processes: {launcher}"));
    }
    if let Some(library) = &surroundings.library {
        return exact(format!("{library} is loaded"));
    }
    if surroundings.peers {
        return exact("devices of the process can be given access to each other".to_owned());
    }
    (Kind::Arena, "nothing needs an allocation of the driver's own".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Backing::{Arena, Auto, Exact};

    const VMM: Option<Vmm> = Some(Vmm { granularity: PAGE, shareable: true, rdma: true });

    fn choose_in(option: config::Backing, surroundings: &Surroundings) -> (Kind, String) {
        choose(option, VMM, None, surroundings)
    }

    #[track_caller]
    fn exact((kind, reason): (Kind, String), why: &str) {
        assert_eq!(kind, Kind::Exact, "{reason}");
        assert!(reason.contains(why), "`{reason}` does not say `{why}`");
    }

    #[test]
    fn the_arena_where_nothing_speaks_against_it() {
        for option in [Auto, Arena] {
            assert_eq!(choose_in(option, &Surroundings::default()).0, Kind::Arena);
        }
        exact(choose_in(Exact, &Surroundings::default()), "as configured");
    }

    #[test]
    fn a_device_that_cannot_even_if_asked() {
        let around = Surroundings::default();
        for option in [Auto, Arena] {
            exact(choose(option, None, None, &around), "no virtual memory management");
            let odd = Some(Vmm { granularity: 64 << 10, shareable: true, rdma: true });
            exact(choose(option, odd, None, &around), "65536");
        }
    }

    #[test]
    fn the_surroundings_count_unless_the_user_has_decided() {
        let none = Surroundings::default;
        for (around, why) in [
            (Surroundings { wsl: true, ..none() }, "Windows"),
            (Surroundings { launcher: Some("PMI_SIZE=4".to_owned()), ..none() }, "PMI_SIZE=4"),
            (Surroundings { library: Some("libucp.so.0".to_owned()), ..none() }, "libucp.so.0"),
            (Surroundings { peers: true, ..none() }, "access to each other"),
        ] {
            exact(choose_in(Auto, &around), why);
            assert_eq!(choose_in(Arena, &around).0, Kind::Arena);
        }
    }

    #[test]
    fn calls_that_the_arena_cannot_serve_count() {
        for &sign in Sign::ALL {
            let (kind, reason) = choose(Auto, VMM, wants_native(sign), &Surroundings::default());
            let expected = match sign {
                Sign::SyncMemops | Sign::P2pToken => Kind::Exact,
                _ => Kind::Arena,
            };
            assert_eq!(kind, expected, "{}: {reason}", sign.name());
        }
        exact(choose(Auto, VMM, Some(FOREIGN_HANDLE), &Surroundings::default()), FOREIGN_HANDLE);
    }

    #[test]
    fn several_ranks_show_in_the_environment() {
        let launched = |variables: &[(&str, &str)]| {
            launcher(|name| {
                let found = variables.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        for (variables, expected) in [
            (&[][..], None),
            (&[("OMPI_COMM_WORLD_SIZE", "8"), ("PMIX_RANK", "0")], Some("OMPI_COMM_WORLD_SIZE=8")),
            (&[("OMPI_COMM_WORLD_SIZE", "1"), ("PMIX_RANK", "0")], None),
            (&[("PMI_SIZE", "2"), ("PMI_RANK", "1")], Some("PMI_SIZE=2")),
            (&[("PMI_SIZE", "1")], None),
            (&[("MPI_LOCALNRANKS", "4")], Some("MPI_LOCALNRANKS=4")),
            (&[("MV2_COMM_WORLD_SIZE", "4")], Some("MV2_COMM_WORLD_SIZE=4")),
            (&[("PMIX_RANK", "0")], Some("PMIX_RANK without a number of ranks")),
            (
                &[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "16")],
                Some("PMIX_RANK with SLURM_STEP_NUM_TASKS=16"),
            ),
            (&[("PMIX_RANK", "0"), ("SLURM_STEP_NUM_TASKS", "1")], None),
            // A step of several tasks that have nothing to do with each other, or use NCCL alone.
            (&[("SLURM_STEP_NUM_TASKS", "16")], None),
            (&[("WORLD_SIZE", "8"), ("RANK", "0")], None),
            (&[("PMI_SIZE", "many")], None),
        ] {
            assert_eq!(launched(variables).as_deref(), expected, "{variables:?}");
        }
    }

    #[test]
    fn libraries_that_share() {
        for name in ["libmpi.so.40", "libmpi.so", "libmpich.so.12", "libucp.so.0"] {
            assert!(shares_memory(name.as_bytes()), "{name}");
        }
        for name in ["libnccl.so.2", "libnvshmem_host.so.3", "libmpir.so.1", "libmp.so", ""] {
            assert!(!shares_memory(name.as_bytes()), "{name}");
        }
    }
}
