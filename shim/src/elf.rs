//! Finds the C library's own `dlsym` and `dlvsym` without asking `dlsym`.
//!
//! This library exports both names, so asking the dynamic linker by name could only lead back here.
//! Instead the symbol table of the loaded C library is read. That allocates nothing and needs no
//! constructor to have run: other libraries' constructors, and `malloc` implementations, ask for
//! symbols before ours.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use libc::{Elf64_Phdr, Elf64_Sym, dl_phdr_info};

const DT_HASH: i64 = 4;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_GNU_HASH: i64 = 0x6fff_fef5;
const DT_VERSYM: i64 = 0x6fff_fff0;
/// Set in a symbol's version index when it is not the default version of its name.
const VERSION_HIDDEN: u16 = 0x8000;
const STT_FUNC: u8 = 2;

/// The objects that define `dlsym`: the C library since glibc 2.34, before that a library of its
/// own. Where both exist, the second only forwards to the first.
const HOMES: [&[u8]; 2] = [b"libc.so.", b"libdl.so."];

#[repr(C)]
struct Dyn {
    tag: i64,
    value: u64,
}

/// The default version of the function `name` in the C library; null if there is none.
pub fn libc_function(name: &CStr) -> *const c_void {
    let mut search = Search { name, home: HOMES[0], found: ptr::null() };
    for home in HOMES {
        search.home = home;
        // SAFETY: `visit` takes its data as the `Search` that is passed here and outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
        if !search.found.is_null() {
            break;
        }
    }
    search.found
}

struct Search<'a> {
    name: &'a CStr,
    home: &'static [u8],
    found: *const c_void,
}

unsafe extern "C" fn visit(info: *mut dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: `dl_iterate_phdr` passes on what `libc_function` gave it, which nobody else holds.
    let search = unsafe { &mut *search.cast::<Search>() };
    // SAFETY: `dl_iterate_phdr` describes a loaded object, for the length of this call.
    let info = unsafe { &*info };
    if info.dlpi_name.is_null() {
        return 0;
    }
    // SAFETY: an object's name is a C string.
    let path = unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes();
    let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    if !file.starts_with(search.home) {
        return 0;
    }
    // SAFETY: the object is loaded and relocated, and stays so during this call.
    if let Some(symbols) = unsafe { Symbols::of(info) } {
        // SAFETY: the tables are those of a loaded object.
        search.found = unsafe { symbols.find(search.name) };
    }
    c_int::from(!search.found.is_null())
}

/// The dynamic symbol tables of one loaded object.
struct Symbols {
    base: u64,
    symbols: *const Elf64_Sym,
    strings: *const c_char,
    versions: *const u16,
    gnu_hash: *const u32,
    hash: *const u32,
}

impl Symbols {
    /// # Safety
    /// `info` describes an object that is loaded and relocated.
    unsafe fn of(info: &dl_phdr_info) -> Option<Self> {
        let base = info.dlpi_addr;
        let headers: &[Elf64_Phdr] =
            // SAFETY: the caller's object has that many program headers.
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let dynamic = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
        let mut entry = (base + dynamic.p_vaddr) as *const Dyn;
        let (mut symbols, mut strings, mut versions, mut gnu_hash, mut hash) = (0, 0, 0, 0, 0);
        loop {
            // SAFETY: the dynamic section ends with a null tag, where this loop ends too.
            let Dyn { tag, value } = unsafe { ptr::read(entry) };
            // The loader relocates these addresses in place, unless the section is read-only.
            let address = if value < base { base + value } else { value };
            match tag {
                0 => break,
                DT_SYMTAB => symbols = address,
                DT_STRTAB => strings = address,
                DT_VERSYM => versions = address,
                DT_GNU_HASH => gnu_hash = address,
                DT_HASH => hash = address,
                _ => {}
            }
            entry = entry.wrapping_add(1);
        }
        (symbols != 0 && strings != 0).then_some(Self {
            base,
            symbols: symbols as *const Elf64_Sym,
            strings: strings as *const c_char,
            versions: versions as *const u16,
            gnu_hash: gnu_hash as *const u32,
            hash: hash as *const u32,
        })
    }

    /// # Safety
    /// The tables are those of a loaded object.
    unsafe fn find(&self, name: &CStr) -> *const c_void {
        if !self.gnu_hash.is_null() {
            // SAFETY: as the caller says.
            unsafe { self.find_by_gnu_hash(name) }
        } else if !self.hash.is_null() {
            // SAFETY: as the caller says.
            unsafe { self.find_by_hash(name) }
        } else {
            ptr::null()
        }
    }

    /// # Safety
    /// As for [`Symbols::find`], with a `DT_GNU_HASH` table.
    unsafe fn find_by_gnu_hash(&self, name: &CStr) -> *const c_void {
        let hash = gnu_hash(name.to_bytes());
        // SAFETY: the table is four words (buckets, first symbol, filter words, shift), the
        // filter's 64-bit words, the buckets, and a chain that ends with an odd hash.
        unsafe {
            let (buckets, first) = (*self.gnu_hash, *self.gnu_hash.add(1));
            let filter = *self.gnu_hash.add(2) as usize;
            let bucket = self.gnu_hash.add(4 + 2 * filter);
            let chain = bucket.add(buckets as usize);
            let mut index = *bucket.add((hash % buckets) as usize);
            if index < first {
                return ptr::null();
            }
            loop {
                let entry = *chain.add((index - first) as usize);
                if entry | 1 == hash | 1 && self.matches(index, name) {
                    return self.address(index);
                }
                if entry & 1 == 1 {
                    return ptr::null();
                }
                index += 1;
            }
        }
    }

    /// # Safety
    /// As for [`Symbols::find`], with a `DT_HASH` table.
    unsafe fn find_by_hash(&self, name: &CStr) -> *const c_void {
        // SAFETY: the second word of the table is the number of symbols.
        unsafe {
            let count = *self.hash.add(1);
            let found = (0..count).find(|&index| self.matches(index, name));
            found.map_or(ptr::null(), |index| self.address(index))
        }
    }

    /// Whether symbol `index` is the default version of the function `name`.
    ///
    /// # Safety
    /// `index` is in the symbol table.
    unsafe fn matches(&self, index: u32, name: &CStr) -> bool {
        // SAFETY: as the caller says; the string table belongs to the symbol table, and there are
        // as many versions as symbols.
        unsafe {
            let symbol = &*self.symbols.add(index as usize);
            symbol.st_shndx != 0
                && symbol.st_info & 0xf == STT_FUNC
                && CStr::from_ptr(self.strings.add(symbol.st_name as usize)) == name
                && (self.versions.is_null()
                    || *self.versions.add(index as usize) & VERSION_HIDDEN == 0)
        }
    }

    /// # Safety
    /// `index` is in the symbol table.
    unsafe fn address(&self, index: u32) -> *const c_void {
        // SAFETY: as the caller says.
        let value = unsafe { (*self.symbols.add(index as usize)).st_value };
        (self.base + value) as *const c_void
    }
}

fn gnu_hash(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| hash.wrapping_mul(33).wrapping_add(byte.into()))
}
