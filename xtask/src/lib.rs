//! What `cargo xtask` does: builds that run on many machines, and the archive of a release.

pub mod build;
pub mod install;
pub mod pack;
pub mod symbols;

use std::fmt;
use std::process::Command;

/// What went wrong, in a line or with a tool's own words.
pub type Result<T> = std::result::Result<T, String>;

/// The machines that there are releases for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Arch {
    /// 64-bit x86.
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    #[value(name = "aarch64")]
    Aarch64,
}

impl Arch {
    /// The one that this runs on.
    pub fn host() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 }
    }

    /// The Rust target.
    pub fn target(self) -> String {
        format!("{self}-unknown-linux-gnu")
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

/// Runs a tool to its end.
fn run(command: &mut Command, missing: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("{program}: {error}; {missing}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program}: {status}")) }
}
