//! On real directories: what is accepted, and what is left behind.
#![cfg(not(miri))]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::directory::Place;
use super::*;

/// A directory of its own for each test, deleted at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cupool-{test}-{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    pub(super) fn target(&self, name: &str) -> Target {
        Target::at(self.0.join(name).to_str().expect("UTF-8"))
    }

    fn mode(&self, mode: u32) {
        fs::set_permissions(&self.0, Permissions::from_mode(mode)).expect("chmod");
    }

    pub(super) fn names(&self) -> Vec<String> {
        names(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8")).collect()
}

pub(super) fn process() -> ProcessFacts {
    ProcessFacts {
        pid: 4242,
        start_time: Some(17.0),
        executable: "/bin/app".to_owned(),
        host: "node".to_owned(),
    }
}

fn default_place(runtime: Option<&Path>, temporary: &Path) -> Target {
    let place =
        Place::Default { runtime: runtime.map(Path::to_owned), temporary: temporary.to_owned() };
    Target { place, name: STATS_NAME.to_owned() }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it exists").mode() & 0o7777
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let scratch = Scratch::new("replaced");
    let target = scratch.target("%e.%p.%n.json");
    let path = target.replace(b"a longer first", &process(), 3).expect("written");
    assert_eq!(path, scratch.0.join("app.4242.3.json"));
    assert_eq!(mode(&path), 0o600);
    let before = fs::metadata(&path).expect("it exists").ino();
    target.replace(b"second", &process(), 3).expect("written again");
    assert_eq!(fs::read(&path).expect("readable"), b"second");
    assert_ne!(fs::metadata(&path).expect("it exists").ino(), before, "a new file took its place");
    assert_eq!(scratch.names(), ["app.4242.3.json"]);
}

#[test]
fn a_path_that_ends_in_a_slash_names_the_directory() {
    let scratch = Scratch::new("slash");
    let path = scratch.target("").replace(b"", &process(), 0).expect("written");
    assert_eq!(path, scratch.0.join("cupool.4242.json"));
}

#[test]
fn directories_have_patterns_too() {
    let scratch = Scratch::new("patterns");
    fs::create_dir(scratch.0.join("node")).expect("a directory");
    let path = scratch.target("%h/x").replace(b"", &process(), 0).expect("written");
    assert_eq!(path, scratch.0.join("node/x"));
}

#[test]
fn a_missing_directory_is_told_with_its_cure() {
    let scratch = Scratch::new("missing");
    let error = scratch.target("none/x").replace(b"", &process(), 0).expect_err("missing");
    assert_eq!(error.path(), scratch.0.join("none"));
    assert_eq!(error.errno(), Some(libc::ENOENT));
    let line = error.to_string();
    assert!(line.contains("No such file") && line.contains("make the directory"), "{line}");
    assert!(!line.contains('\n'), "{line}");
    assert!(scratch.names().is_empty());
}

#[test]
fn only_regular_files_are_touched() {
    let scratch = Scratch::new("regular");
    symlink("/dev/null", scratch.0.join("link")).expect("a link");
    fs::create_dir(scratch.0.join("directory")).expect("a directory");
    for name in ["link", "directory", ".", ".."] {
        let target = scratch.target(name);
        let error = target.replace(b"x", &process(), 0).expect_err(name);
        assert!(error.to_string().contains("not a regular file"), "{error}");
        let error = target.append(b"x", &process()).expect_err(name);
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
    assert_eq!(fs::read_link(scratch.0.join("link")).expect("a link"), Path::new("/dev/null"));
    assert_eq!(scratch.names().len(), 2);
}

#[test]
fn lines_are_appended() {
    let scratch = Scratch::new("appended");
    let target = scratch.target("%p.log");
    for line in ["one\n", "two\n"] {
        target.append(line.as_bytes(), &process()).expect("written");
    }
    let path = scratch.0.join("4242.log");
    assert_eq!(fs::read_to_string(&path).expect("readable"), "one\ntwo\n");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_configured_directory_that_all_may_write_in_needs_the_sticky_bit() {
    let scratch = Scratch::new("sticky");
    let target = scratch.target("x");
    for (mode, good) in [(0o777, false), (0o1777, true), (0o770, true), (0o755, true)] {
        scratch.mode(mode);
        assert_eq!(target.replace(b"", &process(), 0).is_ok(), good, "{mode:o}");
    }
}

#[test]
fn a_configured_directory_may_be_a_link() {
    let scratch = Scratch::new("link");
    fs::create_dir(scratch.0.join("real")).expect("a directory");
    symlink("real", scratch.0.join("link")).expect("a link");
    scratch.target("link/x").replace(b"", &process(), 0).expect("written");
    assert!(scratch.0.join("real/x").exists());
}

#[test]
fn the_runtime_directory_comes_first() {
    let scratch = Scratch::new("runtime");
    let (runtime, temporary) = (scratch.0.join("run"), scratch.0.join("tmp"));
    fs::create_dir(&runtime).expect("a directory");
    fs::create_dir(&temporary).expect("a directory");
    let path = default_place(Some(&runtime), &temporary).replace(b"", &process(), 0);
    assert_eq!(path, Ok(runtime.join("cupool/cupool.4242.json")));
    assert_eq!(mode(&runtime.join("cupool")), 0o700);
    assert!(names(&temporary).is_empty());
}

#[test]
fn a_runtime_directory_that_is_missing_is_passed_over() {
    let scratch = Scratch::new("fallback");
    let runtime = scratch.0.join("missing");
    let ours = scratch.0.join(format!("cupool-{}", rustix::process::geteuid().as_raw()));
    let path = default_place(Some(&runtime), &scratch.0).replace(b"", &process(), 0);
    assert_eq!(path, Ok(ours.join("cupool.4242.json")));
    assert_eq!(mode(&ours), 0o700);
}

#[test]
fn a_default_directory_that_others_prepared_is_refused() {
    let scratch = Scratch::new("prepared");
    let ours = scratch.0.join(format!("cupool-{}", rustix::process::geteuid().as_raw()));
    let target = default_place(None, &scratch.0);

    fs::create_dir(scratch.0.join("elsewhere")).expect("a directory");
    symlink("elsewhere", &ours).expect("a link");
    let error = target.replace(b"", &process(), 0).expect_err("a link");
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert!(names(&scratch.0.join("elsewhere")).is_empty());

    fs::remove_file(&ours).expect("removed");
    fs::create_dir(&ours).expect("a directory");
    for mode in [0o770, 0o777, 0o1777, 0o702] {
        fs::set_permissions(&ours, Permissions::from_mode(mode)).expect("chmod");
        let error = target.replace(b"", &process(), 0).expect_err("open to others");
        assert!(error.to_string().contains("others may write"), "{mode:o}: {error}");
    }
    fs::set_permissions(&ours, Permissions::from_mode(0o755)).expect("chmod");
    target.replace(b"", &process(), 0).expect("only we may write there");
}
