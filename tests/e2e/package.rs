//! The archive of a release, and installing it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use cupool_tests::{COMMAND, EMULATOR, Elf, LIBCUPOOL, Running, Victim};
use xtask::build::Built;
use xtask::{Arch, install, pack, symbols};

/// The archive's contents, unpacked in `directory`.
fn release(directory: &Path) -> PathBuf {
    let built = Built {
        directory: directory.to_owned(),
        library: LIBCUPOOL.into(),
        command: COMMAND.into(),
        run: EMULATOR.split_whitespace().chain([COMMAND]).map(PathBuf::from).collect(),
    };
    let arch = if EMULATOR.is_empty() { Arch::host() } else { Arch::Aarch64 };
    let package = pack::package(&built, arch, directory).expect("a package");
    let unpacked = directory.join("unpacked");
    fs::create_dir(&unpacked).expect("a directory");
    for archive in [&package.archive, &package.debug_archive] {
        let tar = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&unpacked).status();
        assert!(tar.expect("tar runs").success());
    }
    unpacked.join(package.directory.file_name().expect("it has a name"))
}

/// Every file in `directory`, by its path from there.
fn files(directory: &Path) -> Vec<String> {
    let find = Command::new("find").args([".", "-type", "f"]).current_dir(directory).output();
    let listed = String::from_utf8_lossy(&find.expect("find runs").stdout).into_owned();
    let mut files: Vec<String> =
        listed.lines().map(|line| line.trim_start_matches("./").to_owned()).collect();
    files.sort();
    files
}

#[test]
fn an_archive_has_all_that_it_takes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let release = release(directory.path());
    assert_eq!(
        files(&release),
        [
            "CHANGELOG.md",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "PLATFORM.md",
            "README.md",
            "bin/cupool",
            "include/cupool.h",
            "install.sh",
            "lib/libcupool.so",
            "share/bash-completion/completions/cupool",
            "share/fish/vendor_completions.d/cupool.fish",
            "share/man/man1/cupool-check.1",
            "share/man/man1/cupool-flush.1",
            "share/man/man1/cupool-plot.1",
            "share/man/man1/cupool-record.1",
            "share/man/man1/cupool-replay.1",
            "share/man/man1/cupool-run.1",
            "share/man/man1/cupool-snapshot.1",
            "share/man/man1/cupool-stats.1",
            "share/man/man1/cupool-top.1",
            "share/man/man1/cupool.1",
            "share/zsh/site-functions/_cupool",
        ]
    );
    let page = fs::read_to_string(release.join("share/man/man1/cupool-flush.1")).expect("a page");
    assert!(page.contains(".TH cupool-flush 1") && page.contains("flush_threshold"), "{page}");
    let bash = fs::read_to_string(release.join("share/bash-completion/completions/cupool"));
    assert!(bash.expect("completions").contains("complete -F _cupool"));
    let mode = |file: &str| fs::metadata(release.join(file)).expect("a file").mode() & 0o777;
    for program in ["bin/cupool", "install.sh", "lib/libcupool.so"] {
        assert_eq!(mode(program), 0o755, "{program}");
    }
    assert_eq!(mode("include/cupool.h"), 0o644);
    let library = release.join("lib/libcupool.so");
    assert_eq!(Elf::read(&library).exports, Elf::read(LIBCUPOOL).exports);
    let debug = release.with_file_name(format!(
        "{}-debug/lib/libcupool.so.debug",
        release.file_name().unwrap_or_default().to_string_lossy()
    ));
    let shipped = sections(&library);
    assert!(!shipped.contains(".debug_") && shipped.contains(".gnu_debuglink"), "{shipped}");
    // A library that comes out of a release has been stripped before.
    let packed_before =
        option_env!("CUPOOL_TEST_PACKAGE").is_some_and(|package| !package.is_empty());
    assert!(packed_before || sections(&debug).contains(".debug_line"));
}

fn sections(file: &Path) -> String {
    let listed = Command::new("readelf").arg("-SW").arg(file).output().expect("readelf runs");
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

/// What is built for here may need the glibc that is here; a release runs on old ones too.
#[test]
fn a_release_needs_no_new_glibc() {
    let release = option_env!("CUPOOL_TEST_PACKAGE").is_some_and(|package| !package.is_empty());
    for file in [LIBCUPOOL, COMMAND].map(Path::new) {
        let checked = symbols::runs_everywhere(file);
        if release {
            assert_eq!(checked, Ok(()));
        } else {
            let needs = symbols::needs(file).expect("an object file");
            let newer = needs.versions.iter().any(|version| version == "GLIBC_2.34");
            assert_eq!(checked.is_err(), newer, "{checked:?}, though it needs {needs:?}");
        }
    }
}

/// The same archive, unpacked, is a place from which `cupool run` finds its library.
#[test]
fn the_command_finds_the_library_of_its_package() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let release = release(directory.path());
    let command = Victim::program(release.join("bin/cupool"));
    let shown = command.args(&["run", "--", "sh", "-c", "echo $LD_PRELOAD"]).bare();
    let library = release.join("lib/libcupool.so");
    shown.printed(&format!("{}\n", library.canonicalize().expect("a path").display()));
}

/// A program keeps the library that it has mapped, and its figures, while another is installed.
#[test]
fn an_upgrade_leaves_running_programs_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let release = release(directory.path());
    let prefix = directory.path().join("prefix");
    install::run(&release, &prefix).expect("it is installed");
    let library = prefix.join("lib/libcupool.so");
    let before = fs::metadata(&library).expect("the library");
    let shared = |name: &str| prefix.join("share").join(name).is_file();
    assert!(shared("man/man1/cupool-top.1") && shared("zsh/site-functions/_cupool"));

    let mut running = start(&library);
    running.wait_for("ready");
    // The new one is not even a library: whoever read it would notice.
    let new = release.join("lib/libcupool.so");
    fs::write(&new, vec![0; usize::try_from(before.len()).expect("a length")]).expect("a file");
    install::run(&release, &prefix).expect("it is installed again");
    let after = fs::metadata(&library).expect("the new library");
    assert_ne!(before.ino(), after.ino(), "the file that is mapped was written into");
    assert_eq!(after.permissions().mode() & 0o777, 0o755);
    let maps = fs::read_to_string(format!("/proc/{}/maps", running.pid())).expect("maps");
    assert!(maps.contains("libcupool.so (deleted)"), "{maps}");

    running.signal(libc::SIGUSR1);
    running.wait_for_stats(|stats| stats.at("/flushes/0/released_bytes") == 64 << 20);
    running.say("x");
    running.finish().printed("ready\nread 2 bytes: x\n");
    let left = files(&prefix);
    assert!(!left.iter().any(|file| file.contains("/.")), "left behind: {left:?}");
}

fn start(library: &Path) -> Running {
    // The variable is set after the one of the library under test.
    Victim::new("signal_read").env("LD_PRELOAD", library).start_pooled("order:auto")
}

/// What cannot be installed leaves everything as it was.
#[test]
fn a_release_that_does_not_run_here_is_not_installed() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let release = release(directory.path());
    let prefix = directory.path().join("prefix");
    fs::write(release.join("bin/cupool"), "#!/bin/false\n").expect("a file");
    assert!(install::run(&release, &prefix).is_err());
    assert!(!prefix.exists(), "something was installed: {:?}", files(&prefix));
}
