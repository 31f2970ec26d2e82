//! Starting a program with `libcupool.so` in front of it.
//!
//! The program replaces this process, so its pid and its exit status are its own. Failures before
//! that have the exit status of a wrapper.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

use super::complain;

/// The wrapper itself failed.
pub const FAILED: u8 = 125;
/// The program was found but cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such program.
const NOT_FOUND: u8 = 127;

const LIBRARY: &str = "libcupool.so";
/// Names the library where it is not beside the command.
const LIBRARY_VARIABLE: &str = "CUPOOL_LIB";

// Which program to start, with which library. Not a documentation comment: that would become part of
// the help of the command it is in.
#[derive(Args)]
pub struct Start {
    /// The path of libcupool.so, if it is neither beside this command nor in ../lib
    #[arg(long, value_name = "PATH")]
    pub lib: Option<PathBuf>,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub program: Vec<OsString>,
}

/// Finds the library: as named, or by `CUPOOL_LIB`, or beside this command, or in `../lib` from
/// there.
///
/// # Errors
/// One line with what to do.
pub fn library(named: Option<&Path>) -> Result<PathBuf, String> {
    let by_variable = env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty());
    let named = named.map(Path::to_owned).or(by_variable.map(PathBuf::from));
    let found = match named {
        // Absolute, since the program may look for it from another directory.
        Some(path) => path
            .canonicalize()
            .map_err(|error| format!("{}: {error}; name {LIBRARY} with --lib", path.display()))?,
        None => beside_this_command().ok_or_else(|| {
            format!(
                "{LIBRARY} is not beside this command; name it with --lib or {LIBRARY_VARIABLE}"
            )
        })?,
    };
    // The loader splits the list at these, and nothing escapes them.
    if found.as_os_str().as_bytes().iter().any(|byte| b": ;\t\n".contains(byte)) {
        let path = found.display();
        return Err(format!("{path}: LD_PRELOAD takes no path with a blank or a colon; move it"));
    }
    Ok(found)
}

fn beside_this_command() -> Option<PathBuf> {
    let command = env::current_exe().ok()?;
    let directory = command.parent()?;
    let places = [directory.join(LIBRARY), directory.join("../lib").join(LIBRARY)];
    places.into_iter().find_map(|place| place.canonicalize().ok())
}

/// The options that the program gets: those in the environment, then `more`.
pub fn conf(more: &OsStr) -> OsString {
    joined(env::var_os("CUPOOL_CONF"), ",", more)
}

/// Runs `program` with `library` in front, `conf` added to its options, and these variables. Comes
/// back only if that fails.
pub fn exec(
    program: &[OsString],
    library: &Path,
    conf: &OsStr,
    variables: &[(&str, String)],
) -> ExitCode {
    let [name, arguments @ ..] = program else { return ExitCode::from(FAILED) };
    let mut command = Command::new(name);
    command.args(arguments);
    command.env("LD_PRELOAD", preload(library, env::var_os("LD_PRELOAD")));
    let conf = self::conf(conf);
    if !conf.is_empty() {
        command.env("CUPOOL_CONF", conf);
    }
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let error = command.exec();
    complain(&format_args!("{}: {error}", name.to_string_lossy().escape_debug()));
    match error.kind() {
        io::ErrorKind::NotFound => ExitCode::from(NOT_FOUND),
        _ => ExitCode::from(NOT_EXECUTABLE),
    }
}

/// What is preloaded already stays, but for another copy of the library: two would serve the same
/// calls.
fn preload(library: &Path, present: Option<OsString>) -> OsString {
    let mut list = library.as_os_str().to_owned();
    let present = present.unwrap_or_default();
    for entry in present.as_bytes().split(|byte| b": ".contains(byte)) {
        let name = entry.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        if !name.is_empty() && name != LIBRARY.as_bytes() {
            list.push(":");
            list.push(OsStr::from_bytes(entry));
        }
    }
    list
}

fn joined(before: Option<OsString>, separator: &str, more: &OsStr) -> OsString {
    match before {
        Some(text) if more.is_empty() => text,
        Some(mut text) if !text.is_empty() => {
            text.push(separator);
            text.push(more);
            text
        }
        _ => more.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_preloaded_stays() {
        let list = |present: &str| preload(Path::new("/x/libcupool.so"), Some(present.into()));
        assert_eq!(list(""), "/x/libcupool.so");
        assert_eq!(list("/a/b.so c.so"), "/x/libcupool.so:/a/b.so:c.so");
        assert_eq!(list("/old/libcupool.so:/a/b.so"), "/x/libcupool.so:/a/b.so");
    }

    #[test]
    fn later_options_come_later() {
        assert_eq!(joined(None, ",", OsStr::new("k:v")), "k:v");
        assert_eq!(joined(Some("".into()), ",", OsStr::new("k:v")), "k:v");
        assert_eq!(joined(Some("a:b".into()), ",", OsStr::new("k:v")), "a:b,k:v");
        assert_eq!(joined(Some("a:b".into()), ",", OsStr::new("")), "a:b");
    }
}
