//! The exported functions: one table.
//!
//! A row is the symbol, where there is one the symbol of its variant for per-thread default
//! streams, the name and first version by which `cuGetProcAddress` knows it, the parameters, the
//! implementation, and `early` if it works before `cuInit`.

#![allow(non_snake_case, non_camel_case_types, clippy::upper_case_acronyms)]

use std::ffi::c_char;
use std::sync::atomic::AtomicU64;

use crate::abi::*;
use crate::dispatch::{self, Code, Entry};
use crate::{
    capture, context, copy, device, event, fill, graph, green, host_function, host_memory, ipc,
    kernels, memory, memory_pool, module, peer, pointer, primary, procaddr, stream, stream_memory,
    unsupported, vmm,
};

macro_rules! driver {
    ($(
        $symbol:ident $(| $variant:ident)? : $name:literal $since:literal $parameters:tt
        = $implementation:path $(, $early:ident)?;
    )*) => {
        enum Row { $($symbol),* }

        const ROWS: usize = [$(stringify!($symbol)),*].len();

        /// Every exported function.
        pub static TABLE: [Entry; ROWS] = [$(
            Entry {
                symbol: stringify!($symbol),
                name: $name,
                since: $since,
                code: Code($symbol as *const ()),
                per_thread: driver!(@variant $($variant)?),
                early: driver!(@early $($early)?),
                calls: AtomicU64::new(0),
            },
        )*];

        $(
            driver!(@function $symbol, $symbol, false, $parameters, $implementation);
            $(driver!(@function $variant, $symbol, true, $parameters, $implementation);)?
        )*
    };
    (@function $symbol:ident, $row:ident, $per_thread:literal,
     ($($parameter:ident: $type:ty),*), $implementation:path) => {
        // SAFETY: the names are those of the CUDA driver, which this library stands in for.
        #[unsafe(no_mangle)]
        extern "C" fn $symbol($($parameter: $type),*) -> u32 {
            let entry = &TABLE[Row::$row as usize];
            dispatch::call(entry, $per_thread, || $implementation($($parameter),*))
        }
    };
    (@variant) => { None };
    (@variant $variant:ident) => { Some((stringify!($variant), Code($variant as *const ()))) };
    (@early) => { false };
    (@early early) => { true };
}

