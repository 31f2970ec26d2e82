//! Whether a shared object or program runs on every machine that a release is for.

use std::fs;
use std::path::Path;

use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn, FileHeader, SectionHeader};

use crate::Result;

/// The oldest glibc that Rust's own library runs with, and so a release.
pub const GLIBC: (u32, u32) = (2, 17);

/// The C library and its companions, which every process has that loads a CUDA driver.
const COMPANIONS: &[&str] = &[
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// What a shared object or program asks of the system.
#[derive(Debug, Default)]
pub struct Needs {
    /// Libraries (`DT_NEEDED`).
    pub libraries: Vec<String>,
    /// Versions of symbols (`GLIBC_2.17`).
    pub versions: Vec<String>,
}

/// Checks that the file at `path` needs no library but glibc's, and no glibc after [`GLIBC`].
///
/// # Errors
/// What it needs beyond that, or why it cannot be read.
pub fn runs_everywhere(path: &Path) -> Result<()> {
    let file = path.display();
    let needs = needs(path)?;
    if needs.libraries.is_empty() || needs.versions.is_empty() {
        return Err(format!("{file}: linked statically, or not linked"));
    }
    let foreign = needs.libraries.iter().find(|library| !COMPANIONS.contains(&library.as_str()));
    if let Some(library) = foreign {
        return Err(format!("{file}: needs {library}"));
    }
    match needs.versions.iter().find(|version| !is_old(version)) {
        Some(version) => Err(format!("{file}: needs {version}")),
        None => Ok(()),
    }
}

/// Whether a version of a symbol has been there since [`GLIBC`]. The versions of libgcc's unwinder
/// are older than that.
fn is_old(version: &str) -> bool {
    if let Some(version) = version.strip_prefix("GCC_") {
        return version.starts_with("3.");
    }
    let Some(version) = version.strip_prefix("GLIBC_") else { return false };
    let mut numbers = version.split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) <= GLIBC,
        _ => false,
    }
}

/// Reads what the file at `path` needs.
///
/// # Errors
/// It is not a 64-bit object file, or cannot be read.
pub fn needs(path: &Path) -> Result<Needs> {
    let data = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&data).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(data: &[u8]) -> object::Result<Needs> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, data)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut needs = Needs::default();
    for section in sections.iter() {
        if let Some((entries, strings)) = section.dynamic(endian, data)? {
            let strings = sections.strings(endian, data, strings)?;
            for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(DT_NEEDED)) {
                needs.libraries.push(text(entry.string(endian, strings)?));
            }
        }
        if let Some((mut libraries, strings)) = section.gnu_verneed(endian, data)? {
            let strings = sections.strings(endian, data, strings)?;
            while let Some((_, mut versions)) = libraries.next()? {
                while let Some(version) = versions.next()? {
                    needs.versions.push(text(version.name(endian, strings)?));
                }
            }
        }
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::is_old;

    #[test]
    fn versions_are_compared_as_numbers() {
        for old in ["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.3.4", "GCC_3.0"] {
            assert!(is_old(old), "{old}");
        }
        for new in ["GLIBC_2.18", "GLIBC_2.34", "GLIBC_3.0", "GLIBC_ABI_DT_RELR", "GCC_13.0"] {
            assert!(!is_old(new), "{new}");
        }
    }
}
