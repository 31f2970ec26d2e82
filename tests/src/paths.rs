//! Where the build script put things.

use std::process::Command;
use std::sync::OnceLock;

/// The library under test.
pub const LIBCUPOOL: &str = env!("CUPOOL_LIBRARY");
/// The command `cupool`, which finds the library under test by itself.
pub const COMMAND: &str = env!("CUPOOL_COMMAND");
/// Directory of the simulated `libcuda.so.1` and `libcudart.so.13`.
pub const SIMCUDA_DIR: &str = env!("SIMCUDA_DIR");
/// Directory of the compiled victims.
pub const VICTIMS_DIR: &str = env!("VICTIMS_DIR");
/// Directory of the victims' sources and scripts.
pub const VICTIMS_SOURCE: &str = env!("VICTIMS_SOURCE");
/// What compiled programs are run by, with its arguments, where they are for another machine than
/// this one; else empty.
pub const EMULATOR: &str = env!("VICTIMS_EMULATOR");
/// Whether there was a C++ compiler to build the C++ victims with.
pub const HAVE_CXX: bool = matches!(env!("VICTIMS_HAVE_CXX").as_bytes(), b"1");

/// The Python interpreter itself: what `python3` on the `PATH` finally runs, past any wrapper
/// script (a version manager's, say) that would be a process of its own.
///
/// # Panics
/// If there is no `python3`.
pub fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("python3 is needed for the Python victims");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}
