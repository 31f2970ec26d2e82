//! What can be told of a program from its file.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{DT_NEEDED, EM_AARCH64, EM_X86_64, FileHeader64, PT_INTERP};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

/// What a program is, as far as it matters for a preloaded library.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The file that is executed in the end: the interpreter of a script.
    pub path: PathBuf,
    /// Whether that is the interpreter of a script.
    pub is_script: bool,
    /// The loader that it names; `None` for a static program.
    pub loader: Option<String>,
    /// Libraries it is linked against.
    pub needed: Vec<String>,
    /// Whether it runs as another user or group, or with capabilities, so that the loader ignores
    /// what the environment says.
    pub is_privileged: bool,
    /// Whether it is of this machine's kind.
    pub is_native: bool,
    /// Whether CUDA's runtime is linked into it.
    pub has_static_runtime: bool,
}

/// The file that a shell would execute for `name`.
pub fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|path| {
        fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.mode() & 0o111 != 0)
    })
}

/// Whether the loader loads preloaded libraries into the program.
pub fn loads_libraries(path: &Path) -> bool {
    Program::look(path).is_ok_and(|program| {
        let loader = program.loader.as_deref();
        loader.is_some_and(is_glibc) && !program.is_privileged && program.is_native
    })
}

/// Whether a loader is that of the C library that cupool is built for.
pub fn is_glibc(loader: &str) -> bool {
    loader.rsplit('/').next().is_some_and(|name| name.starts_with("ld-linux"))
}

impl Program {
    /// Looks at the program at `path`.
    ///
    /// # Errors
    /// One line with what to do.
    pub fn look(path: &Path) -> Result<Self, String> {
        Self::look_through(path, 0)
    }

    fn look_through(path: &Path, scripts: u32) -> Result<Self, String> {
        /// As many as the kernel follows.
        const SCRIPTS: u32 = 4;

        let shown = path.display();
        let data = fs::read(path).map_err(|error| format!("{shown}: {error}; name a program"))?;
        if let Some(line) = data.strip_prefix(b"#!")
            && scripts < SCRIPTS
        {
            let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
            let interpreter = interpreter(&String::from_utf8_lossy(line))
                .ok_or_else(|| format!("{shown}: its interpreter is not there; install it"))?;
            let program = Self::look_through(&interpreter, scripts + 1)?;
            return Ok(Self { is_script: true, ..program });
        }
        let mut program = Self::parse(&data).ok_or_else(|| {
            format!(
                "{shown}: not a 64-bit ELF program or a script; name the program that uses CUDA"
            )
        })?;
        program.path = path.to_owned();
        program.is_privileged = is_privileged(path);
        Ok(program)
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let machine = header.e_machine(endian);
        let segments = header.program_headers(endian, data).ok()?;
        let mut program = Self {
            is_native: machine
                == if cfg!(target_arch = "aarch64") { EM_AARCH64 } else { EM_X86_64 },
            has_static_runtime: contains(data, b"libcuda.so.1"),
            ..Self::default()
        };
        for segment in segments {
            if segment.p_type(endian) == PT_INTERP {
                let name = segment.data(endian, data).ok()?;
                let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
                program.loader = Some(String::from_utf8_lossy(name).into_owned());
            }
        }
        let sections = header.sections(endian, data).ok()?;
        if let Ok(Some((entries, strings))) = sections.dynamic(endian, data) {
            let strings = sections.strings(endian, data, strings).ok()?;
            for entry in entries.iter().filter(|entry| entry.tag32(endian) == Some(DT_NEEDED)) {
                let name = entry.string(endian, strings).unwrap_or_default();
                program.needed.push(String::from_utf8_lossy(name).into_owned());
            }
        }
        program.has_static_runtime &=
            !program.needs("libcudart.so") && !program.needs("libcuda.so");
        Some(program)
    }

    /// Whether it is linked against a library of which the file's name begins so.
    pub fn needs(&self, start: &str) -> bool {
        self.needed.iter().any(|name| name.starts_with(start))
    }
}

/// The interpreter of a script that begins with `#!` and this.
fn interpreter(line: &str) -> Option<PathBuf> {
    let mut words = line.split_whitespace();
    let path = PathBuf::from(words.next()?);
    if path.file_name() != Some(OsStr::new("env")) {
        return path.is_file().then_some(path);
    }
    let name = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    find(&OsString::from(name))
}

fn is_privileged(path: &Path) -> bool {
    let by_mode = fs::metadata(path).is_ok_and(|facts| facts.mode() & 0o6000 != 0);
    let mut none: [u8; 0] = [];
    by_mode
        || rustix::fs::getxattr(path, "security.capability", &mut none).is_ok_and(|size| size > 0)
}

fn contains(data: &[u8], text: &[u8]) -> bool {
    data.windows(text.len()).any(|window| window == text)
}
