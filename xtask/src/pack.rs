//! The archive of a release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{Built, root};
use crate::{Arch, Result, run};

/// A release, packed.
#[derive(Debug)]
pub struct Package {
    /// What the archive unpacks to.
    pub directory: PathBuf,
    /// `cupool-VERSION-ARCH-linux.tar.gz`
    pub archive: PathBuf,
    /// The same name with `-debug`: the library's debug information, for debuggers and profilers.
    pub debug_archive: PathBuf,
}

/// What goes in as it is in the workspace.
const FILES: &[(&str, &str)] = &[
    ("shim/include/cupool.h", "include/cupool.h"),
    ("xtask/install.sh", "install.sh"),
    ("README.md", "README.md"),
    ("PLATFORM.md", "PLATFORM.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
];

/// Makes the archives in `out`.
///
/// # Errors
/// Something is missing, or cannot be written.
pub fn package(built: &Built, arch: Arch, out: &Path) -> Result<Package> {
    let name = format!("cupool-{}-{arch}-linux", env!("CARGO_PKG_VERSION"));
    let debug = format!("{name}-debug");
    let directory = out.join(&name);
    for directory in [&directory, &out.join(&debug)] {
        if directory.exists() {
            fs::remove_dir_all(directory).map_err(|error| at(directory, &error))?;
        }
    }
    let library = directory.join("lib/libcupool.so");
    let symbols = out.join(&debug).join("lib/libcupool.so.debug");
    copy(&built.library, &library, 0o755)?;
    split(arch, &library, &symbols)?;
    let command = directory.join("bin/cupool");
    copy(&built.command, &command, 0o755)?;
    objcopy(arch, &["--strip-unneeded"], &command)?;
    for (from, to) in FILES {
        let mode = if to.ends_with(".sh") { 0o755 } else { 0o644 };
        copy(&root().join(from), &directory.join(to), mode)?;
    }
    generate(&built.run, &directory)?;
    Ok(Package { directory, archive: archive(out, &name)?, debug_archive: archive(out, &debug)? })
}

/// Where shells look for completions, and what each calls its own.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "share/bash-completion/completions/cupool"),
    ("zsh", "share/zsh/site-functions/_cupool"),
    ("fish", "share/fish/vendor_completions.d/cupool.fish"),
];

/// Has the command write its man pages and completions.
fn generate(command: &[PathBuf], directory: &Path) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("no command to run")?;
    let generate = || {
        let mut command = Command::new(program);
        command.args(arguments).arg("generate");
        command
    };
    let missing = "build the command";
    run(generate().arg("--man").arg(directory.join("share/man/man1")), missing)?;
    for (shell, path) in COMPLETIONS {
        let path = directory.join(path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| at(directory, &error))?;
        }
        let file = fs::File::create(&path).map_err(|error| at(&path, &error))?;
        run(generate().args(["--completions", shell]).stdout(file), missing)?;
    }
    Ok(())
}

/// Moves the debug information of `library` to a file of its own, by whose name debuggers find it.
fn split(arch: Arch, library: &Path, symbols: &Path) -> Result<()> {
    copy(library, symbols, 0o644)?;
    objcopy(arch, &["--only-keep-debug"], symbols)?;
    let link = format!("--add-gnu-debuglink={}", symbols.display());
    // What has been packed before has a link already.
    objcopy(arch, &["--strip-unneeded", "--remove-section=.gnu_debuglink"], library)?;
    objcopy(arch, &[&link], library)
}

/// Changes the file in place. GNU's tool for one machine does not know the files of another.
fn objcopy(arch: Arch, arguments: &[&str], file: &Path) -> Result<()> {
    let tool = if arch == Arch::host() {
        "objcopy".to_owned()
    } else {
        format!("{arch}-linux-gnu-objcopy")
    };
    run(Command::new(tool).args(arguments).arg(file), "install GNU binutils for that machine")
}

/// The same contents give the same archive, whoever makes it and when.
fn archive(out: &Path, name: &str) -> Result<PathBuf> {
    let archive = out.join(format!("{name}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"])
        .args(["--mode=go=rX,u+rw", "--use-compress-program=gzip -n9"])
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(out)
        .arg(name);
    run(&mut tar, "install GNU tar")?;
    Ok(archive)
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).map_err(|error| at(directory, &error))?;
    }
    fs::copy(from, to).map_err(|error| at(from, &error))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(|error| at(to, &error))
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
