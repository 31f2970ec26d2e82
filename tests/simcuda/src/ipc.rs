//! Legacy CUDA IPC: handles can be made, and opened where they cannot reach (this process).

use crate::abi::{IpcHandle, Out};
use crate::context;
use crate::error::{Api, Error};
use crate::memory::Kind;
use crate::state;

const MARK: &[u8; 8] = b"simcuda!";

/// `cuIpcGetMemHandle`: the same for every address of a block, as measured.
pub fn get_handle(handle: Out<IpcHandle>, pointer: u64) -> Api {
    let sim = state::lock();
    context::current(&sim)?;
    let (start, block) = sim.memory.around(pointer).ok_or(Error::INVALID_VALUE)?;
    if block.kind != Kind::Device {
        return Err(Error::INVALID_VALUE);
    }
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(MARK);
    bytes[8..16].copy_from_slice(&start.to_ne_bytes());
    // SAFETY: no preconditions.
    bytes[16..20].copy_from_slice(&unsafe { libc::getpid() }.to_ne_bytes());
    handle.set(IpcHandle(bytes))
}

/// `cuIpcOpenMemHandle_v2`: a process cannot open its own handles, and others' lead nowhere here.
pub fn open_handle(_pointer: Out<u64>, handle: IpcHandle, _flags: u32) -> Api {
    context::current(&state::lock())?;
    let own = handle.0[..8] == *MARK;
    Err(if own { Error::INVALID_CONTEXT } else { Error::INVALID_VALUE })
}

/// `cuIpcCloseMemHandle`
pub fn close_handle(_pointer: u64) -> Api {
    context::current(&state::lock())?;
    Err(Error::INVALID_VALUE)
}

/// `cuIpcGetEventHandle`, `cuIpcOpenEventHandle`
pub fn get_event_handle(handle: Out<IpcHandle>, event: usize) -> Api {
    let sim = state::lock();
    if !sim.events.contains_key(&event) {
        return Err(Error::INVALID_HANDLE);
    }
    handle.set(IpcHandle([0; 64]))
}