driver! {
    cuInit: "cuInit" 2000 (flags: u32) = device::init, early;
    cuDriverGetVersion: "cuDriverGetVersion" 2020 (version: Out<i32>) = device::driver_get_version, early;
    cuGetProcAddress: "cuGetProcAddress" 11030 (name: Text, code: Out<usize>, version: i32, flags: u64) = procaddr::get, early;
    cuGetProcAddress_v2: "cuGetProcAddress" 12000 (name: Text, code: Out<usize>, version: i32, flags: u64, status: Out<u32>) = procaddr::get_v2, early;
    cuGetExportTable: "cuGetExportTable" 3000 (table: Out<usize>, id: Out<u8>) = procaddr::get_export_table, early;
    cuGetErrorName: "cuGetErrorName" 6000 (code: u32, text: Out<usize>) = procaddr::error_name, early;
    cuGetErrorString: "cuGetErrorString" 6000 (code: u32, text: Out<usize>) = procaddr::error_string, early;

    cuDeviceGet: "cuDeviceGet" 2000 (device: Out<i32>, ordinal: i32) = device::get;
    cuDeviceGetCount: "cuDeviceGetCount" 2000 (count: Out<i32>) = device::get_count;
    cuDeviceGetName: "cuDeviceGetName" 2000 (name: Out<c_char>, size: i32, device: i32) = device::get_name;
    cuDeviceTotalMem_v2: "cuDeviceTotalMem" 3020 (bytes: Out<usize>, device: i32) = device::total_mem;
    cuDeviceGetAttribute: "cuDeviceGetAttribute" 2000 (value: Out<i32>, attribute: i32, device: i32) = device::get_attribute;
    cuDeviceGetUuid: "cuDeviceGetUuid" 9020 (uuid: Out<Uuid>, device: i32) = device::get_uuid;
    cuDeviceGetUuid_v2: "cuDeviceGetUuid" 11040 (uuid: Out<Uuid>, device: i32) = device::get_uuid;
    cuDeviceGetPCIBusId: "cuDeviceGetPCIBusId" 4010 (text: Out<c_char>, size: i32, device: i32) = device::get_pci_bus_id;
    cuDeviceGetByPCIBusId: "cuDeviceGetByPCIBusId" 4010 (device: Out<i32>, text: Text) = device::get_by_pci_bus_id;
    cuDeviceCanAccessPeer: "cuDeviceCanAccessPeer" 4000 (able: Out<i32>, device: i32, peer: i32) = device::can_access_peer;
    cuDevicePrimaryCtxRetain: "cuDevicePrimaryCtxRetain" 7000 (context: Out<usize>, device: i32) = primary::retain;
    cuDevicePrimaryCtxRelease: "cuDevicePrimaryCtxRelease" 7000 (device: i32) = primary::release;
    cuDevicePrimaryCtxRelease_v2: "cuDevicePrimaryCtxRelease" 11000 (device: i32) = primary::release;
    cuDevicePrimaryCtxReset: "cuDevicePrimaryCtxReset" 7000 (device: i32) = primary::reset;
    cuDevicePrimaryCtxReset_v2: "cuDevicePrimaryCtxReset" 11000 (device: i32) = primary::reset;
    cuDevicePrimaryCtxGetState: "cuDevicePrimaryCtxGetState" 7000 (device: i32, flags: Out<u32>, active: Out<i32>) = primary::get_state;
    cuDevicePrimaryCtxSetFlags_v2: "cuDevicePrimaryCtxSetFlags" 11000 (device: i32, flags: u32) = primary::set_flags;

    cuCtxCreate_v2: "cuCtxCreate" 3020 (context: Out<usize>, flags: u32, device: i32) = context::create;
    cuCtxCreate_v3: "cuCtxCreate" 11040 (context: Out<usize>, affinity: In<u8>, count: i32, flags: u32, device: i32) = context::create_v3;
    cuCtxCreate_v4: "cuCtxCreate" 12050 (context: Out<usize>, parameters: In<u8>, flags: u32, device: i32) = context::create_v4;
    cuCtxDestroy_v2: "cuCtxDestroy" 4000 (context: usize) = context::destroy;
    cuCtxAttach: "cuCtxAttach" 2000 (context: Out<usize>, flags: u32) = context::attach;
    cuCtxDetach: "cuCtxDetach" 2000 (context: usize) = context::detach;
    cuCtxGetCurrent: "cuCtxGetCurrent" 4000 (context: Out<usize>) = context::get_current;
    cuCtxSetCurrent: "cuCtxSetCurrent" 4000 (context: usize) = context::set_current;
    cuCtxPushCurrent_v2: "cuCtxPushCurrent" 4000 (context: usize) = context::push_current;
    cuCtxPopCurrent_v2: "cuCtxPopCurrent" 4000 (context: Out<usize>) = context::pop_current;
    cuCtxGetDevice: "cuCtxGetDevice" 2000 (device: Out<i32>) = context::get_device;
    cuCtxGetDevice_v2: "cuCtxGetDevice" 13000 (device: Out<i32>, context: usize) = context::get_device_of;
    cuCtxSynchronize: "cuCtxSynchronize" 2000 () = context::synchronize;
    cuCtxSynchronize_v2: "cuCtxSynchronize" 13000 (context: usize) = context::synchronize_context;
    cuCtxGetApiVersion: "cuCtxGetApiVersion" 3020 (context: usize, version: Out<u32>) = context::get_api_version;
    cuCtxGetId: "cuCtxGetId" 12000 (context: usize, serial: Out<u64>) = context::get_id;
    cuCtxGetFlags: "cuCtxGetFlags" 7000 (flags: Out<u32>) = context::get_flags;
    cuCtxSetLimit: "cuCtxSetLimit" 3010 (limit: u32, value: usize) = context::set_limit;
    cuCtxGetLimit: "cuCtxGetLimit" 3010 (value: Out<usize>, limit: u32) = context::get_limit;
    cuCtxGetStreamPriorityRange: "cuCtxGetStreamPriorityRange" 5050 (least: Out<i32>, greatest: Out<i32>) = context::get_stream_priority_range;
    cuCtxEnablePeerAccess: "cuCtxEnablePeerAccess" 4000 (peer: usize, flags: u32) = peer::enable;
    cuCtxDisablePeerAccess: "cuCtxDisablePeerAccess" 4000 (peer: usize) = peer::disable;
    cuCtxRecordEvent: "cuCtxRecordEvent" 12050 (context: usize, event: usize) = context::record_event;
    cuCtxWaitEvent: "cuCtxWaitEvent" 12050 (context: usize, event: usize) = context::wait_event;

    cuDeviceGetDevResource: "cuDeviceGetDevResource" 12040 (device: i32, resource: Out<u32>, kind: u32) = green::device_resource;
    cuDevResourceGenerateDesc: "cuDevResourceGenerateDesc" 12040 (description: Out<usize>, resources: In<u32>, count: u32) = green::describe;
    cuGreenCtxCreate: "cuGreenCtxCreate" 12040 (green: Out<usize>, description: usize, device: i32, flags: u32) = green::create;
    cuGreenCtxDestroy: "cuGreenCtxDestroy" 12040 (green: usize) = green::destroy;
    cuCtxFromGreenCtx: "cuCtxFromGreenCtx" 12040 (context: Out<usize>, green: usize) = green::convert;
    cuGreenCtxStreamCreate: "cuGreenCtxStreamCreate" 12050 (stream: Out<usize>, green: usize, flags: u32, priority: i32) = green::create_stream;

    cuMemAlloc: "cuMemAlloc" 2000 (pointer: Out<u32>, bytes: u32) = memory::alloc_32;
    cuMemAlloc_v2: "cuMemAlloc" 3020 (pointer: Out<u64>, bytes: usize) = memory::alloc;
    cuMemAllocPitch_v2: "cuMemAllocPitch" 3020 (pointer: Out<u64>, pitch: Out<usize>, width: usize, height: usize, element: u32) = memory::alloc_pitch;
    cuMemFree: "cuMemFree" 2000 (pointer: u32) = memory::free_32;
    cuMemFree_v2: "cuMemFree" 3020 (pointer: u64) = memory::free;
    cuMemGetInfo: "cuMemGetInfo" 2000 (free: Out<u32>, total: Out<u32>) = memory::get_info_32;
    cuMemGetInfo_v2: "cuMemGetInfo" 3020 (free: Out<usize>, total: Out<usize>) = memory::get_info;
    cuMemGetAddressRange_v2: "cuMemGetAddressRange" 3020 (base: Out<u64>, size: Out<usize>, pointer: u64) = memory::get_address_range;
    cuMemHostAlloc: "cuMemHostAlloc" 2020 (pointer: Out<u64>, bytes: usize, flags: u32) = host_memory::host_alloc;
    cuMemAllocHost_v2: "cuMemAllocHost" 3020 (pointer: Out<u64>, bytes: usize) = host_memory::alloc_host;
    cuMemFreeHost: "cuMemFreeHost" 2000 (pointer: u64) = host_memory::free_host;
    cuMemHostRegister_v2: "cuMemHostRegister" 6050 (pointer: u64, bytes: usize, flags: u32) = host_memory::register;
    cuMemHostUnregister: "cuMemHostUnregister" 4000 (pointer: u64) = host_memory::unregister;
    cuMemHostGetDevicePointer_v2: "cuMemHostGetDevicePointer" 3020 (device: Out<u64>, host: u64, flags: u32) = host_memory::get_device_pointer;
    cuMemHostGetFlags: "cuMemHostGetFlags" 3000 (flags: Out<u32>, host: u64) = host_memory::get_flags;
    cuMemAllocManaged: "cuMemAllocManaged" 6000 (pointer: Out<u64>, bytes: usize, flags: u32) = host_memory::alloc_managed;
    cuMemAllocAsync | cuMemAllocAsync_ptsz: "cuMemAllocAsync" 11020 (pointer: Out<u64>, bytes: usize, stream: usize) = stream_memory::alloc;
    cuMemFreeAsync | cuMemFreeAsync_ptsz: "cuMemFreeAsync" 11020 (pointer: u64, stream: usize) = stream_memory::free;
    cuDeviceGetDefaultMemPool: "cuDeviceGetDefaultMemPool" 11020 (pool: Out<usize>, device: i32) = memory_pool::of_device;
    cuDeviceGetMemPool: "cuDeviceGetMemPool" 11020 (pool: Out<usize>, device: i32) = memory_pool::of_device;
    cuMemPoolGetAttribute: "cuMemPoolGetAttribute" 11020 (pool: usize, attribute: u32, value: Out<u64>) = memory_pool::get_attribute;
    cuMemPoolSetAttribute: "cuMemPoolSetAttribute" 11020 (pool: usize, attribute: u32, value: In<u64>) = memory_pool::set_attribute;
    cuMemPoolTrimTo: "cuMemPoolTrimTo" 11020 (pool: usize, keep: usize) = memory_pool::trim;
    cuDeviceGetGraphMemAttribute: "cuDeviceGetGraphMemAttribute" 11040 (device: i32, attribute: u32, value: Out<u64>) = memory_pool::get_graph_attribute;
    cuDeviceGraphMemTrim: "cuDeviceGraphMemTrim" 11040 (device: i32) = memory_pool::trim_graphs;
    cuPointerGetAttribute: "cuPointerGetAttribute" 4000 (data: Out<u8>, attribute: u32, pointer: u64) = pointer::get_attribute;
    cuPointerGetAttributes: "cuPointerGetAttributes" 7000 (count: u32, attributes: In<u32>, data: In<Out<u8>>, pointer: u64) = pointer::get_attributes;
    cuPointerSetAttribute: "cuPointerSetAttribute" 6000 (value: In<u8>, attribute: u32, pointer: u64) = pointer::set_attribute;
    cuIpcGetMemHandle: "cuIpcGetMemHandle" 4010 (handle: Out<IpcHandle>, pointer: u64) = ipc::get_handle;
    cuIpcOpenMemHandle_v2: "cuIpcOpenMemHandle" 11000 (pointer: Out<u64>, handle: IpcHandle, flags: u32) = ipc::open_handle;
    cuIpcCloseMemHandle: "cuIpcCloseMemHandle" 4010 (pointer: u64) = ipc::close_handle;
    cuIpcGetEventHandle: "cuIpcGetEventHandle" 4010 (handle: Out<IpcHandle>, event: usize) = ipc::get_event_handle;

    cuMemcpy | cuMemcpy_ptds: "cuMemcpy" 4000 (to: u64, from: u64, bytes: usize) = copy::unified;
    cuMemcpyAsync | cuMemcpyAsync_ptsz: "cuMemcpyAsync" 4000 (to: u64, from: u64, bytes: usize, stream: usize) = copy::unified_async;
    cuMemcpyHtoD_v2 | cuMemcpyHtoD_v2_ptds: "cuMemcpyHtoD" 3020 (to: u64, from: In<u8>, bytes: usize) = copy::host_to_device;
    cuMemcpyHtoDAsync_v2 | cuMemcpyHtoDAsync_v2_ptsz: "cuMemcpyHtoDAsync" 3020 (to: u64, from: In<u8>, bytes: usize, stream: usize) = copy::host_to_device_async;
    cuMemcpyDtoH_v2 | cuMemcpyDtoH_v2_ptds: "cuMemcpyDtoH" 3020 (to: u64, from: u64, bytes: usize) = copy::device_to_host;
    cuMemcpyDtoHAsync_v2 | cuMemcpyDtoHAsync_v2_ptsz: "cuMemcpyDtoHAsync" 3020 (to: u64, from: u64, bytes: usize, stream: usize) = copy::device_to_host_async;
    cuMemcpyDtoD_v2 | cuMemcpyDtoD_v2_ptds: "cuMemcpyDtoD" 3020 (to: u64, from: u64, bytes: usize) = copy::device_to_device;
    cuMemcpyDtoDAsync_v2 | cuMemcpyDtoDAsync_v2_ptsz: "cuMemcpyDtoDAsync" 3020 (to: u64, from: u64, bytes: usize, stream: usize) = copy::device_to_device_async;
    cuMemcpyPeer | cuMemcpyPeer_ptds: "cuMemcpyPeer" 4000 (to: u64, to_context: usize, from: u64, from_context: usize, bytes: usize) = copy::peer;
    cuMemcpyPeerAsync | cuMemcpyPeerAsync_ptsz: "cuMemcpyPeerAsync" 4000 (to: u64, to_context: usize, from: u64, from_context: usize, bytes: usize, stream: usize) = copy::peer_async;
    cuMemcpy2D_v2 | cuMemcpy2D_v2_ptds: "cuMemcpy2D" 3020 (parameters: In<Copy2d>) = copy::two_dimensional;
    cuMemcpy2DUnaligned_v2 | cuMemcpy2DUnaligned_v2_ptds: "cuMemcpy2DUnaligned" 3020 (parameters: In<Copy2d>) = copy::two_dimensional;
    cuMemcpy2DAsync_v2 | cuMemcpy2DAsync_v2_ptsz: "cuMemcpy2DAsync" 3020 (parameters: In<Copy2d>, stream: usize) = copy::two_dimensional_async;
    cuMemPrefetchAsync | cuMemPrefetchAsync_ptsz: "cuMemPrefetchAsync" 8000 (pointer: u64, bytes: usize, device: i32, stream: usize) = copy::prefetch;
    cuMemsetD8_v2 | cuMemsetD8_v2_ptds: "cuMemsetD8" 3020 (address: u64, value: u8, count: usize) = fill::d8;
    cuMemsetD16_v2 | cuMemsetD16_v2_ptds: "cuMemsetD16" 3020 (address: u64, value: u16, count: usize) = fill::d16;
    cuMemsetD32_v2 | cuMemsetD32_v2_ptds: "cuMemsetD32" 3020 (address: u64, value: u32, count: usize) = fill::d32;
    cuMemsetD8Async | cuMemsetD8Async_ptsz: "cuMemsetD8Async" 3020 (address: u64, value: u8, count: usize, stream: usize) = fill::d8_async;
    cuMemsetD16Async | cuMemsetD16Async_ptsz: "cuMemsetD16Async" 3020 (address: u64, value: u16, count: usize, stream: usize) = fill::d16_async;
    cuMemsetD32Async | cuMemsetD32Async_ptsz: "cuMemsetD32Async" 3020 (address: u64, value: u32, count: usize, stream: usize) = fill::d32_async;
    cuMemsetD2D8_v2 | cuMemsetD2D8_v2_ptds: "cuMemsetD2D8" 3020 (address: u64, pitch: usize, value: u8, width: usize, height: usize) = fill::d2d8;
    cuMemsetD2D8Async | cuMemsetD2D8Async_ptsz: "cuMemsetD2D8Async" 3020 (address: u64, pitch: usize, value: u8, width: usize, height: usize, stream: usize) = fill::d2d8_async;

    cuStreamCreate: "cuStreamCreate" 2000 (stream: Out<usize>, flags: u32) = stream::create;
    cuStreamCreateWithPriority: "cuStreamCreateWithPriority" 5050 (stream: Out<usize>, flags: u32, priority: i32) = stream::create_with_priority;
    cuStreamDestroy_v2: "cuStreamDestroy" 4000 (stream: usize) = stream::destroy;
    cuStreamSynchronize | cuStreamSynchronize_ptsz: "cuStreamSynchronize" 2000 (stream: usize) = stream::synchronize;
    cuStreamQuery | cuStreamQuery_ptsz: "cuStreamQuery" 2000 (stream: usize) = stream::query;
    cuStreamWaitEvent | cuStreamWaitEvent_ptsz: "cuStreamWaitEvent" 3020 (stream: usize, event: usize, flags: u32) = stream::wait_event;
    cuStreamAddCallback | cuStreamAddCallback_ptsz: "cuStreamAddCallback" 5000 (stream: usize, callback: StreamCallback, data: usize, flags: u32) = host_function::add_callback;
    cuStreamGetCtx | cuStreamGetCtx_ptsz: "cuStreamGetCtx" 9020 (stream: usize, context: Out<usize>) = stream::get_context;
    cuStreamGetFlags | cuStreamGetFlags_ptsz: "cuStreamGetFlags" 5050 (stream: usize, flags: Out<u32>) = stream::get_flags;
    cuStreamGetPriority | cuStreamGetPriority_ptsz: "cuStreamGetPriority" 5050 (stream: usize, priority: Out<i32>) = stream::get_priority;
    cuStreamGetId | cuStreamGetId_ptsz: "cuStreamGetId" 12000 (stream: usize, id: Out<u64>) = stream::get_id;
    cuStreamIsCapturing | cuStreamIsCapturing_ptsz: "cuStreamIsCapturing" 10000 (stream: usize, status: Out<u32>) = capture::is_capturing;
    cuStreamGetCaptureInfo | cuStreamGetCaptureInfo_ptsz: "cuStreamGetCaptureInfo" 10010 (stream: usize, status: Out<u32>, id: Out<u64>) = capture::get_info;
    cuStreamGetCaptureInfo_v2 | cuStreamGetCaptureInfo_v2_ptsz: "cuStreamGetCaptureInfo" 11030 (stream: usize, status: Out<u32>, id: Out<u64>, graph: Out<usize>, dependencies: Out<usize>, count: Out<usize>) = capture::get_info_v2;
    cuStreamGetCaptureInfo_v3 | cuStreamGetCaptureInfo_v3_ptsz: "cuStreamGetCaptureInfo" 12030 (stream: usize, status: Out<u32>, id: Out<u64>, graph: Out<usize>, dependencies: Out<usize>, edges: Out<usize>, count: Out<usize>) = capture::get_info_v3;
    cuStreamBeginCapture | cuStreamBeginCapture_ptsz: "cuStreamBeginCapture" 10000 (stream: usize) = capture::begin_global;
    cuStreamBeginCapture_v2 | cuStreamBeginCapture_v2_ptsz: "cuStreamBeginCapture" 10010 (stream: usize, mode: u32) = capture::begin;
    cuStreamBeginCaptureToGraph | cuStreamBeginCaptureToGraph_ptsz: "cuStreamBeginCaptureToGraph" 12030 (stream: usize, graph: usize, dependencies: Out<usize>, edges: Out<usize>, count: usize, mode: u32) = capture::begin_to_graph;
    cuStreamEndCapture | cuStreamEndCapture_ptsz: "cuStreamEndCapture" 10000 (stream: usize, graph: Out<usize>) = capture::end;
    cuThreadExchangeStreamCaptureMode: "cuThreadExchangeStreamCaptureMode" 10010 (mode: Out<u32>) = capture::exchange_thread_mode;
    cuStreamWriteValue32_v2 | cuStreamWriteValue32_v2_ptsz: "cuStreamWriteValue32" 11070 (stream: usize, address: u64, value: u32, flags: u32) = fill::write_value_32;
    cuStreamWaitValue32_v2 | cuStreamWaitValue32_v2_ptsz: "cuStreamWaitValue32" 11070 (stream: usize, address: u64, value: u32, flags: u32) = fill::wait_value_32;
    cuLaunchHostFunc | cuLaunchHostFunc_ptsz: "cuLaunchHostFunc" 10000 (stream: usize, function: HostFunction, data: usize) = host_function::launch;

    cuEventCreate: "cuEventCreate" 2000 (event: Out<usize>, flags: u32) = event::create;
    cuEventDestroy_v2: "cuEventDestroy" 4000 (event: usize) = event::destroy;
    cuEventRecord | cuEventRecord_ptsz: "cuEventRecord" 2000 (event: usize, stream: usize) = event::record;
    cuEventRecordWithFlags | cuEventRecordWithFlags_ptsz: "cuEventRecordWithFlags" 11010 (event: usize, stream: usize, flags: u32) = event::record_with_flags;
    cuEventQuery: "cuEventQuery" 2000 (event: usize) = event::query;
    cuEventSynchronize: "cuEventSynchronize" 2000 (event: usize) = event::synchronize;
    cuEventElapsedTime: "cuEventElapsedTime" 2000 (milliseconds: Out<f32>, start: usize, end: usize) = event::elapsed_time;
    cuEventElapsedTime_v2: "cuEventElapsedTime" 12080 (milliseconds: Out<f32>, start: usize, end: usize) = event::elapsed_time;

    cuGraphCreate: "cuGraphCreate" 10000 (graph: Out<usize>, flags: u32) = graph::create;
    cuGraphInstantiate_v2: "cuGraphInstantiate" 11000 (executable: Out<usize>, graph: usize, error_node: Out<usize>, log: Out<c_char>, log_size: usize) = graph::instantiate_v2;
    cuGraphInstantiateWithFlags: "cuGraphInstantiate" 12000 (executable: Out<usize>, graph: usize, flags: u64) = graph::instantiate;
    cuGraphLaunch | cuGraphLaunch_ptsz: "cuGraphLaunch" 10000 (executable: usize, stream: usize) = graph::launch;
    cuGraphExecDestroy: "cuGraphExecDestroy" 10000 (executable: usize) = graph::destroy_executable;
    cuGraphDestroy: "cuGraphDestroy" 10000 (graph: usize) = graph::destroy;
    cuGraphAddChildGraphNode: "cuGraphAddChildGraphNode" 10000 (node: Out<usize>, graph: usize, dependencies: Out<usize>, count: usize, child: usize) = graph::add_child;
    cuGraphExecUpdate: "cuGraphExecUpdate" 10020 (executable: usize, graph: usize, node: Out<usize>, result: Out<u32>) = graph::update_v1;
    cuGraphExecUpdate_v2: "cuGraphExecUpdate" 12000 (executable: usize, graph: usize, result: Out<u32>) = graph::update;
    cuGraphGetNodes: "cuGraphGetNodes" 10000 (graph: usize, nodes: Out<usize>, count: Out<usize>) = graph::get_nodes;

    cuModuleLoad: "cuModuleLoad" 2000 (module: Out<usize>, path: Text) = module::load;
    cuModuleLoadData: "cuModuleLoadData" 2000 (module: Out<usize>, image: In<u8>) = module::load_data;
    cuModuleLoadDataEx: "cuModuleLoadDataEx" 2010 (module: Out<usize>, image: In<u8>, count: u32, options: In<u32>, values: In<usize>) = module::load_data_ex;
    cuModuleGetFunction: "cuModuleGetFunction" 2000 (function: Out<usize>, module: usize, name: Text) = module::get_function;
    cuModuleGetGlobal_v2: "cuModuleGetGlobal" 3020 (pointer: Out<u64>, bytes: Out<usize>, module: usize, name: Text) = module::get_global;
    cuModuleUnload: "cuModuleUnload" 2000 (module: usize) = module::unload;
    cuLibraryGetManaged: "cuLibraryGetManaged" 12000 (pointer: Out<u64>, bytes: Out<usize>, library: usize, name: Text) = module::library_get_managed;
    cuLaunchKernel | cuLaunchKernel_ptsz: "cuLaunchKernel" 4000 (function: usize, grid_x: u32, grid_y: u32, grid_z: u32, block_x: u32, block_y: u32, block_z: u32, shared: u32, stream: usize, parameters: KernelParameters, extra: In<usize>) = kernels::launch;
    cuLaunchKernelEx | cuLaunchKernelEx_ptsz: "cuLaunchKernelEx" 11060 (config: In<LaunchConfig>, function: usize, parameters: KernelParameters, extra: In<usize>) = kernels::launch_ex;

    cuMemAddressReserve: "cuMemAddressReserve" 10020 (pointer: Out<u64>, bytes: usize, alignment: usize, wish: u64, flags: u64) = vmm::reserve;
    cuMemAddressFree: "cuMemAddressFree" 10020 (pointer: u64, bytes: usize) = vmm::free_addresses;
    cuMemCreate: "cuMemCreate" 10020 (handle: Out<u64>, bytes: usize, properties: In<AllocationProperties>, flags: u64) = vmm::create;
    cuMemRelease: "cuMemRelease" 10020 (handle: u64) = vmm::release;
    cuMemMap: "cuMemMap" 10020 (pointer: u64, bytes: usize, offset: usize, handle: u64, flags: u64) = vmm::map;
    cuMemUnmap: "cuMemUnmap" 10020 (pointer: u64, bytes: usize) = vmm::unmap;
    cuMemSetAccess: "cuMemSetAccess" 10020 (pointer: u64, bytes: usize, descriptions: In<AccessDescription>, count: usize) = vmm::set_access;
    cuMemGetAccess: "cuMemGetAccess" 10020 (flags: Out<u64>, location: In<Location>, pointer: u64) = vmm::get_access;
    cuMemGetAllocationGranularity: "cuMemGetAllocationGranularity" 10020 (bytes: Out<usize>, properties: In<AllocationProperties>, option: u32) = vmm::granularity;
    cuMemRetainAllocationHandle: "cuMemRetainAllocationHandle" 11000 (handle: Out<u64>, pointer: u64) = vmm::retain_handle;
    cuMemGetAllocationPropertiesFromHandle: "cuMemGetAllocationPropertiesFromHandle" 10020 (properties: Out<AllocationProperties>, handle: u64) = vmm::properties_of;
    cuMemExportToShareableHandle: "cuMemExportToShareableHandle" 10020 (descriptor: Out<i32>, handle: u64, kind: u32, flags: u64) = vmm::export;
    cuMemImportFromShareableHandle: "cuMemImportFromShareableHandle" 10020 (handle: Out<u64>, descriptor: usize, kind: u32) = vmm::import;

    cuGraphAddHostNode: "cuGraphAddHostNode" 10000 () = unsupported::in_context;
    cuGraphAddMemcpyNode: "cuGraphAddMemcpyNode" 10000 () = unsupported::in_context;
    cuGraphAddNode: "cuGraphAddNode" 12020 () = unsupported::in_context;
    cuGraphAddBatchMemOpNode: "cuGraphAddBatchMemOpNode" 11070 () = unsupported::in_context;
    cuGraphRetainUserObject: "cuGraphRetainUserObject" 11030 () = unsupported::in_context;
    cuUserObjectCreate: "cuUserObjectCreate" 11030 () = unsupported::in_context;
    cuGraphAddExternalSemaphoresSignalNode: "cuGraphAddExternalSemaphoresSignalNode" 11020 () = unsupported::in_context;
    cuGraphAddExternalSemaphoresWaitNode: "cuGraphAddExternalSemaphoresWaitNode" 11020 () = unsupported::in_context;
    cuImportExternalMemory: "cuImportExternalMemory" 10000 () = unsupported::in_context;
    cuImportExternalSemaphore: "cuImportExternalSemaphore" 10000 () = unsupported::in_context;
    cuSignalExternalSemaphoresAsync | cuSignalExternalSemaphoresAsync_ptsz: "cuSignalExternalSemaphoresAsync" 10000 () = unsupported::in_context;
    cuWaitExternalSemaphoresAsync | cuWaitExternalSemaphoresAsync_ptsz: "cuWaitExternalSemaphoresAsync" 10000 () = unsupported::in_context;
    cuGraphicsMapResources | cuGraphicsMapResources_ptsz: "cuGraphicsMapResources" 3000 () = unsupported::in_context;
    cuGraphicsGLRegisterBuffer: "cuGraphicsGLRegisterBuffer" 3000 () = unsupported::in_context;
    cuIpcOpenEventHandle: "cuIpcOpenEventHandle" 4010 () = unsupported::in_context;
    cuMemGetHandleForAddressRange: "cuMemGetHandleForAddressRange" 11070 (descriptor: Out<i32>, pointer: u64, bytes: usize, kind: u32, flags: u64) = vmm::export_range;
    cuMemPoolCreate: "cuMemPoolCreate" 11020 () = unsupported::in_context;
    cuMemPoolExportPointer: "cuMemPoolExportPointer" 11020 () = unsupported::in_context;
    cuMemPoolExportToShareableHandle: "cuMemPoolExportToShareableHandle" 11020 () = unsupported::in_context;
    cuMemPoolImportFromShareableHandle: "cuMemPoolImportFromShareableHandle" 11020 () = unsupported::in_context;
    cuMemPoolImportPointer: "cuMemPoolImportPointer" 11020 () = unsupported::in_context;
    cuMemcpyBatchAsync | cuMemcpyBatchAsync_ptsz: "cuMemcpyBatchAsync" 12080 () = unsupported::in_context;
    cuMemcpy3DBatchAsync | cuMemcpy3DBatchAsync_ptsz: "cuMemcpy3DBatchAsync" 12080 () = unsupported::in_context;
    cuMulticastAddDevice: "cuMulticastAddDevice" 12010 () = unsupported::in_context;
    cuStreamAttachMemAsync | cuStreamAttachMemAsync_ptsz: "cuStreamAttachMemAsync" 6000 () = unsupported::in_context;
    cuStreamBatchMemOp_v2 | cuStreamBatchMemOp_v2_ptsz: "cuStreamBatchMemOp" 11070 () = unsupported::in_context;
    cuStreamWaitValue64_v2 | cuStreamWaitValue64_v2_ptsz: "cuStreamWaitValue64" 11070 () = unsupported::in_context;
    cuStreamWriteValue64_v2 | cuStreamWriteValue64_v2_ptsz: "cuStreamWriteValue64" 11070 () = unsupported::in_context;
    cuFlushGPUDirectRDMAWrites: "cuFlushGPUDirectRDMAWrites" 11030 () = unsupported::in_context;
    cuMemAllocHost: "cuMemAllocHost" 2000 () = unsupported::in_context;
    cuMemHostRegister: "cuMemHostRegister" 4000 () = unsupported::in_context;
    cuMemGetDefaultMemPool: "cuMemGetDefaultMemPool" 13000 () = unsupported::in_context;
    cuMemGetMemPool: "cuMemGetMemPool" 13000 () = unsupported::in_context;
    cuLaunchHostFunc_v2 | cuLaunchHostFunc_v2_ptsz: "cuLaunchHostFunc" 13020 () = unsupported::in_context;
    cuGraphHostNodeSetParams: "cuGraphHostNodeSetParams" 10000 () = unsupported::in_context;
    cuGraphExecHostNodeSetParams: "cuGraphExecHostNodeSetParams" 10020 () = unsupported::in_context;
    cuUserObjectRetain: "cuUserObjectRetain" 11030 () = unsupported::in_context;
    cuGraphMemcpyNodeSetParams: "cuGraphMemcpyNodeSetParams" 10000 () = unsupported::in_context;
    cuGraphExecMemcpyNodeSetParams: "cuGraphExecMemcpyNodeSetParams" 10020 () = unsupported::in_context;
    cuGraphAddNode_v2: "cuGraphAddNode" 12030 () = unsupported::in_context;
    cuGraphAddNode_v3: "cuGraphAddNode" 13040 () = unsupported::in_context;
    cuGraphNodeSetParams: "cuGraphNodeSetParams" 12020 () = unsupported::in_context;
    cuGraphNodeSetParams_v2: "cuGraphNodeSetParams" 13040 () = unsupported::in_context;
    cuGraphExecNodeSetParams: "cuGraphExecNodeSetParams" 12020 () = unsupported::in_context;
    cuMemcpyHtoDAsync: "cuMemcpyHtoDAsync" 2000 () = unsupported::in_context;
    cuMemcpyDtoHAsync: "cuMemcpyDtoHAsync" 2000 () = unsupported::in_context;
    cuMemcpyHtoAAsync: "cuMemcpyHtoAAsync" 2000 () = unsupported::in_context;
    cuMemcpyHtoAAsync_v2 | cuMemcpyHtoAAsync_v2_ptsz: "cuMemcpyHtoAAsync" 3020 () = unsupported::in_context;
    cuMemcpyAtoHAsync: "cuMemcpyAtoHAsync" 2000 () = unsupported::in_context;
    cuMemcpyAtoHAsync_v2 | cuMemcpyAtoHAsync_v2_ptsz: "cuMemcpyAtoHAsync" 3020 () = unsupported::in_context;
    cuMemcpy2DAsync: "cuMemcpy2DAsync" 2000 () = unsupported::in_context;
    cuMemcpy3DAsync: "cuMemcpy3DAsync" 2000 () = unsupported::in_context;
    cuMemcpy3DAsync_v2 | cuMemcpy3DAsync_v2_ptsz: "cuMemcpy3DAsync" 3020 () = unsupported::in_context;
    cuMemcpy3DPeerAsync | cuMemcpy3DPeerAsync_ptsz: "cuMemcpy3DPeerAsync" 4000 () = unsupported::in_context;
    cuMemcpyBatchAsync_v2 | cuMemcpyBatchAsync_v2_ptsz: "cuMemcpyBatchAsync" 13000 () = unsupported::in_context;
    cuMemcpy3DBatchAsync_v2 | cuMemcpy3DBatchAsync_v2_ptsz: "cuMemcpy3DBatchAsync" 13000 () = unsupported::in_context;
    cuMemcpyWithAttributesAsync | cuMemcpyWithAttributesAsync_ptsz: "cuMemcpyWithAttributesAsync" 13020 () = unsupported::in_context;
    cuMemcpy3DWithAttributesAsync | cuMemcpy3DWithAttributesAsync_ptsz: "cuMemcpy3DWithAttributesAsync" 13020 () = unsupported::in_context;
    cuFabricCpyBatchAsync | cuFabricCpyBatchAsync_ptsz: "cuFabricCpyBatchAsync" 13050 () = unsupported::in_context;
    cuIpcOpenMemHandle: "cuIpcOpenMemHandle" 4010 () = unsupported::in_context;
    cuLogicalEndpointCreate: "cuLogicalEndpointCreate" 13050 () = unsupported::in_context;
    cuLogicalEndpointImport: "cuLogicalEndpointImport" 13050 () = unsupported::in_context;
    cuGraphExternalSemaphoresSignalNodeSetParams: "cuGraphExternalSemaphoresSignalNodeSetParams" 11020 () = unsupported::in_context;
    cuGraphExternalSemaphoresWaitNodeSetParams: "cuGraphExternalSemaphoresWaitNodeSetParams" 11020 () = unsupported::in_context;
    cuGraphExecExternalSemaphoresSignalNodeSetParams: "cuGraphExecExternalSemaphoresSignalNodeSetParams" 11020 () = unsupported::in_context;
    cuGraphExecExternalSemaphoresWaitNodeSetParams: "cuGraphExecExternalSemaphoresWaitNodeSetParams" 11020 () = unsupported::in_context;
    cuGraphicsGLRegisterImage: "cuGraphicsGLRegisterImage" 3000 () = unsupported::in_context;
    cuGraphicsEGLRegisterImage: "cuGraphicsEGLRegisterImage" 7000 () = unsupported::in_context;
    cuGraphicsVDPAURegisterOutputSurface: "cuGraphicsVDPAURegisterOutputSurface" 3010 () = unsupported::in_context;
    cuGraphicsVDPAURegisterVideoSurface: "cuGraphicsVDPAURegisterVideoSurface" 3010 () = unsupported::in_context;
    cuGLInit: "cuGLInit" 2000 () = unsupported::in_context;
    cuGLCtxCreate: "cuGLCtxCreate" 2000 () = unsupported::in_context;
    cuGLCtxCreate_v2: "cuGLCtxCreate" 3020 () = unsupported::in_context;
    cuGLRegisterBufferObject: "cuGLRegisterBufferObject" 2000 () = unsupported::in_context;
    cuGLMapBufferObject: "cuGLMapBufferObject" 2000 () = unsupported::in_context;
    cuGLMapBufferObject_v2 | cuGLMapBufferObject_v2_ptds: "cuGLMapBufferObject" 3020 () = unsupported::in_context;
    cuGLMapBufferObjectAsync: "cuGLMapBufferObjectAsync" 2030 () = unsupported::in_context;
    cuGLMapBufferObjectAsync_v2 | cuGLMapBufferObjectAsync_v2_ptsz: "cuGLMapBufferObjectAsync" 3020 () = unsupported::in_context;
    cuVDPAUCtxCreate: "cuVDPAUCtxCreate" 3010 () = unsupported::in_context;
    cuVDPAUCtxCreate_v2: "cuVDPAUCtxCreate" 3020 () = unsupported::in_context;
    cuEGLStreamConsumerConnect: "cuEGLStreamConsumerConnect" 7000 () = unsupported::in_context;
    cuEGLStreamConsumerConnectWithFlags: "cuEGLStreamConsumerConnectWithFlags" 7000 () = unsupported::in_context;
    cuEGLStreamConsumerAcquireFrame: "cuEGLStreamConsumerAcquireFrame" 7000 () = unsupported::in_context;
    cuEGLStreamProducerConnect: "cuEGLStreamProducerConnect" 7000 () = unsupported::in_context;
    cuEGLStreamProducerPresentFrame: "cuEGLStreamProducerPresentFrame" 7000 () = unsupported::in_context;
    cuEGLStreamProducerReturnFrame: "cuEGLStreamProducerReturnFrame" 7000 () = unsupported::in_context;
    cuEventCreateFromEGLSync: "cuEventCreateFromEGLSync" 9000 () = unsupported::in_context;
    cuStreamWaitValue32 | cuStreamWaitValue32_ptsz: "cuStreamWaitValue32" 8000 () = unsupported::in_context;
    cuStreamWaitValue64 | cuStreamWaitValue64_ptsz: "cuStreamWaitValue64" 9000 () = unsupported::in_context;
    cuStreamBatchMemOp | cuStreamBatchMemOp_ptsz: "cuStreamBatchMemOp" 8000 () = unsupported::in_context;
    cuGraphBatchMemOpNodeSetParams: "cuGraphBatchMemOpNodeSetParams" 11070 () = unsupported::in_context;
    cuGraphExecBatchMemOpNodeSetParams: "cuGraphExecBatchMemOpNodeSetParams" 11070 () = unsupported::in_context;

    cuMemcpyDtoA_v2 | cuMemcpyDtoA_v2_ptds: "cuMemcpyDtoA" 3020 () = unsupported::in_context;
    cuMemcpyAtoD_v2 | cuMemcpyAtoD_v2_ptds: "cuMemcpyAtoD" 3020 () = unsupported::in_context;
    cuMemcpyHtoA_v2 | cuMemcpyHtoA_v2_ptds: "cuMemcpyHtoA" 3020 () = unsupported::in_context;
    cuMemcpyAtoH_v2 | cuMemcpyAtoH_v2_ptds: "cuMemcpyAtoH" 3020 () = unsupported::in_context;
    cuMemcpyAtoA_v2 | cuMemcpyAtoA_v2_ptds: "cuMemcpyAtoA" 3020 () = unsupported::in_context;
    cuMemcpy3D_v2 | cuMemcpy3D_v2_ptds: "cuMemcpy3D" 3020 () = unsupported::in_context;
    cuMemcpy3DPeer | cuMemcpy3DPeer_ptds: "cuMemcpy3DPeer" 4000 () = unsupported::in_context;
    cuMemsetD2D16_v2 | cuMemsetD2D16_v2_ptds: "cuMemsetD2D16" 3020 () = unsupported::in_context;
    cuMemsetD2D16Async | cuMemsetD2D16Async_ptsz: "cuMemsetD2D16Async" 3020 () = unsupported::in_context;
    cuMemsetD2D32_v2 | cuMemsetD2D32_v2_ptds: "cuMemsetD2D32" 3020 () = unsupported::in_context;
    cuMemsetD2D32Async | cuMemsetD2D32Async_ptsz: "cuMemsetD2D32Async" 3020 () = unsupported::in_context;
    cuLaunchCooperativeKernel | cuLaunchCooperativeKernel_ptsz: "cuLaunchCooperativeKernel" 9000 () = unsupported::in_context;
    cuLaunchCooperativeKernelMultiDevice: "cuLaunchCooperativeKernelMultiDevice" 9000 () = unsupported::in_context;
    cuLaunch: "cuLaunch" 2000 () = unsupported::in_context;
    cuLaunchGrid: "cuLaunchGrid" 2000 () = unsupported::in_context;
    cuLaunchGridAsync: "cuLaunchGridAsync" 2000 () = unsupported::in_context;
    cuMemAllocFromPoolAsync | cuMemAllocFromPoolAsync_ptsz: "cuMemAllocFromPoolAsync" 11020 () = unsupported::in_context;
    cuArrayCreate_v2: "cuArrayCreate" 3020 () = unsupported::in_context;
    cuArray3DCreate_v2: "cuArray3DCreate" 3020 () = unsupported::in_context;
    cuMipmappedArrayCreate: "cuMipmappedArrayCreate" 5000 () = unsupported::in_context;
    cuModuleLoadFatBinary: "cuModuleLoadFatBinary" 2000 () = unsupported::in_context;
    cuLibraryLoadData: "cuLibraryLoadData" 12000 () = unsupported::in_context;
    cuLibraryLoadFromFile: "cuLibraryLoadFromFile" 12000 () = unsupported::in_context;
    cuLibraryGetModule: "cuLibraryGetModule" 12000 () = unsupported::in_context;
    cuLibraryGetGlobal: "cuLibraryGetGlobal" 12000 () = unsupported::in_context;
    cuKernelGetFunction: "cuKernelGetFunction" 12000 () = unsupported::in_context;
    cuFuncLoad: "cuFuncLoad" 12040 () = unsupported::in_context;
    cuGraphInstantiateWithParams | cuGraphInstantiateWithParams_ptsz: "cuGraphInstantiateWithParams" 12000 () = unsupported::in_context;
    cuGraphUpload | cuGraphUpload_ptsz: "cuGraphUpload" 11010 () = unsupported::in_context;

    // Of a driver that is still to come: variants that nobody can know.
    cuMemAlloc_v3: "cuMemAlloc" 99000 () = unsupported::in_context;
    cuUserObjectCreate_v2: "cuUserObjectCreate" 99000 () = unsupported::in_context;
    cuMemPoolCreate_v2: "cuMemPoolCreate" 99000 () = unsupported::in_context;
    cuLaunchKernel_v2: "cuLaunchKernel" 99000 () = unsupported::in_context;
}
