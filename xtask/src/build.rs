//! Building the library and the command.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::symbols::{self, GLIBC};
use crate::{Arch, Result, run};

/// A build to pack.
#[derive(Clone, Debug)]
pub struct Built {
    /// Where the two are; other things may be there as well.
    pub directory: PathBuf,
    /// `libcupool.so`
    pub library: PathBuf,
    /// `cupool`
    pub command: PathBuf,
    /// Runs the command on this machine: its path, perhaps behind an emulator's, or that of one of the
    /// same source.
    pub run: Vec<PathBuf>,
}

impl Built {
    /// What cargo has left in this directory.
    pub fn in_directory(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            library: directory.join("libcupool.so"),
            command: directory.join("cupool"),
            run: vec![directory.join("cupool")],
        }
    }
}

/// Builds what runs with glibc 2.17 and all later ones, and makes sure that it does.
///
/// # Errors
/// A tool is missing, the build fails, or its outcome needs more than it may.
pub fn for_old_glibc(arch: Arch) -> Result<Built> {
    let target = arch.target();
    let (major, minor) = GLIBC;
    cargo("zigbuild", &["--target", &format!("{target}.{major}.{minor}")])?;
    let mut built = Built::in_directory(&target_directory().join(target).join("release"));
    if arch != Arch::host() {
        cargo_build("build", &["-p", "cupool", "--bin", "cupool"], &[])?;
        built.run = vec![target_directory().join("release/cupool")];
    }
    symbols::runs_everywhere(&built.library)?;
    symbols::runs_everywhere(&built.command)?;
    Ok(built)
}

/// Builds for this machine with the toolchain that is here.
///
/// # Errors
/// The build fails.
pub fn native() -> Result<Built> {
    cargo("build", &[])?;
    Ok(Built::in_directory(&target_directory().join("release")))
}

/// The workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

fn target_directory() -> PathBuf {
    let directory = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    root().join(directory)
}

/// Builds the two one after the other: built together, the library would get what only the command
/// needs.
fn cargo(subcommand: &str, arguments: &[&str]) -> Result<()> {
    cargo_build(subcommand, &["-p", "cupool-shim"], arguments)?;
    cargo_build(subcommand, &["-p", "cupool", "--bin", "cupool"], arguments)
}

fn cargo_build(subcommand: &str, what: &[&str], arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(root()).arg(subcommand).arg("--release").args(what).args(arguments);
    run(&mut command, "install it").map_err(|error| format!("{error}\nbuilding {}", what.join(" ")))
}
