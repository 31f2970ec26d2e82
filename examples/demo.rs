//! `cargo demo`: runs the unmodified `examples/c/demo.c` natively and with `libcupool.so`
//! preloaded, asks it by signal to give its idle memory back, and shows what that changed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cupool_tests::{LIBCUPOOL, Output, Stats, Victim};

const HELP: &str = "\
Runs examples/c/demo.c, an unmodified CUDA program, natively and with libcupool.so preloaded.

Usage: cargo demo [--simulated]

  --simulated  use the simulated driver even if there is a GPU
  -h, --help   print this and end
";

fn main() -> ExitCode {
    let mut simulated = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // `cargo demo -- --help`
            "--" => {}
            "--simulated" => simulated = true,
            "-h" | "--help" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            other => {
                eprintln!("cargo demo: unknown argument `{other}`; try `cargo demo --help`");
                return ExitCode::from(2);
            }
        }
    }
    let gpu = if simulated { None } else { gpu::name() };
    match demo(gpu.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo demo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo(gpu: Option<&str>) -> Result<(), String> {
    let mut program = Victim::new("demo");
    program = match gpu {
        Some(_) => {
            // Whatever the user's own loader path is: the real driver's directory.
            program.env("LD_LIBRARY_PATH", std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default())
        }
        None => program.env("SIMCUDA_LATENCY", "facts"),
    };
    let native = program.bare();
    ended_well(&native)?;

    let mut running = program.start_pooled("");
    running.wait_for("held_bytes").signal(libc::SIGUSR1);
    let stats = running.wait_for_stats(|stats| stats.at("/reason") == "signal");
    let saved = save(&running.directory().join(format!("stats-{}.json", running.pid())));
    let pooled = running.finish();
    ended_well(&pooled)?;

    print!("{}", report(gpu, &native, &pooled, &stats));
    match saved {
        Ok(path) => println!("  stats file: {}", path.display()),
        Err(error) => println!("  stats file: not kept ({error})"),
    }
    println!(
        "\nPut it in front of a program of your own:\n\n  LD_PRELOAD={LIBCUPOOL} ./program\n  kill -USR1 PID"
    );
    Ok(())
}

/// The program's own account of its failure, if it failed: a GPU may be full, for instance.
fn ended_well(output: &Output) -> Result<(), String> {
    match output.code {
        Some(0) => Ok(()),
        _ => Err(format!("{}: {}", output.label, output.stderr.trim_end())),
    }
}

fn report(gpu: Option<&str>, native: &Output, pooled: &Output, stats: &Stats) -> String {
    // A simulated figure never stands there as if it were a GPU's.
    let mark = if gpu.is_some() { " " } else { "*" };
    let place = match gpu {
        Some(name) => format!("On the GPU of this machine, {name}."),
        None => "On the simulated driver: there is no usable GPU here, or --simulated was given.\n\
                 Times marked * are simulated, after those measured on an H200."
            .to_owned(),
    };
    let mut text = format!(
        "An unmodified program (examples/c/demo.c), natively and with libcupool.so preloaded.\n\
         {place}\n\n  {:34}{:>13} {:>13}\n",
        "", "native", "cupool"
    );
    let times = [("pair_us", "allocation + free, each pair"), ("step_us", "a step of the program")];
    for (key, label) in times {
        let (before, after) = (figure(native, key), figure(pooled, key));
        text += &format!(
            "  {label:34}{:>13}{mark}{:>13}{mark}  {:.1} times as fast\n",
            micros(before),
            micros(after),
            before / after.max(0.001)
        );
    }
    let flush = stats.at("/flushes/0");
    let whole = |key: &str| flush[key].as_u64().unwrap_or_default();
    let after = stats.sum("/reserved_bytes/current");
    let rows = [
        ("memory reserved while idle", after + whole("released_bytes")),
        ("  after kill -USR1", after),
    ];
    for (label, bytes) in rows {
        let native = mib(figure(native, "held_bytes").max(0.0) as u64);
        text += &format!("  {label:34}{native:>13} {:>13}\n", mib(bytes));
    }
    text += &format!(
        "\n  flush: gave back {} in {:.1} ms{}, {} of idle memory stayed\n",
        mib(whole("released_bytes")),
        flush["duration_seconds"].as_f64().unwrap_or_default() * 1e3,
        mark.trim(),
        mib(whole("idle_bytes_after")),
    );
    text
}

/// The number that the program printed behind this word.
fn figure(output: &Output, key: &str) -> f64 {
    let mut lines = output.stdout.lines().filter_map(|line| line.strip_prefix(key));
    let found = lines.next().and_then(|value| value.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {key} in\n{}", output.report()))
}

fn micros(value: f64) -> String {
    format!("{value:.2} µs")
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Keeps the stats file beside the build: the run's own directory goes with the run.
fn save(stats: &Path) -> std::io::Result<PathBuf> {
    let target = Path::new(LIBCUPOOL).ancestors().nth(3).unwrap_or(Path::new("."));
    let directory = target.join("demo");
    fs::create_dir_all(&directory)?;
    let mut name = OsString::from("stats-");
    name.push(std::process::id().to_string());
    name.push(".json");
    let path = directory.join(name);
    fs::copy(stats, &path)?;
    Ok(path)
}

mod gpu {
    //! Whether this machine has a GPU that a program could use now.

    use std::ffi::{CStr, c_char, c_int, c_uint};
    use std::mem::transmute;

    /// The name of its first GPU.
    pub fn name() -> Option<String> {
        // SAFETY: the real driver's initialisation code is meant to be run by dlopen.
        let driver = unsafe { libc::dlopen(c"libcuda.so.1".as_ptr(), libc::RTLD_NOW) };
        let find = |name: &CStr| {
            if driver.is_null() {
                return None;
            }
            // SAFETY: `driver` is a handle just opened and never closed.
            let function = unsafe { libc::dlsym(driver, name.as_ptr()) };
            (!function.is_null()).then_some(function)
        };
        let (init, count) = (find(c"cuInit")?, find(c"cuDeviceGetCount")?);
        let describe = find(c"cuDeviceGetName")?;
        // SAFETY: these are the driver API's signatures of the three functions.
        let (init, count, describe) = unsafe {
            (
                transmute::<*mut libc::c_void, extern "C" fn(c_uint) -> c_int>(init),
                transmute::<*mut libc::c_void, extern "C" fn(*mut c_int) -> c_int>(count),
                transmute::<*mut libc::c_void, extern "C" fn(*mut c_char, c_int, c_int) -> c_int>(
                    describe,
                ),
            )
        };
        let mut devices = 0;
        if init(0) != 0 || count(&raw mut devices) != 0 || devices == 0 {
            return None;
        }
        let mut name = [0; 128];
        if describe(name.as_mut_ptr(), 128, 0) != 0 {
            return None;
        }
        // SAFETY: the driver wrote a terminated string into the buffer.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) };
        Some(name.to_string_lossy().into_owned())
    }
}
