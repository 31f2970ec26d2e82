//! Pictures: what is in them, and what a browser makes of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cupool_tests::Victim;

use crate::command::{Place, fails};
use crate::tools::on_path;

fn trace(name: &str) -> String {
    format!("{}/traces/{name}.trace.gz", env!("CARGO_MANIFEST_DIR"))
}

/// A page by itself: of what it fetches there is nothing.
#[track_caller]
fn page(path: &Path) -> String {
    let page = fs::read_to_string(path).expect("the page");
    for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside} in {}", path.display());
    }
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("prefers-color-scheme: dark"));
    page
}

struct Pictures {
    place: Place,
    directory: tempfile::TempDir,
}

impl Pictures {
    fn new() -> Pictures {
        let directory = tempfile::tempdir().expect("a directory");
        Pictures { place: Place::new(), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Plots into `name`.
    #[track_caller]
    fn plot(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        let to = path.display().to_string();
        self.place.run(&[&["plot", "-o", &to], arguments].concat()).succeeded();
        path
    }
}

#[test]
fn of_a_trace() {
    let pictures = Pictures::new();
    let page = page(&pictures.plot("x.html", &[&trace("cupy")]));
    for part in ["Memory over time", "Segments and blocks", "Sizes", "data-samples=\"[["] {
        assert!(page.contains(part), "no {part}");
    }
    // The figures are those of the replay.
    let replayed = pictures.place.json(&["replay", "--json", &trace("cupy")]);
    let allocations = replayed["allocations"].as_u64().expect("a number");
    assert!(page.contains(&format!("<dt>allocations</dt><dd>{allocations}</dd>")));
    let ratio = replayed["reserved_over_requested"].as_f64().expect("a number");
    assert!(page.contains(&format!("<dd>{ratio:.3}</dd>")), "{ratio}");
}

#[test]
fn of_a_series_of_stats_files() {
    let pictures = Pictures::new();
    let pattern = pictures.path("stats.%n.json").display().to_string();
    let victim = pictures.place.victim("steer").stats_at(&pattern);
    let mut running = victim.start_pooled("order:fence,interval:20ms");
    running.wait_for("ready");
    for _ in 0..5 {
        running.say("x").wait_for("worked");
        std::thread::sleep(std::time::Duration::from_millis(40));
    }
    running.signal(libc::SIGUSR1);
    std::thread::sleep(std::time::Duration::from_millis(200));
    running.finish().succeeded();
    let entries = fs::read_dir(pictures.directory.path()).expect("the directory");
    let files: Vec<String> = entries.map(|e| e.expect("it").path().display().to_string()).collect();
    assert!(files.len() > 3, "{files:?}");
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let page = page(&pictures.plot("x.html", &files));
    assert!(page.contains("steer · pid "), "{page}");
    assert!(page.contains("flush (signal): 128 MiB given back"), "{page}");
    assert!(page.contains("<dt>allocations</dt><dd>5002</dd>"), "{page}");
}

#[test]
fn of_a_snapshot() {
    let pictures = Pictures::new();
    let running = pictures.place.steered("order:fence,history:100");
    let json = pictures.path("now.json").display().to_string();
    let pid = running.pid().to_string();
    pictures.place.run(&["snapshot", &pid, "-o", &json]).succeeded();
    let page = page(&pictures.plot("x.html", &[&json]));
    // Three of the program's, and three of memory that was mapped for it.
    assert!(page.contains("the last 6 events"), "{page}");
    assert!(page.contains("idle: 128 MiB at 0x"), "{page}");
    assert!(page.contains("allocated: 64.0 MiB at 0x"), "{page}");
    // The same from the form that PyTorch's viewer reads.
    let pickle = pictures.path("now.pickle").display().to_string();
    pictures.place.run(&["snapshot", &json, "-o", &pickle]).succeeded();
    let of_pickle = self::page(&pictures.plot("y.html", &[&pickle]));
    assert_eq!(of_pickle, page);
    running.finish().succeeded();
}

#[test]
fn as_shapes_and_as_dots() {
    let pictures = Pictures::new();
    let svg = fs::read_to_string(pictures.plot("x.svg", &[&trace("cupy")])).expect("the SVG");
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>\n")
    );
    assert!(!svg.contains("var(") && !svg.contains("<script"), "it stands alone");
    let png = fs::read(pictures.plot("x.png", &[&trace("cupy")])).expect("the PNG");
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let width = u32::from_be_bytes(png[16..20].try_into().expect("a header"));
    assert_eq!(width, 2096);
    // With its text and shapes: an empty one of this size has some kilobytes.
    assert!(png.len() > 100_000, "{} bytes", png.len());
    // Standard output, where nobody has to read to the end.
    let piped = pictures.place.run(&["plot", "-o", "-", "--svg", &trace("cupy")]);
    assert!(piped.succeeded().stdout == svg, "{} bytes", piped.stdout.len());
    assert!(!pictures.path("-").exists());
    // The flag says it too.
    assert!(
        fs::read(pictures.plot("y", &["--svg", &trace("cupy")])).expect("it").starts_with(b"<svg")
    );
}

#[test]
fn mistakes_are_one_line() {
    let pictures = Pictures::new();
    let bad = |name: &str, contents: &str| {
        fs::write(pictures.path(name), contents).expect("written");
        pictures.path(name).display().to_string()
    };
    let (cut, other, empty) = (bad("a", "{\"schema\":"), bad("b", "{}"), bad("c", ""));
    let pickle = bad("p", "\u{0}");
    fs::write(&pickle, b"\x80\x04N.").expect("written");
    let nobody = bad("d", "{\"schema\":1,\"devices\":[],\"time\":1.0}");
    for (arguments, says) in [
        (vec!["/nonexistent"], "No such file"),
        (vec![&*cut], "damaged JSON"),
        (vec![&*other], "neither stats"),
        (vec![&*empty], "nothing is allocated"),
        (vec![&*pickle], "no memory snapshot"),
        (vec![&*nobody], "has not used a device yet"),
        (vec!["/etc/passwd"], "not a line of a trace"),
        (vec!["-o", "x.jpg", &*other], "no picture is called .jpg"),
        (vec!["-o", "/nonexistent/x.html", &*trace("cupy").leak()], "/nonexistent/x.html"),
    ] {
        let output = pictures.place.run(&[&["plot"], &arguments[..]].concat());
        fails(&output, 2, says);
        assert!(output.stderr.contains("; "), "no cure\n{}", output.report());
    }
}

/// What the page looks like, light and dark. With `CUPOOL_SCREENS` set to a directory, the screens are
/// left there to be looked at; `examples/screens` has the README's.
#[test]
fn in_a_browser() {
    let Some(chromium) = on_path("chromium") else { return };
    let pictures = Pictures::new();
    let page = pictures.plot("x.html", &[&trace("train_varlen")]);
    let browser = |arguments: &[&str]| {
        // Its sandbox refuses root; the profile is the test's own.
        let profile = format!("--user-data-dir={}", pictures.path("profile").display());
        let output = Command::new(&chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", &profile])
            .args(["--window-size=1100,1500"])
            .args(arguments)
            .arg(format!("file://{}", page.display()))
            .current_dir(pictures.directory.path())
            .output()
            .expect("chromium");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let kept = std::env::var_os("CUPOOL_SCREENS").map(PathBuf::from);
    let mut screens = Vec::new();
    for (name, scheme) in [("light", "1"), ("dark", "0")] {
        let file = pictures.path(&format!("plot-{name}.png"));
        let screenshot = format!("--screenshot={}", file.display());
        browser(&[&screenshot, &format!("--blink-settings=preferredColorScheme={scheme}")]);
        let screen = fs::read(&file).expect("a screen");
        assert!(
            screen.len() > 40_000,
            "{name}: {} bytes, which shows next to nothing",
            screen.len()
        );
        if let Some(kept) = &kept {
            let name = if name == "light" { "plot.png" } else { "plot-dark.png" };
            fs::write(kept.join(name), &screen).expect("kept");
        }
        screens.push(screen);
    }
    assert_ne!(screens[0], screens[1], "dark is another picture");
    // The page's script ran to its end, as its own policy lets it.
    let dom = browser(&["--dump-dom"]);
    let (charts, crosses) = (dom.matches("<svg ").count(), dom.matches("class=\"cross\"").count());
    assert_eq!((charts, crosses), (3, 3), "{dom}");
    assert!(!dom.contains("<title>allocated"), "tips are the page's own");
}

/// A program that is plotted while it is recorded has no surprises for the reader.
#[test]
fn of_what_was_just_recorded() {
    let pictures = Pictures::new();
    let recorded = pictures.path("x.trace.gz").display().to_string();
    Victim::new("runtime_static").pooled(&format!("order:fence,trace:{recorded}")).succeeded();
    page(&pictures.plot("x.html", &[&recorded]));
}
