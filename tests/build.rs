//! Builds what the tests put in front of each other: `libcupool.so`, the simulated driver and
//! runtime, and every program listed in `victims/victims.txt`.
//!
//! Two variables choose something else than what is built here and runs here:
//!
//! - `CUPOOL_TEST_PACKAGE`: an unpacked release, whose `lib/libcupool.so` and `bin/cupool` are tested.
//! - `CUPOOL_TEST_TARGET`: a Rust target (`aarch64-unknown-linux-gnu`) for which everything is built,
//!   with a cross compiler, and under whose emulator it runs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

fn main() {
    if let Err(error) = Build::new().and_then(|build| build.run()) {
        // Cargo shows a failing build script's output in full: one line is all it should be.
        eprintln!("cupool-tests: {error}");
        std::process::exit(1);
    }
}

type Result<T> = std::result::Result<T, String>;

struct Build {
    /// `tests/`.
    tests: PathBuf,
    /// Where the victims and the simulated CUDA libraries go.
    out: PathBuf,
    /// Target directory of the nested cargo: the outer one holds the lock on its own.
    preload: PathBuf,
    cross: Option<Cross>,
    cc: OsString,
    cxx: OsString,
    ar: OsString,
}

impl Build {
    fn new() -> Result<Build> {
        let tests = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("not run by cargo")?);
        let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("not run by cargo")?);
        // OUT_DIR is <target>/<profile>/build/<package>/out.
        let target = out.ancestors().nth(4).ok_or("OUT_DIR is not inside a target directory")?;
        let cross = env::var("CUPOOL_TEST_TARGET").ok().filter(|target| !target.is_empty());
        let cross = cross.map(|target| Cross { target });
        let tool = |variable, native: &str, tool: &str| match &cross {
            None => env::var_os(variable).unwrap_or(native.into()),
            Some(cross) => cross.tool(tool).into(),
        };
        Ok(Build {
            preload: target.join("preload"),
            cc: tool("CC", "cc", "gcc"),
            cxx: tool("CXX", "c++", "g++"),
            ar: tool("AR", "ar", "ar"),
            tests,
            out: match &cross {
                None => out,
                Some(cross) => out.join(&cross.target),
            },
            cross,
        })
    }

    /// Cargo repeats a failed script whatever it printed, and shows what it printed: so nothing is
    /// before all is well.
    fn run(&self) -> Result<()> {
        run(Command::new(&self.cc).arg("--version")).map_err(|_| {
            format!("no C compiler: `{}` does not run; install one or set CC", self.cc.display())
        })?;
        let has_cxx = run(Command::new(&self.cxx).arg("--version")).is_ok();

        self.cargo()?;
        self.simulated_cuda()?;
        let table = fs::read_to_string(self.tests.join("victims/victims.txt"))
            .map_err(|error| format!("victims/victims.txt: {error}"))?;
        let mut jobs = parse(&table)?;
        if !has_cxx {
            jobs.retain(|victim| victim.kind != "cxx");
        }
        self.victims(&jobs)?;

        for path in [
            "build.rs",
            "victims",
            "simcuda",
            "../shim",
            "../src",
            "../examples/c",
            "../Cargo.toml",
            "../Cargo.lock",
        ] {
            println!("cargo:rerun-if-changed={}", self.tests.join(path).display());
        }
        for variable in ["CC", "CXX", "AR", "CUPOOL_TEST_PACKAGE", "CUPOOL_TEST_TARGET"] {
            println!("cargo:rerun-if-env-changed={variable}");
        }
        let package = env::var_os("CUPOOL_TEST_PACKAGE").filter(|package| !package.is_empty());
        let (library, command) = match package.map(PathBuf::from) {
            None => (self.release().join("libcupool.so"), self.release().join("cupool")),
            Some(package) => (package.join("lib/libcupool.so"), package.join("bin/cupool")),
        };
        export("CUPOOL_LIBRARY", &library);
        export("CUPOOL_COMMAND", &command);
        let emulator = self.cross.as_ref().map(Cross::emulator).unwrap_or_default();
        println!("cargo:rustc-env=VICTIMS_EMULATOR={emulator}");
        export("SIMCUDA_DIR", &self.sim());
        export("VICTIMS_DIR", &self.out.join("victims"));
        export("VICTIMS_SOURCE", &self.tests.join("victims"));
        println!("cargo:rustc-env=VICTIMS_HAVE_CXX={}", u8::from(has_cxx));
        Ok(())
    }

    fn sim(&self) -> PathBuf {
        self.out.join("sim")
    }

    /// Where the nested cargo leaves what it built.
    fn release(&self) -> PathBuf {
        match &self.cross {
            None => self.preload.join("release"),
            Some(cross) => self.preload.join(&cross.target).join("release"),
        }
    }

    /// `libcupool.so`, the simulated driver and the command, as a user would build them.
    fn cargo(&self) -> Result<()> {
        self.build(&["-p", "cupool-shim", "-p", "simcuda"])?;
        // By itself: built together, the library would get what only the command needs.
        self.build(&["-p", "cupool", "--bin", "cupool"])
    }

    fn build(&self, what: &[&str]) -> Result<()> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(self.tests.join(".."))
            .args(["build", "--quiet", "--release"])
            .args(what)
            .arg("--target-dir")
            .arg(&self.preload);
        if let Some(cross) = &self.cross {
            cargo.args(["--target", &cross.target]);
        }
        for (name, _) in env::vars_os() {
            if leaks(&name.to_string_lossy()) {
                cargo.env_remove(name);
            }
        }
        run(&mut cargo).map_err(|error| format!("building {}: {error}", what.join(" ")))
    }

    /// Lays out `sim/` like a CUDA installation's library directory.
    fn simulated_cuda(&self) -> Result<()> {
        let sim = self.sim();
        make_directory(&sim)?;
        let driver = self.release().join("libsimcuda.so");
        fs::copy(&driver, sim.join("libcuda.so.1"))
            .map_err(|error| format!("{}: {error}", driver.display()))?;
        link("libcuda.so.1", &sim.join("libcuda.so"))?;

        let mut sources: Vec<PathBuf> = list(&self.tests.join("simcuda/runtime"), "c")?;
        sources.sort();
        let mut objects = Vec::new();
        for source in &sources {
            let object = sim.join(source.with_extension("o").file_name().unwrap_or_default());
            let flags = ["-fPIC", "-fvisibility=hidden", "-c"];
            run(self.compile(&self.cc).args(flags).arg(source).arg("-o").arg(&object))?;
            objects.push(object);
        }
        let archive = sim.join("libcudart_static.a");
        let _ = fs::remove_file(&archive);
        run(Command::new(&self.ar).arg("rcs").arg(&archive).args(&objects))?;
        run(Command::new(&self.cc)
            .args(["-shared", "-Wl,-soname,libcudart.so.13", "-o"])
            .arg(sim.join("libcudart.so.13"))
            .args(&objects)
            .args(["-ldl", "-pthread"]))?;
        link("libcudart.so.13", &sim.join("libcudart.so"))?;
        run(self
            .compile(&self.cc)
            .args(["-fPIC", "-c"])
            .arg(self.tests.join("victims/kernels_sim.c"))
            .arg("-o")
            .arg(sim.join("kernels.o")))
    }

    /// A compiler call with what every C file here is built with.
    fn compile(&self, compiler: &OsString) -> Command {
        let mut command = Command::new(compiler);
        command
            .args(["-O1", "-g", "-Wall", "-Wextra"])
            .arg("-I")
            .arg(self.tests.join("victims"))
            .arg("-I")
            .arg(self.tests.join("simcuda/include"))
            .arg("-I")
            .arg(self.tests.join("../shim/include"));
        if *compiler == self.cc {
            command.arg("-std=gnu11");
        }
        command
    }

    /// Compiles every victim, as many at a time as there are cores.
    fn victims(&self, victims: &[Victim]) -> Result<()> {
        make_directory(&self.out.join("victims"))?;
        let queue = Mutex::new(victims.iter());
        let next = || queue.lock().ok().and_then(|mut queue| queue.next());
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let errors: Vec<String> = thread::scope(|scope| {
            let work = || {
                let mut errors = Vec::new();
                while let Some(victim) = next() {
                    errors.extend(self.victim(victim).err());
                }
                errors
            };
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
    }

    fn victim(&self, victim: &Victim) -> Result<()> {
        let sim = self.sim();
        let out = self.out.join("victims").join(&victim.name);
        let mut compile = self.compile(if victim.kind == "cxx" { &self.cxx } else { &self.cc });
        compile
            .arg(self.tests.join("victims").join(&victim.source))
            .arg("-o")
            .arg(out)
            .args(&victim.flags)
            .arg("-pthread")
            .arg("-L")
            .arg(&sim);
        match victim.kind.as_str() {
            "static" | "cxx" => compile
                .arg(sim.join("kernels.o"))
                .arg(sim.join("libcudart_static.a"))
                .args(["-ldl", "-lrt"]),
            "shared" => compile.arg(sim.join("kernels.o")).arg("-lcudart"),
            "driver" => compile.arg("-lcuda"),
            "dlopen" => compile.arg("-ldl"),
            "preload" => compile.args(["-shared", "-fPIC", "-ldl"]),
            // Scripts run from where they are.
            "python" => return Ok(()),
            kind => return Err(format!("victims.txt: {}: unknown kind `{kind}`", victim.name)),
        };
        run(&mut compile).map_err(|error| format!("victim {}: {error}", victim.name))
    }
}

/// Another machine than this one.
struct Cross {
    /// As Rust names it: ARCH-VENDOR-OS-ENV.
    target: String,
}

impl Cross {
    fn arch(&self) -> &str {
        self.target.split('-').next().unwrap_or_default()
    }

    /// A tool of its GNU toolchain.
    fn tool(&self, tool: &str) -> String {
        format!("{}-linux-gnu-{tool}", self.arch())
    }

    /// What its programs are run by, with Debian's place for its C library.
    fn emulator(&self) -> String {
        let arch = self.arch();
        format!("qemu-{arch} -L /usr/{arch}-linux-gnu")
    }
}

struct Victim {
    name: String,
    kind: String,
    source: String,
    flags: Vec<String>,
}

fn parse(table: &str) -> Result<Vec<Victim>> {
    let lines =
        table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            match (words.next(), words.next(), words.next()) {
                (Some(name), Some(kind), Some(source)) => {
                    Ok(Victim { name, kind, source, flags: words.collect() })
                }
                _ => Err(format!("victims.txt: `{line}` is not NAME KIND SOURCE [FLAGS]")),
            }
        })
        .collect()
}

/// Whether a variable that cargo sets for build scripts, or a wrapper such as clippy's, would
/// make the nested build differ from a plain one.
fn leaks(name: &str) -> bool {
    const USERS: [&str; 5] =
        ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let exact = ["OUT_DIR", "TARGET", "HOST", "PROFILE", "OPT_LEVEL", "DEBUG", "NUM_JOBS"];
    (name.starts_with("CARGO") && !USERS.iter().any(|kept| name.starts_with(kept)))
        || (name.starts_with("RUSTC") || name == "RUSTFLAGS" || name == "RUSTDOCFLAGS")
        || name.starts_with("LLVM_PROFILE")
        || exact.contains(&name)
}

/// Runs a command to its end; its output is shown only when it fails.
fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}\n{}", output.status, text.trim_end()))
    }
}

fn export(name: &str, path: &Path) {
    println!("cargo:rustc-env={name}={}", path.display());
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn link(to: &str, at: &Path) -> Result<()> {
    let _ = fs::remove_file(at);
    std::os::unix::fs::symlink(to, at).map_err(|error| format!("{}: {error}", at.display()))
}

fn list(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect())
}
