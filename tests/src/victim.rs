//! How a program is started: with the simulated driver, with or without cupool in front.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{
    COMMAND, EMULATOR, LIBCUPOOL, Output, Running, SIMCUDA_DIR, VICTIMS_DIR, VICTIMS_SOURCE, python,
};

/// A program to run, and what it is run with.
#[derive(Clone)]
pub struct Victim {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    preload: Vec<PathBuf>,
    limit: Duration,
    stats: Option<String>,
    setup: Option<fn() -> std::io::Result<()>>,
    emulated: bool,
}

impl Victim {
    /// The program of that name in `victims/victims.txt`, with `.py` at the end a script.
    pub fn new(name: &str) -> Victim {
        if name.ends_with(".py") {
            Victim::program(python()).arg(Path::new(VICTIMS_SOURCE).join(name)).named(name)
        } else {
            Victim::program(Path::new(VICTIMS_DIR).join(name)).named(name)
        }
    }

    /// Any program, by path or looked up on `PATH`.
    pub fn program(program: impl AsRef<OsStr>) -> Victim {
        let program = PathBuf::from(program.as_ref());
        let built_here = program.starts_with(VICTIMS_DIR) || program == Path::new(COMMAND);
        let emulated = built_here && !EMULATOR.is_empty();
        Victim {
            name: program.display().to_string(),
            program,
            arguments: Vec::new(),
            variables: Vec::new(),
            preload: Vec::new(),
            limit: Duration::from_secs(30),
            stats: None,
            setup: None,
            emulated,
        }
    }

    fn named(mut self, name: &str) -> Victim {
        self.name = name.to_owned();
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Victim {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds several.
    pub fn args(self, arguments: &[&str]) -> Victim {
        arguments.iter().fold(self, Victim::arg)
    }

    /// Sets an environment variable, after everything else that this library sets.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Victim {
        self.variables.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Preloads a library of `victims/victims.txt` too, behind cupool.
    pub fn preload(mut self, name: &str) -> Victim {
        self.preload.push(Path::new(VICTIMS_DIR).join(name));
        self
    }

    /// Writes stats to this pattern instead of a file in the run's own directory, in which the
    /// program also starts (so a relative pattern lands there as well).
    pub fn stats_at(mut self, pattern: &str) -> Victim {
        self.stats = Some(pattern.to_owned());
        self
    }

    /// Runs this in the new process before the program starts; it must be async-signal-safe.
    pub fn before_exec(mut self, setup: fn() -> std::io::Result<()>) -> Victim {
        self.setup = Some(setup);
        self
    }

    /// Runs the program without cupool.
    pub fn bare(&self) -> Output {
        self.start_bare().finish()
    }

    /// Runs the program with cupool preloaded and `CUPOOL_CONF` set to `options` (and a stats
    /// file).
    pub fn pooled(&self, options: &str) -> Output {
        self.start_pooled(options).finish()
    }

    /// [`Victim::bare`], returning while the program runs.
    pub fn start_bare(&self) -> Running {
        self.start(None)
    }

    /// [`Victim::pooled`], returning while the program runs.
    pub fn start_pooled(&self, options: &str) -> Running {
        self.start(Some(options))
    }

    fn start(&self, options: Option<&str>) -> Running {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut emulator = EMULATOR.split_whitespace();
        let mut command = match emulator.next() {
            Some(program) if self.emulated => Command::new(program),
            _ => Command::new(&self.program),
        };
        command
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if outside(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        if self.emulated {
            command.args(emulator);
        }
        self.set(&mut command, "LD_LIBRARY_PATH", SIMCUDA_DIR);
        command.env("VICTIM_KERNELS", Path::new(VICTIMS_SOURCE).join("kernels.simcuda"));
        let mut preload: Vec<&Path> = self.preload.iter().map(PathBuf::as_path).collect();
        if let Some(options) = options {
            let library = Path::new(LIBCUPOOL);
            assert!(library.exists(), "{LIBCUPOOL} has not been built");
            preload.insert(0, library);
            let pattern = self
                .stats
                .clone()
                .unwrap_or_else(|| directory.path().join("stats-%p.json").display().to_string());
            let comma = if options.is_empty() { "" } else { "," };
            // All tests share the user and the simulated GPU: none is to flush another.
            let conf = format!("ask_neighbours:off,{options}{comma}stats:{pattern}");
            command.env("CUPOOL_CONF", conf);
        }
        if !preload.is_empty() {
            let joined = preload.iter().map(|path| path.as_os_str()).collect::<Vec<_>>();
            self.set(&mut command, "LD_PRELOAD", joined.join(OsStr::new(":")));
        }
        for (name, value) in &self.variables {
            self.set(&mut command, name, value);
        }
        if self.emulated {
            command.arg(&self.program);
        }
        command.args(&self.arguments);
        let label = match options {
            Some(options) => format!("{} pooled({options})", self.name),
            None => format!("{} bare", self.name),
        };
        Running::start(label, command, self.setup, self.limit, directory)
    }

    /// Sets a variable for the program. Those of the dynamic linker are not for its emulator, which
    /// is a program of this machine.
    fn set(&self, command: &mut Command, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        let (name, value) = (name.as_ref(), value.as_ref());
        if self.emulated && name.as_bytes().starts_with(b"LD_") {
            let mut assignment = name.to_owned();
            assignment.push("=");
            assignment.push(value);
            command.arg("-E").arg(assignment);
        } else {
            command.env(name, value);
        }
    }
}

/// Whether a variable of the surrounding shell could change what a test sees.
fn outside(name: &str) -> bool {
    name.starts_with("CUPOOL_")
        || name.starts_with("SIMCUDA_")
        || name.starts_with("CUDA_")
        || name.starts_with("LD_")
        || name == "XDG_RUNTIME_DIR"
}
