//! Whole files: what is read, and what is said of those that cannot be.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Action, Event, Trace};

/// A file of its own for a test, deleted with it.
struct File(PathBuf);

impl File {
    fn new(test: &str, contents: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("cupool-{test}-{}", std::process::id()));
        std::fs::write(&path, contents).expect("written");
        Self(path)
    }

    /// What is said of it, without its path.
    fn fault(&self) -> String {
        let line = Trace::read(&self.0).expect_err("it has a fault").to_string();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix(self.0.to_str().expect("UTF-8")).expect("starts with the path").to_owned()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).expect("a vector");
    encoder.finish().expect("a vector")
}

/// Many different lines.
fn long_text() -> String {
    (0..5000).map(|id| format!("a {id} {} 0 {id}\n", id * 7919 % 100_003)).collect()
}

#[test]
fn blocks_and_threads_are_renumbered() {
    let file = File::new("renumbered", b"a 70 512 3 0\n\n# more\na 5 1 0 2\nf 70 0 4\na 70 2 0 4");
    let trace = Trace::read(&file.0).expect("readable");
    let event = |action, thread, micros| Event { action, thread, micros };
    let expected = [
        event(Action::Allocate { id: 0, bytes: 512 }, 0, 0),
        event(Action::Allocate { id: 1, bytes: 1 }, 1, 2),
        event(Action::Free { id: 0 }, 1, 4),
        event(Action::Allocate { id: 2, bytes: 2 }, 1, 4),
    ];
    assert_eq!(trace.events, expected);
    assert_eq!(trace.allocations, 3);
}

#[test]
fn gzip_is_known_by_its_contents() {
    let text = long_text();
    let plain = File::new("plain.gz", text.as_bytes());
    let packed = File::new("packed", &gzip(&text));
    let (first, second) = text.split_at(text.find("a 2500").expect("there"));
    let members = File::new("members", &[gzip(first), gzip(second)].concat());
    let expected = Trace::read(&plain.0).expect("readable");
    assert_eq!(expected.allocations, 5000);
    assert_eq!(Trace::read(&packed.0).expect("readable"), expected);
    assert_eq!(Trace::read(&members.0).expect("readable"), expected);
}

#[test]
fn an_empty_file_is_an_empty_trace() {
    for (name, contents) in [("empty", Vec::new()), ("empty-packed", gzip(""))] {
        let trace = Trace::read(&File::new(name, &contents).0).expect("readable");
        assert_eq!(trace, Trace::default());
    }
}

#[test]
fn a_missing_file_is_told() {
    let error = Trace::read("/nonexistent/a\nb".as_ref()).expect_err("missing").to_string();
    assert!(error.starts_with("/nonexistent/a\\nb: No such file"), "{error}");
    assert!(error.ends_with("; check the path"), "{error}");
}

#[test]
fn a_directory_is_told() {
    let error = Trace::read(&std::env::temp_dir()).expect_err("a directory").to_string();
    assert!(error.contains("directory") && error.ends_with("; name the files in it"), "{error}");
}

#[test]
fn a_file_that_breaks_off_is_told() {
    let whole = gzip(&long_text());
    for length in [whole.len() - 1, whole.len() / 2, 20, 11, 3, 2] {
        let fault = File::new(&format!("truncated-{length}"), &whole[..length]).fault();
        assert!(fault.starts_with(": the gzip file ends early; "), "{length}: {fault}");
    }
}

#[test]
fn a_damaged_file_is_told() {
    let mut contents = gzip(&long_text());
    // In the checksum, so that all of the text is there.
    let at = contents.len() - 6;
    contents[at] ^= 1;
    let fault = File::new("damaged", &contents).fault();
    assert!(fault.starts_with(": the gzip file is damaged; "), "{fault}");
}

#[test]
fn the_line_at_fault_is_named() {
    let long = format!("a 0 1 0 0\na {} 1 0 0\n", "1".repeat(10_000));
    for (name, contents, expected) in [
        ("malformed", "a 0 1 0 0\nf 0 0", ":2: not a line of a trace: a field is missing; write "),
        ("twice", "a 4 1 0 0\n\na 4 1 0 0\n", ":3: block 4 is allocated while it is live; "),
        ("unknown", "f 9 0 0\n", ":1: block 9 is freed but not live; "),
        ("again", "a 0 1 0 0\nf 0 0 1\nf 0 0 2\n", ":3: block 0 is freed but not live; "),
        ("long", &long, ":2: not a line of a trace: it is too long; write "),
        ("binary", "\u{0}\u{1}\u{2}", ":1: not a line of a trace: it starts with neither"),
    ] {
        let fault = File::new(name, contents.as_bytes()).fault();
        assert!(fault.starts_with(expected), "{name}: {fault}");
    }
}
