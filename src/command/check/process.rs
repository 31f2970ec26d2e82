//! What can be told of a process that runs.

use std::fs;
use std::path::{Path, PathBuf};

use cupool::config::Options;
use cupool::live::State;

use super::Findings;
use crate::command::ask::{Disposition, disposition, signal_name};
use crate::command::processes;

/// Looks at process `pid`, and gives the path of its executable.
///
/// # Errors
/// One line with what to do.
pub fn look(pid: u32, findings: &mut Findings) -> Result<PathBuf, String> {
    let directory = Path::new("/proc").join(pid.to_string());
    let read = |name: &str| {
        fs::read(directory.join(name)).map(|text| String::from_utf8_lossy(&text).into_owned())
    };
    let status = read("status").map_err(|_| {
        format!("there is no process {pid}; name a process, or the path of a program")
    })?;
    let maps = read("maps").map_err(|error| {
        format!("{pid} cannot be looked into ({error}); check it as the user who runs it")
    })?;
    let has = |library: &str| {
        maps.lines()
            .any(|line| line.rsplit('/').next().is_some_and(|name| name.starts_with(library)))
    };
    let mut page = processes::of(pid).filter(|page| page.state == State::Running);
    processes::refresh(page.as_mut_slice());
    let (loaded, cuda) = (has("libcupool.so"), has("libcuda.so"));
    match (loaded, cuda, &page) {
        (false, _, _) => findings.no(
            "libcupool.so is not loaded in it, and cannot be into a process that runs; start it \
             again with `cupool run`",
        ),
        (true, false, _) => findings.ok("it runs under cupool, and has not used CUDA yet"),
        (true, true, None) => findings.note(
            "it has loaded CUDA under cupool, but has no live page: it has not allocated yet, was \
             forked from a process that uses CUDA, has live:off or CUPOOL_DISABLE, or looks CUDA's \
             functions up past cupool (RTLD_DEEPBIND, its own ELF reader)",
        ),
        (true, true, Some(page)) => {
            let served = page.figures.as_ref().map_or(0, |figures| {
                figures.sum(|device| device.hits.saturating_add(device.misses))
            });
            findings.ok(&format!("cupool serves it: {served} allocations so far"));
        }
    }
    if loaded {
        let environment = read("environ").unwrap_or_default();
        let conf = environment.split('\0').find_map(|entry| entry.strip_prefix("CUPOOL_CONF="));
        signal(&status, conf.unwrap_or_default(), findings);
    }
    fs::read_link(directory.join("exe"))
        .map_err(|error| format!("{pid} cannot be looked into ({error}); check it as its user"))
}

fn signal(status: &str, conf: &str, findings: &mut Findings) {
    let (options, _) = Options::parse(conf, true);
    let Some(number) = options.signal.number() else {
        return findings.note("signal:none: only `cupool flush` and empty_cache() are left");
    };
    let name = signal_name(number);
    match disposition(status, number) {
        Disposition::Caught => {
            findings.ok(&format!("it catches {name}: `kill -{}` asks for a flush", &name[3..]))
        }
        Disposition::Ignored => findings.note(&format!(
            "it ignores {name}, so that one does nothing; `cupool flush` works all the same"
        )),
        Disposition::Default => {
            findings.note(&format!("{name} would end it: it was started with signal_early:false, or has put the default back"));
        }
    }
}
