//! Modules: files or texts that begin with a mark, and contain all simulated kernels.

use crate::abi::{In, Out, Text};
use crate::capture;
use crate::context;
use crate::error::{Api, Error};
use crate::kernels::Program;
use crate::{host_memory, memory, state};

/// How an image begins.
const MARK: &[u8] = b"simcuda kernels";

fn add(module: Out<usize>) -> Api {
    let mut sim = state::lock();
    let context = context::current(&sim)?;
    let handle = sim.new_handle();
    sim.modules.insert(handle, context);
    module.set(handle)
}

/// `cuModuleLoad`
pub fn load(module: Out<usize>, path: Text) -> Api {
    let content = std::fs::read(path.get()?).map_err(|_| Error::FILE_NOT_FOUND)?;
    if content.starts_with(MARK) { add(module) } else { Err(Error::INVALID_IMAGE) }
}

/// `cuModuleLoadData`
pub fn load_data(module: Out<usize>, image: In<u8>) -> Api {
    for (index, expected) in MARK.iter().enumerate() {
        if image.get_at(index)? != *expected {
            return Err(Error::INVALID_IMAGE);
        }
    }
    add(module)
}

/// `cuModuleLoadDataEx`, `cuModuleLoadFatBinary`
pub fn load_data_ex(
    module: Out<usize>,
    image: In<u8>,
    _count: u32,
    _options: In<u32>,
    _values: In<usize>,
) -> Api {
    load_data(module, image)
}

/// `cuModuleGetFunction`
pub fn get_function(function: Out<usize>, module: usize, name: Text) -> Api {
    let mut sim = state::lock();
    if !sim.modules.contains_key(&module) {
        return Err(Error::INVALID_HANDLE);
    }
    let program = Program::by_name(&name.get()?).ok_or(Error::NOT_FOUND)?;
    let known =
        sim.functions.iter().find_map(|(&handle, &known)| (known == program).then_some(handle));
    let handle = known.unwrap_or_else(|| sim.new_handle());
    sim.functions.insert(handle, program);
    function.set(handle)
}

/// `cuModuleGetGlobal_v2`: every module has a word `on_device` and a word `managed`, each made anew
/// for whoever asks, and never freed.
pub fn get_global(pointer: Out<u64>, bytes: Out<usize>, module: usize, name: Text) -> Api {
    const WORD: usize = 4;
    if !state::lock().modules.contains_key(&module) {
        return Err(Error::INVALID_HANDLE);
    }
    match name.get()?.as_str() {
        "on_device" => memory::alloc(pointer, WORD)?,
        "managed" => host_memory::alloc_managed(pointer, WORD, 1)?,
        _ => return Err(Error::NOT_FOUND),
    }
    bytes.set_if_wanted(WORD);
    Ok(())
}

/// `cuModuleUnload`
pub fn unload(module: usize) -> Api {
    let mut sim = state::lock();
    context::current(&sim)?;
    capture::refuse_unsafe_call(&mut sim)?;
    sim.modules.remove(&module).map(drop).ok_or(Error::INVALID_HANDLE)
}

/// `cuLibraryGetManaged`: no library has managed variables here.
pub fn library_get_managed(
    _pointer: Out<u64>,
    _bytes: Out<usize>,
    _library: usize,
    _name: Text,
) -> Api {
    Err(Error::NOT_FOUND)
}
