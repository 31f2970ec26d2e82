//! Which calls of a watched function mean something: questions about their arguments.
//!
//! A pointer that is null tells nothing: the driver refuses it.

use std::sync::atomic::Ordering;

use crate::arch::SavedArguments;
use crate::hooks::capture;

/// Whether a call with these integer arguments means something.
///
/// The functions here may only be asked about the arguments of the functions they stand beside in
/// the table: they follow the pointers in them.
pub type Predicate = unsafe fn(&SavedArguments) -> bool;

/// Reads the `u32` at `offset` in the structure that `pointer` points to; `None` if it is null.
///
/// # Safety
/// `pointer` is null or points to a structure that has an aligned `u32` at `offset`.
unsafe fn field(pointer: u64, offset: usize) -> Option<u32> {
    // SAFETY: as the caller says.
    (pointer != 0).then(|| unsafe { (pointer as *const u8).add(offset).cast::<u32>().read() })
}

/// `CU_MEM_LOCATION_TYPE_HOST`, `_HOST_NUMA`, `_HOST_NUMA_CURRENT`
fn is_host(location: Option<u32>) -> bool {
    matches!(location, Some(2..=4))
}

/// `CU_MEM_ALLOCATION_TYPE_MANAGED`
fn is_managed(allocation: Option<u32>) -> bool {
    allocation == Some(2)
}

/// Whether memory of these properties is on the host or managed.
///
/// # Safety
/// `properties` is null or points to a `CUmemAllocationProp`.
pub unsafe fn is_host_memory(properties: u64) -> bool {
    // SAFETY: the structure is type, handle types, location type.
    unsafe { is_host(field(properties, 8)) || is_managed(field(properties, 0)) }
}

/// `cuMemPoolCreate(pool, props)`
pub unsafe fn creates_host_pool(arguments: &SavedArguments) -> bool {
    // SAFETY: a `CUmemPoolProps` is type, handle types, location type.
    unsafe { is_host(field(arguments[1], 8)) || is_managed(field(arguments[1], 0)) }
}

/// `cuMemGetMemPool(pool, location, type)`
pub unsafe fn names_host_location(arguments: &SavedArguments) -> bool {
    // SAFETY: a `CUmemLocation` begins with its type.
    unsafe { is_host(field(arguments[1], 0)) || is_managed(Some(arguments[2] as u32)) }
}

/// Whether a `CUDA_MEMCPY3D` has an operand that is, or may be, on the host.
///
/// # Safety
/// `pointer` is null or points to a `CUDA_MEMCPY3D`.
unsafe fn copies_host(pointer: u64) -> bool {
    const SOURCE_MEMORY_TYPE: usize = 32;
    const DESTINATION_MEMORY_TYPE: usize = 120;
    // `CU_MEMORYTYPE_HOST` and `_UNIFIED`
    let may_be_host = |kind: Option<u32>| matches!(kind, Some(1 | 4));
    // SAFETY: as the caller says.
    unsafe {
        may_be_host(field(pointer, SOURCE_MEMORY_TYPE))
            || may_be_host(field(pointer, DESTINATION_MEMORY_TYPE))
    }
}

/// Whether a `CUgraphNodeParams` is of a type that the host has a part in.
///
/// # Safety
/// `pointer` is null or points to a `CUgraphNodeParams`.
unsafe fn node_tells(pointer: u64) -> bool {
    // SAFETY: the structure begins with its type.
    match unsafe { field(pointer, 0) } {
        // kernel, memset, child graph, empty, event wait and record, allocation, free, conditional
        Some(0 | 2 | 4..=7 | 10 | 11 | 13) | None => false,
        // copies, host functions, semaphores, memory operations, and whatever comes
        Some(_) => true,
    }
}

/// One predicate for each place in which the structure's address is passed.
macro_rules! by_position {
    ($($name:ident = $inner:ident at $position:literal: $call:literal;)+) => {$(
        #[doc = $call]
        pub unsafe fn $name(arguments: &SavedArguments) -> bool {
            // SAFETY: the call passes the structure in that place.
            unsafe { $inner(arguments[$position]) }
        }
    )+};
}

by_position! {
    copies_host_1 = copies_host at 1: "`cuGraphMemcpyNodeSetParams(node, params)`";
    copies_host_2 = copies_host at 2: "`cuGraphExecMemcpyNodeSetParams(exec, node, params, …)`";
    copies_host_4 = copies_host at 4:
        "`cuGraphAddMemcpyNode(node, graph, dependencies, count, params, …)`";
    node_tells_1 = node_tells at 1: "`cuGraphNodeSetParams(node, params)`";
    node_tells_2 = node_tells at 2: "`cuGraphExecNodeSetParams(exec, node, params)`";
    node_tells_4 = node_tells at 4:
        "`cuGraphAddNode(node, graph, dependencies, count, params)`";
    node_tells_5 = node_tells at 5:
        "`cuGraphAddNode_v2(node, graph, dependencies, data, count, params)`";
}

/// A copy that is captured becomes a graph's copy node.
pub unsafe fn capturing(_: &SavedArguments) -> bool {
    capture::OPEN.load(Ordering::Relaxed) > 0
}
