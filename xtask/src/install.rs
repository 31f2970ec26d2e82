//! Installing an unpacked release.

use std::path::Path;
use std::process::Command;

use crate::Result;

/// Installs the release in `package` under `prefix`, by the script that is part of it.
///
/// # Errors
/// The script fails; what was installed before is then as it was.
pub fn run(package: &Path, prefix: &Path) -> Result<()> {
    let mut script = Command::new(package.join("install.sh"));
    crate::run(script.arg("--prefix").arg(prefix), "the package is incomplete")
}
