//! `cargo xtask`: makes and installs releases.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{Arch, build, install, pack};

/// Makes and installs releases of cupool.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds against glibc 2.17 and makes cupool-VERSION-ARCH-linux.tar.gz.
    ///
    /// Needs cargo-zigbuild and zig, both on PyPI: `pip install cargo-zigbuild ziglang`.
    Package {
        /// The machine that it is for.
        #[arg(long, value_enum, default_value_t = Arch::host())]
        arch: Arch,
        /// Where the archive goes, and its contents, unpacked.
        #[arg(long, default_value = "target/package")]
        out: PathBuf,
    },
    /// Builds for this machine with its own toolchain, and installs.
    ///
    /// Programs that run keep the library that they have.
    Install {
        /// Where lib, bin, include and share are.
        #[arg(long, default_value = "/usr/local")]
        prefix: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Package { arch, out } => package(arch, &out),
        Task::Install { prefix } => install_from_source(&prefix),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

fn package(arch: Arch, out: &std::path::Path) -> xtask::Result<()> {
    let built = build::for_old_glibc(arch)?;
    let package = pack::package(&built, arch, out)?;
    println!("{}", package.archive.display());
    println!("{}", package.debug_archive.display());
    Ok(())
}

fn install_from_source(prefix: &std::path::Path) -> xtask::Result<()> {
    let built = build::native()?;
    let package = pack::package(&built, Arch::host(), &built.directory.join("package"))?;
    install::run(&package.directory, prefix)
}
