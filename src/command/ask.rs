//! Asking a process for a flush: by its live page, or else by the signal.

use std::fs;
use std::path::Path;

use cupool::config::Options;
use cupool::live::{Control, Flush, Listed, State, Urgency};
use cupool::request;

use super::processes::printable;
use super::units;

/// How a process was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By its page; this is the number of the request.
    Page(u64),
    /// By the signal.
    Signal,
}

/// Asks the process of `page` to flush the `devices`, a bit for each ordinal. By the signal, it
/// flushes all.
///
/// # Errors
/// One line with what to do.
pub fn ask(page: &Listed, devices: u64, urgency: Urgency) -> Result<Asked, String> {
    let pid = page.process.pid;
    match page.state {
        State::Gone => return Err(format!("{pid} has ended; there is nothing left to give back")),
        State::Elsewhere | State::Running => {}
    }
    let control = Control::open(&page.path).map_err(|fault| fault.to_string())?;
    if control.is_heard() {
        return Ok(Asked::Page(control.flush_as(devices, urgency)));
    }
    if page.state == State::Elsewhere {
        return Err(format!("{pid} is in another pid namespace, and not listening; ask there"));
    }
    signal(pid, page.process.signal.cast_signed())
}

/// Asks a process that has no page.
///
/// # Errors
/// One line with what to do.
pub fn ask_without_page(pid: u32) -> Result<Asked, String> {
    let directory = Path::new("/proc").join(pid.to_string());
    if !directory.exists() {
        return Err(format!(
            "there is no process {pid}; `cupool top --once` lists those there are"
        ));
    }
    let maps = fs::read_to_string(directory.join("maps")).map_err(|error| {
        format!("{pid} cannot be looked into ({error}); ask as the user who runs it")
    })?;
    if !maps.lines().any(|line| line.ends_with("/libcupool.so")) {
        return Err(format!(
            "{pid} does not run under cupool, and a signal could end it; start it with `cupool run`"
        ));
    }
    let environment = fs::read(directory.join("environ")).unwrap_or_default();
    let mut variables = environment.split(|&byte| byte == 0);
    let conf = variables.find_map(|variable| variable.strip_prefix(b"CUPOOL_CONF=".as_slice()));
    let (options, _) = Options::parse(&String::from_utf8_lossy(conf.unwrap_or_default()), true);
    signal(pid, options.signal.number().unwrap_or(0))
}

/// Sends the signal, unless it would do something else than ask.
fn signal(pid: u32, number: i32) -> Result<Asked, String> {
    if number == 0 {
        return Err(format!(
            "{pid} was told to catch no signal (signal:none), and has no live page"
        ));
    }
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(path).map_err(|error| format!("{pid} has ended: {error}"))?;
    let name = signal_name(number);
    match disposition(&status, number) {
        Disposition::Caught => {}
        Disposition::Ignored => {
            return Err(format!("{pid} ignores {name}; start it where {name} is not ignored"));
        }
        Disposition::Default => {
            return Err(format!(
                "{pid} does not catch {name}, which would end it; it has to run under cupool with \
                 that signal, see `cupool check {pid}`"
            ));
        }
    }
    request::send(pid, number).map_err(|error| format!("{pid} cannot be sent {name}: {error}"))?;
    Ok(Asked::Signal)
}

/// What came of a flush, in one line.
pub fn outcome(flush: &Flush) -> String {
    let idle = units::bytes(flush.idle_bytes_before);
    if !flush.skipped.is_empty() {
        return format!("gave nothing back of {idle} idle ({})", printable(&flush.skipped));
    }
    let mut line = format!(
        "gave back {} of {idle} idle in {}",
        units::bytes(flush.released_bytes.saturating_add(flush.released_later_bytes)),
        units::duration(flush.duration_seconds),
    );
    if flush.driver_pools_released_bytes > 0 {
        let bytes = units::bytes(flush.driver_pools_released_bytes);
        line.push_str(&format!(", and {bytes} of the driver's pools"));
    }
    let left = flush.pending_bytes.saturating_sub(flush.released_later_bytes);
    if left > 0 {
        line.push_str(&format!(", {} more as soon as the GPU is done with it", units::bytes(left)));
    }
    if flush.kept_bytes > 0 {
        let (bytes, why) = (units::bytes(flush.kept_bytes), printable(&flush.kept_reason));
        line.push_str(&format!(", {bytes} stay: {why}"));
    }
    line
}

/// What a signal does to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// A handler runs.
    Caught,
    /// Nothing.
    Ignored,
    /// What the system does by itself.
    Default,
}

/// What signal `number` does, from the text of `/proc/PID/status`.
pub fn disposition(status: &str, number: i32) -> Disposition {
    let has = |key: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap_or(0);
        (1..=64).contains(&number) && mask >> (number - 1) & 1 == 1
    };
    match (has("SigCgt:"), has("SigIgn:")) {
        (true, _) => Disposition::Caught,
        (false, true) => Disposition::Ignored,
        (false, false) => Disposition::Default,
    }
}

/// What a signal is called.
pub fn signal_name(number: i32) -> String {
    match number {
        libc::SIGUSR1 => "SIGUSR1".to_owned(),
        libc::SIGUSR2 => "SIGUSR2".to_owned(),
        _ => format!("SIGRTMIN+{}", number - libc::SIGRTMIN()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_is_told_with_what_stayed_and_why() {
        const MIB: u64 = 1 << 20;
        let flush = Flush {
            idle_bytes_before: 100 * MIB,
            released_bytes: 60 * MIB,
            pending_bytes: 30 * MIB,
            released_later_bytes: 10 * MIB,
            driver_pools_released_bytes: MIB,
            duration_seconds: 0.25,
            kept_bytes: 5 * MIB,
            kept_reason: "freed during a stream capture".into(),
            ..Flush::default()
        };
        assert_eq!(
            outcome(&flush),
            "gave back 70.0 MiB of 100 MiB idle in 250.0 ms, and 1.0 MiB of the driver's pools, \
             20.0 MiB more as soon as the GPU is done with it, 5.0 MiB stay: freed during a stream \
             capture"
        );
        let skipped = Flush { skipped: "skipped: too soon\u{1b}".into(), ..flush };
        assert_eq!(
            outcome(&skipped),
            "gave nothing back of 100 MiB idle (skipped: too soon\u{fffd})"
        );
    }

    #[test]
    fn a_status_tells_what_a_signal_does() {
        let status = "Name:\tx\nSigBlk:\t0000000000000200\nSigIgn:\t0000000000001000\n\
                      SigCgt:\t0000000100000200\n";
        assert_eq!(disposition(status, libc::SIGUSR1), Disposition::Caught);
        assert_eq!(disposition(status, libc::SIGPIPE), Disposition::Ignored);
        assert_eq!(disposition(status, libc::SIGUSR2), Disposition::Default);
        assert_eq!(disposition(status, 33), Disposition::Caught);
        assert_eq!(disposition("", libc::SIGUSR1), Disposition::Default);
    }
}
