//! What a shared object needs, what it exports, and what others can make of its own references.

use std::fs;
use std::path::Path;

use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn, ElfFile64, FileHeader, SectionHeader};
use object::{Endianness, Object, ObjectSymbol, ObjectSymbolTable, RelocationTarget};

/// The dynamic section and symbols of a shared object.
#[derive(Debug)]
pub struct Elf {
    /// Libraries it is linked against (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// Symbols it defines for others.
    pub exports: Vec<String>,
    /// Symbols that the dynamic linker looks up for it, by which name there may be several definitions.
    pub references: Vec<String>,
}

impl Elf {
    /// Reads a 64-bit shared object.
    ///
    /// # Panics
    /// If it cannot be read as one.
    pub fn read(path: impl AsRef<Path>) -> Elf {
        let path = path.as_ref();
        let data = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        parse(&data).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn parse(data: &[u8]) -> object::Result<Elf> {
    let file = ElfFile64::<Endianness>::parse(data)?;
    let defined = file.dynamic_symbols().filter(|symbol| !symbol.is_undefined());
    let names = defined.filter_map(|symbol| Some(symbol.name().ok()?.to_owned()));
    let mut exports: Vec<String> = names.filter(|name| !name.is_empty()).collect();
    exports.sort();
    let symbols = file.dynamic_symbol_table();
    let targets = file.dynamic_relocations().into_iter().flatten().map(|(_, to)| to.target());
    let referred = targets.filter_map(|target| match target {
        RelocationTarget::Symbol(index) => symbols?.symbol_by_index(index).ok()?.name().ok(),
        _ => None,
    });
    let references = referred.map(str::to_owned).collect();
    Ok(Elf { needed: needed(data)?, exports, references })
}

fn needed(data: &[u8]) -> object::Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let mut needed = Vec::new();
    for section in sections.iter() {
        let Some((entries, strings)) = section.dynamic(endian, data)? else { continue };
        let strings = sections.strings(endian, data, strings)?;
        for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(DT_NEEDED)) {
            needed.push(String::from_utf8_lossy(entry.string(endian, strings)?).into_owned());
        }
    }
    Ok(needed)
}
