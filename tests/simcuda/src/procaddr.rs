//! `cuGetProcAddress`: the newest variant that is not newer than the version asked for.

use crate::abi::{Out, Text};
use crate::dispatch::Entry;
use crate::error::{Api, Error};
use crate::exports::TABLE;
use crate::settings::SETTINGS;

/// `CU_GET_PROC_ADDRESS_LEGACY_STREAM`
const LEGACY: u64 = 1;
/// `CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM`
const PER_THREAD: u64 = 2;
/// `CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND`, `…_VERSION_NOT_SUFFICIENT`
const SYMBOL_NOT_FOUND: u32 = 1;
const VERSION_NOT_SUFFICIENT: u32 = 2;

fn find(name: &str, version: i32) -> Result<&'static Entry, u32> {
    let exists = |entry: &&Entry| entry.name == name && entry.since <= SETTINGS.driver_version;
    let mut variants = TABLE.iter().filter(exists).peekable();
    if variants.peek().is_none() {
        return Err(SYMBOL_NOT_FOUND);
    }
    variants
        .filter(|entry| entry.since <= version)
        .max_by_key(|entry| entry.since)
        .ok_or(VERSION_NOT_SUFFICIENT)
}

/// What both forms have in common. The driver itself does not survive a NULL `code`.
fn look_up(name: Text, version: i32, flags: u64) -> Api<Result<usize, u32>> {
    let name = name.get()?;
    let newer = version / 1000 > SETTINGS.driver_version / 1000;
    if newer || flags & !(LEGACY | PER_THREAD) != 0 {
        return Err(Error::INVALID_VALUE);
    }
    Ok(find(&name, version).map(|entry| {
        let variant = entry.per_thread.as_ref().filter(|_| flags & PER_THREAD != 0);
        variant.map_or(&entry.code, |(_, code)| code).0 as usize
    }))
}

/// `cuGetProcAddress_v2`: a function that there is not is told by NULL and the status alone.
pub fn get_v2(name: Text, code: Out<usize>, version: i32, flags: u64, status: Out<u32>) -> Api {
    let found = look_up(name, version, flags)?;
    status.set_if_wanted(found.err().unwrap_or(0));
    code.set(found.unwrap_or(0))
}

/// `cuGetProcAddress` of CUDA 11.3: for a function that there is not, an error and nothing written.
pub fn get(name: Text, code: Out<usize>, version: i32, flags: u64) -> Api {
    code.set(look_up(name, version, flags)?.map_err(|_| Error::NOT_FOUND)?)
}

/// `cuGetExportTable`: there are no private tables.
pub fn get_export_table(table: Out<usize>, _id: Out<u8>) -> Api {
    table.set(0)?;
    Err(Error::NOT_FOUND)
}

/// `cuGetErrorName`
pub fn error_name(code: u32, text: Out<usize>) -> Api {
    set_static(text, crate::error::name(code))
}

/// `cuGetErrorString`
pub fn error_string(code: u32, text: Out<usize>) -> Api {
    set_static(text, crate::error::text(code))
}

fn set_static(place: Out<usize>, text: Option<&'static str>) -> Api {
    place.set(text.map_or(0, |text| text.as_ptr() as usize))?;
    text.map(drop).ok_or(Error::INVALID_VALUE)
}
