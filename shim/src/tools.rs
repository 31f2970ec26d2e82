//! Tools that look at this process and want to see each of its allocations.
//!
//! A pool hides from them what they are there for: a memory checker takes the rest of a segment, and a
//! block that was freed and is kept, for memory that the program may use.

use std::fs;

use cupool::config::UnderTools;

use crate::surroundings;

/// The tool for whose sake the process is left to the driver, if there is one.
///
/// To be asked after `cuInit`, which loads what `CUDA_INJECTION64_PATH` names.
pub fn in_the_way(option: UnderTools) -> Option<String> {
    match option {
        UnderTools::Serve => None,
        UnderTools::Auto => surroundings::loaded(checks_memory),
        UnderTools::Aside => surroundings::loaded(checks_memory).or_else(debugger),
    }
}

/// What compute-sanitizer puts into a process, and what everything else built on NVIDIA's Sanitizer
/// API is linked to.
fn checks_memory(path: &[u8]) -> bool {
    const LIBRARIES: [&[u8]; 2] = [b"libsanitizer-collection.so", b"libsanitizer-public.so"];
    LIBRARIES.iter().any(|name| surroundings::file_name(path).starts_with(name))
}

/// cuda-gdb, if it traces this process. Its name is cut to 15 bytes, and may have more behind it.
fn debugger() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?.trim();
    if tracer == "0" {
        return None;
    }
    let name = fs::read_to_string(format!("/proc/{tracer}/comm")).ok()?;
    name.starts_with("cuda-gdb").then(|| name.trim_end().to_owned())
}
