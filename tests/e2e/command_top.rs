//! `cupool top` in a real terminal: tmux plays it, and tells what stands on the screen.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cupool_tests::COMMAND;

use crate::command::Place;

/// A terminal of 80 columns and 24 lines in which `cupool top` runs.
struct Terminal {
    /// The name of a tmux server of its own.
    server: String,
}

impl Terminal {
    /// `None`, with a word, where there is no tmux.
    fn start(place: &Place, variables: &str) -> Option<Terminal> {
        if Command::new("tmux").arg("-V").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "tmux is to be installed where CI runs");
            eprintln!("skipped: there is no tmux, which plays the terminal");
            return None;
        }
        // A name that was used before may still have its server, which is just leaving.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Terminal { server: format!("cupool-{}-{number}", std::process::id()) };
        let top = format!(
            "CUPOOL_PAGES={} {variables} {COMMAND} top --interval 0.2 --sort pid; echo status $?; cat",
            place.directory().display()
        );
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", &top]);
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").arg("-L").arg(&self.server).args(arguments).output();
        let output = output.expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// The screen, once `ready` says that it is the one meant.
    #[track_caller]
    fn screen(&self, what: &str, ready: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if ready(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "the screen never showed {what}:\n{screen}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn shows(&self, text: &str) -> String {
        self.screen(text, |screen| screen.contains(text))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn the_keys_do_what_they_say() {
    let place = Place::new();
    let (first, second) = (place.steered("order:fence"), place.steered("order:fence"));
    let Some(terminal) = Terminal::start(&place, "") else { return };
    let screen = terminal.shows("256 MiB idle");
    let head = screen.lines().nth(1).unwrap_or_default();
    assert_eq!(head, "    PID GPU  ALLOC RESERV   IDLE   PEAK HIT% MALLOC/S FENCE/S FLUSH COMMAND");
    assert!(screen.contains("reserved by") && screen.contains("allocated by"), "{screen}");
    keep("top.txt", &screen);
    // The README shows this screen.
    let readme = include_str!("../../README.md");
    let [title, keys] = ["256 MiB idle", "q quit"]
        .map(|part| screen.lines().find(|line| line.contains(part)).unwrap_or_default().trim_end());
    for line in [title, head, keys] {
        assert!(readme.contains(line), "the README's screen has no line `{line}`");
    }

    // The selected one is flushed, and only it.
    terminal.press("Down");
    terminal.press("f");
    let (low, high) = (first.pid().min(second.pid()), first.pid().max(second.pid()));
    terminal.shows(&format!("{high} gave back 128 MiB of 128 MiB idle"));
    terminal.shows(" 128 MiB idle");
    terminal.shows(&format!("reserved by {high}: 64.0 MiB"));

    terminal.press("?");
    keep("top-help.txt", &terminal.shows("what a flush could give back"));
    terminal.press("x");
    terminal.screen("the table again", |screen| !screen.contains("any key closes this"));

    terminal.press("r");
    terminal.screen("the order turned round", |screen| {
        screen.lines().nth(2).is_some_and(|line| line.trim_start().starts_with(&high.to_string()))
    });

    // What is killed while the view is paused is shown later.
    terminal.press("Space");
    terminal.shows("PAUSED");
    let killed = if first.pid() == low { &first } else { &second };
    killed.signal(libc::SIGKILL);
    thread::sleep(Duration::from_millis(500));
    assert!(!terminal.shows("PAUSED").contains("(gone)"));
    terminal.press("Space");
    terminal.shows("(gone) steer");

    terminal.press("q");
    terminal.shows("status 0");
}

#[test]
fn a_narrow_terminal_loses_columns_and_no_digits() {
    let place = Place::new();
    let running = place.steered("order:fence");
    let Some(terminal) = Terminal::start(&place, "") else { return };
    terminal.shows("128 MiB idle");
    for width in ["50", "40"] {
        terminal.tmux(&["resize-window", "-x", width, "-y", "8"]);
        // Of the columns that are left, no number is cut.
        let whole = [format!(" {} ", running.pid()), " 192M ".to_owned(), " 128M ".to_owned()];
        terminal.screen("fewer columns", |screen| {
            let head = screen.lines().nth(1).unwrap_or_default();
            head.contains("IDLE")
                && !head.contains("FENCE/S")
                && head.chars().count() <= width.parse().unwrap_or(0)
                && whole.iter().all(|n| screen.contains(n))
        });
    }
    terminal.press("C-c");
    terminal.shows("status 0");
}

#[test]
fn no_color_means_no_colour() {
    let place = Place::new();
    let _running = place.steered("order:fence");
    // An empty one is none.
    for (variables, wanted) in [("", true), ("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        let Some(terminal) = Terminal::start(&place, variables) else { return };
        terminal.shows("128 MiB idle");
        terminal.shows("reserved by");
        let screen = terminal.tmux(&["capture-pane", "-p", "-e"]);
        assert_eq!(has_colour(&screen), wanted, "{variables}: {screen:?}");
        assert!(screen.contains("\u{1b}["), "bold is no colour: {screen:?}");
    }
}

/// Whether any of the terminal's escapes is one for a colour other than the default.
fn has_colour(screen: &str) -> bool {
    let escapes = screen.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m'));
    let mut numbers = escapes.flat_map(|(escape, _)| escape.split(';')).flat_map(str::parse::<u32>);
    numbers.any(|number| matches!(number, 30..=38 | 40..=48 | 90..=107))
}

#[test]
fn without_a_process_it_says_so_and_waits() {
    let place = Place::new();
    let Some(terminal) = Terminal::start(&place, "") else { return };
    terminal.shows("No process of yours runs under cupool.");
    let running = place.steered("order:fence");
    terminal.shows(&running.pid().to_string());
}

/// Keeps a screen where a person can look at it: `target/tmp`.
fn keep(name: &str, screen: &str) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, screen).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
