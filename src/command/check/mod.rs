//! `cupool check`

mod driver;
mod process;
pub mod program;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use program::{Program, is_glibc};

use super::{FAILURE, NOTHING, complain, preload, written};

/// Tell whether cupool would work: on this machine, for a program, or in a process
#[derive(Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// A program, looked up as a shell does, or a process
    #[arg(value_name = "PATH|PID")]
    what: Option<OsString>,
    /// The path of libcupool.so, if it is neither beside this command nor in ../lib
    #[arg(long, value_name = "PATH")]
    lib: Option<std::path::PathBuf>,
}

const HELP: &str = "\
Each line begins with `ok`, with `note` for what works with a difference, or with `no` for what
keeps cupool from working, and then says what to do.

Exit status: 0; 1 if it would not work; 2 if it cannot be told.

Examples:
  cupool check
  cupool check python3
  cupool check 4242";

/// What was found, one line each.
#[derive(Default)]
pub struct Findings {
    text: String,
    fails: bool,
}

impl Findings {
    fn ok(&mut self, what: &str) {
        let _ = writeln!(self.text, "ok    {what}");
    }

    fn note(&mut self, what: &str) {
        let _ = writeln!(self.text, "note  {what}");
    }

    fn no(&mut self, what: &str) {
        let _ = writeln!(self.text, "no    {what}");
        self.fails = true;
    }
}

/// See [`Arguments`].
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut findings = Findings::default();
    match preload::library(arguments.lib.as_deref()) {
        Ok(path) => findings.ok(&format!("the library is {}", path.display())),
        Err(message) => findings.no(&message),
    }
    machine(&mut findings);
    if let Some(what) = &arguments.what
        && let Err(message) = look(what, &mut findings)
    {
        complain(&message);
        return ExitCode::from(FAILURE);
    }
    if !written(io::stdout().write_all(findings.text.as_bytes())) {
        return ExitCode::from(FAILURE);
    }
    if findings.fails { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS }
}

fn machine(findings: &mut Findings) {
    let Some(driver) = driver::look() else {
        return findings.no(
            "there is no NVIDIA driver (libcuda.so.1): install one, or give the container the GPU",
        );
    };
    let (major, minor) = (driver.version / 1000, driver.version % 1000 / 10);
    if driver.version < 11_000 {
        findings.no(&format!(
            "the driver is for CUDA {major}.{minor}; cupool needs one for 11 or later"
        ));
    } else {
        findings.ok(&format!("the driver is for CUDA {major}.{minor}"));
    }
    match (driver.initialised, driver.devices) {
        (0, 0) => {
            findings.no("there is no GPU in sight; look at CUDA_VISIBLE_DEVICES and nvidia-smi")
        }
        (0, devices) => findings.ok(&format!("GPUs in sight: {devices}")),
        (error, _) => findings.no(&format!(
            "the driver does not start (error {error}); look at CUDA_VISIBLE_DEVICES and nvidia-smi"
        )),
    }
    if driver.has_context_events {
        findings.ok("context events: frees need not wait for the GPU");
    } else {
        findings.note("no context events (driver before CUDA 12.5): every free waits, as natively");
    }
    if driver.devices > 0 && driver.with_vmm < driver.devices {
        findings.note(
            "a GPU has no virtual memory management: there, every block is one allocation of the \
             driver (backing:exact), which wastes more",
        );
    } else if driver.devices > 0 {
        findings
            .ok("virtual memory management: idle memory can be put together anew (backing:arena)");
    }
}

fn look(what: &OsString, findings: &mut Findings) -> Result<(), String> {
    let text = what.to_string_lossy();
    let path = match text.parse::<u32>() {
        Ok(pid) => process::look(pid, findings)?,
        Err(_) => program::find(what).ok_or_else(|| {
            format!("{}: no such program; name one as a shell does", text.escape_debug())
        })?,
    };
    file(&path, findings)
}

fn file(path: &Path, findings: &mut Findings) -> Result<(), String> {
    let program = Program::look(path)?;
    let shown = program.path.display();
    if program.is_script {
        findings.ok(&format!("it is a script for {shown}"));
    }
    if !program.is_native {
        findings.no(&format!("{shown} is for another processor; use libcupool.so where it runs"));
    }
    match &program.loader {
        None => findings.no(&format!(
            "{shown} is linked statically, so that nothing can be preloaded; link the C library \
             dynamically (leave out -static)"
        )),
        Some(loader) if !is_glibc(loader) => findings
            .no(&format!("{shown} uses {loader}, not glibc's loader; CUDA itself needs glibc")),
        Some(_) => findings.ok(&format!("{shown} loads preloaded libraries")),
    }
    if program.is_privileged {
        findings.no(&format!(
            "{shown} is set-uid, set-gid or has capabilities, so that the loader ignores \
             LD_PRELOAD; run it as the user it is for, or use /etc/ld.so.preload"
        ));
    }
    if program.has_static_runtime {
        findings.ok("it loads CUDA's driver by itself, as the static runtime does, and gets cupool's functions");
    } else if program.needs("libcudart.so") || program.needs("libcuda.so") {
        findings.ok("it is linked against CUDA");
    }
    Ok(())
}
