//! What the tests of the command `cupool` share: a runtime directory of their own, so that they see
//! and steer nobody else's processes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use cupool_tests::{COMMAND, Output, Running, Victim};
use serde_json::Value;
use tempfile::TempDir;

/// A directory in which the pages of one test's processes are.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(directory.path(), private).expect("chmod");
        Place(directory)
    }

    /// `victim`, with its page here.
    pub fn around(&self, victim: Victim) -> Victim {
        victim.env("XDG_RUNTIME_DIR", self.0.path())
    }

    /// The program of that name in `victims.txt`, with its page here.
    pub fn victim(&self, name: &str) -> Victim {
        self.around(Victim::new(name))
    }

    /// `steer` while it waits, once it has its page: 64 MiB allocated, 128 MiB idle.
    pub fn steered(&self, conf: &str) -> Running {
        self.started(self.victim("steer"), conf)
    }

    /// A program that prints `ready`, once it has its page: cupool's thread makes that meanwhile.
    pub fn started(&self, victim: Victim, conf: &str) -> Running {
        let mut running = victim.start_pooled(conf);
        running.wait_for("ready");
        wait_for_page(&self.directory(), &running);
        running
    }

    /// `cupool` with these arguments, which sees the pages that are here.
    pub fn command(&self, arguments: &[&str]) -> Victim {
        let command = Victim::program(COMMAND).args(arguments);
        self.around(command).env("CUPOOL_PAGES", self.directory())
    }

    /// What it does.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).bare()
    }

    /// The one line of JSON that it prints.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments);
        let value = serde_json::from_str(&output.succeeded().stdout);
        value.unwrap_or_else(|error| panic!("{error}\n{}", output.report()))
    }

    /// Where the pages are.
    pub fn directory(&self) -> PathBuf {
        self.0.path().join("cupool")
    }

    /// The pages that are here.
    pub fn pages(&self) -> Vec<PathBuf> {
        pages(&self.directory())
    }
}

fn pages(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "live")).collect()
}

/// Waits until `running` has its page in `directory`.
#[track_caller]
pub fn wait_for_page(directory: &Path, running: &Running) {
    let start = format!("cupool.{}.", running.pid());
    let is_its = |page: &PathBuf| {
        page.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !pages(directory).iter().any(is_its) {
        assert!(Instant::now() < deadline, "no page");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Checks that a call failed with this code and told one line that says this.
#[track_caller]
pub fn fails(output: &Output, code: i32, says: &str) {
    assert_eq!(output.code, Some(code), "{}", output.report());
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.report());
    assert!(output.stderr.contains(says), "no `{says}`\n{}", output.report());
}
