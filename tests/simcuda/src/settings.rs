//! The environment variables that steer the simulation.

use std::env;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

/// Read once, at the first call of the driver.
pub static SETTINGS: LazyLock<Settings> = LazyLock::new(Settings::read);

/// A scripted fault: call number `call` (from 1) of `name` returns `code`.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The function's name as `cuGetProcAddress` knows it.
    pub name: String,
    /// Which call of it.
    pub call: u64,
    /// What that call returns.
    pub code: u32,
}

/// How the simulation behaves.
pub struct Settings {
    /// `SIMCUDA_MEMORY`: bytes of each device.
    pub memory: u64,
    /// `SIMCUDA_SHARED`: a file through which processes share the memory of their devices.
    pub shared: Option<PathBuf>,
    /// `SIMCUDA_DEVICES`: how many there are.
    pub devices: usize,
    /// `SIMCUDA_DRIVER_VERSION`: functions of later versions do not exist.
    pub driver_version: i32,
    /// `SIMCUDA_NO_VMM`: the devices cannot manage virtual memory.
    pub no_vmm: bool,
    /// `SIMCUDA_WSL`: the driver of the Windows Subsystem for Linux.
    pub wsl: bool,
    /// `SIMCUDA_LATENCY=facts`: calls take the time they take on an H200.
    pub latency: bool,
    /// `SIMCUDA_PAGEABLE`: the devices can access pageable host memory.
    pub pageable: bool,
    /// `SIMCUDA_PEERS`: the devices can access each other.
    pub peers: bool,
    /// `SIMCUDA_PROMPT`: whichever call comes after a fault reports it.
    pub prompt: bool,
    /// `SIMCUDA_FAULTS=name:call=code,…`.
    pub faults: Vec<Fault>,
    /// `SIMCUDA_LINGER=name=microseconds,…`: calls that return only so long after they took effect.
    pub linger: Vec<(String, Duration)>,
    /// `SIMCUDA_LOG`: a file that gets one line for each call.
    pub log: Option<PathBuf>,
    /// `SIMCUDA_COUNTS`: a file that gets the number of calls of each function at exit.
    pub counts: Option<PathBuf>,
    /// `SIMCUDA_LEFT`: a file that gets at exit what was mapped, created and reserved and is still.
    pub left: Option<PathBuf>,
}

impl Settings {
    fn read() -> Self {
        Self {
            memory: number("SIMCUDA_MEMORY", 16 << 30),
            shared: path("SIMCUDA_SHARED"),
            devices: number("SIMCUDA_DEVICES", 1),
            driver_version: number("SIMCUDA_DRIVER_VERSION", 13000),
            no_vmm: flag("SIMCUDA_NO_VMM"),
            wsl: flag("SIMCUDA_WSL"),
            latency: env::var("SIMCUDA_LATENCY").is_ok_and(|value| value == "facts"),
            pageable: flag("SIMCUDA_PAGEABLE"),
            peers: flag("SIMCUDA_PEERS"),
            prompt: flag("SIMCUDA_PROMPT"),
            faults: parse_faults(&env::var("SIMCUDA_FAULTS").unwrap_or_default()),
            linger: parse_linger(&env::var("SIMCUDA_LINGER").unwrap_or_default()),
            log: path("SIMCUDA_LOG"),
            counts: path("SIMCUDA_COUNTS"),
            left: path("SIMCUDA_LEFT"),
        }
    }
}

fn number<T: FromStr>(name: &str, default: T) -> T {
    let Ok(text) = env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| refuse(name, &text))
}

fn flag(name: &str) -> bool {
    env::var(name).is_ok_and(|value| value != "0")
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn parse_faults(text: &str) -> Vec<Fault> {
    text.split(',')
        .filter(|item| !item.is_empty())
        .map(|item| parse_fault(item).unwrap_or_else(|| refuse("SIMCUDA_FAULTS", item)))
        .collect()
}

fn parse_fault(item: &str) -> Option<Fault> {
    let (name, rest) = item.split_once(':')?;
    let (call, code) = rest.split_once('=')?;
    Some(Fault { name: name.to_owned(), call: call.parse().ok()?, code: code.parse().ok()? })
}

fn parse_linger(text: &str) -> Vec<(String, Duration)> {
    let parse = |item: &str| {
        let (name, microseconds) = item.split_once('=')?;
        Some((name.to_owned(), Duration::from_micros(microseconds.parse().ok()?)))
    };
    text.split(',')
        .filter(|item| !item.is_empty())
        .map(|item| parse(item).unwrap_or_else(|| refuse("SIMCUDA_LINGER", item)))
        .collect()
}

/// A test that runs under other settings than it asked for proves nothing: end it.
fn refuse(name: &str, value: &str) -> ! {
    eprintln!("simcuda: {name}: cannot understand {value:?}");
    std::process::abort();
}
