//! Old drivers: functions that came later are not merely refused, their symbols are not there.
//!
//! One library stands for every version, so when it is loaded it strikes the symbols of later
//! versions out of its own table, before anybody can look one up.

use std::ffi::{CStr, c_void};
use std::ptr;

use crate::exports::TABLE;
use crate::settings::SETTINGS;

#[used]
// SAFETY: the section holds pointers to functions that the loader calls without needing a result.
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = withdraw_later_symbols;

extern "C" fn withdraw_later_symbols() {
    for entry in TABLE.iter().filter(|entry| entry.since > SETTINGS.driver_version) {
        withdraw(entry.symbol, entry.code.0);
        if let Some((symbol, code)) = &entry.per_thread {
            withdraw(symbol, code.0);
        }
    }
}

unsafe extern "C" {
    fn dladdr1(
        address: *const c_void,
        info: *mut libc::Dl_info,
        extra: *mut *mut c_void,
        flags: i32,
    ) -> i32;
}

/// Ask `dladdr1` for the entry of the symbol table.
const RTLD_DL_SYMENT: i32 = 1;
const PAGE: usize = 4096;

fn withdraw(name: &str, code: *const ()) {
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    let mut symbol: *mut c_void = ptr::null_mut();
    // SAFETY: both results have room.
    let found = unsafe { dladdr1(code.cast(), &mut info, &mut symbol, RTLD_DL_SYMENT) };
    assert!(found != 0 && !symbol.is_null() && !info.dli_sname.is_null(), "no symbol {name}");
    // SAFETY: the loader's own string, not NULL.
    let found = unsafe { CStr::from_ptr(info.dli_sname) };
    assert_eq!(found.to_str(), Ok(name), "two symbols for one function");
    let symbol: *mut libc::Elf64_Sym = symbol.cast();
    let start = symbol as usize / PAGE * PAGE;
    let bytes = symbol as usize + size_of::<libc::Elf64_Sym>() - start;
    // SAFETY: the pages are this library's own symbol table, mapped privately; nobody looks
    // anything up in a library that is being loaded. A symbol without a section and a value is
    // one that the library needs, not one that it has.
    unsafe {
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        assert_eq!(libc::mprotect(start as *mut c_void, bytes, writable), 0, "mprotect");
        (*symbol).st_shndx = 0;
        (*symbol).st_value = 0;
        libc::mprotect(start as *mut c_void, bytes, libc::PROT_READ);
    }
}
