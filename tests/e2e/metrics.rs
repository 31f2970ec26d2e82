//! The textfile for Prometheus, read by Prometheus' own programs.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use cupool_tests::{Running, Victim};
use tempfile::TempDir;

use crate::tools::on_path;

const MIB: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// `steer`, which holds 64 MiB of 192 MiB, with its textfile in `directory`.
fn steered(directory: &TempDir, options: &str) -> Running {
    let conf = format!("order:fence,{options}metrics:{}", directory.path().display());
    let mut running = Victim::new("steer").start_pooled(&conf);
    running.wait_for("ready");
    running
}

fn textfiles(directory: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.path()).expect("the directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "prom")).collect()
}

/// The one textfile once it says this.
#[track_caller]
fn says(directory: &TempDir, line: &str) -> PathBuf {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let files = textfiles(directory);
        if let [file] = &files[..]
            && fs::read_to_string(file).is_ok_and(|text| text.lines().any(|l| l.contains(line)))
        {
            return file.clone();
        }
        assert!(Instant::now() < deadline, "no `{line}` in {files:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The value of the first series of that name.
#[track_caller]
fn value(file: &Path, name: &str) -> f64 {
    let text = fs::read_to_string(file).expect("the textfile");
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// `node_exporter` with nothing but its textfile collector, ended with this value.
struct Exporter {
    child: Child,
    port: u16,
}

impl Exporter {
    fn start(program: &Path, directory: &Path) -> Exporter {
        // Nobody else takes it so soon.
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let child = Command::new(program)
            .args(["--collector.disable-defaults", "--collector.textfile", "--log.level=error"])
            .arg(format!("--collector.textfile.directory={}", directory.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("node_exporter");
        Exporter { child, port }
    }

    /// What a scrape gives, once it can be had.
    #[track_caller]
    fn scrape(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut answer = String::new();
            let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
                stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
                stream.read_to_string(&mut answer)
            });
            if asked.is_ok() && answer.contains(" 200 ") {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer: {asked:?} {answer}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn node_exporter_hands_them_on() {
    let Some(program) = on_path("prometheus-node-exporter") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let running = steered(&directory, "interval:50ms,");
    says(&directory, "cupool_allocated_bytes{gpu=\"0\",UUID=\"GPU-");
    says(&directory, " 67108864");
    let exporter = Exporter::start(&program, directory.path());
    let scraped = exporter.scrape();
    let pid = running.pid();
    let series = |name: &str, value: &str| {
        scraped.lines().any(|line| {
            line.starts_with(&format!("{name}{{"))
                && line.contains(&format!("pid=\"{pid}\""))
                && line.contains("executable=\"steer\"")
                && line.ends_with(&format!(" {value}"))
        })
    };
    // As Prometheus writes numbers.
    for (name, value) in [
        ("cupool_allocated_bytes", "6.7108864e+07"),
        ("cupool_reserved_bytes", "2.01326592e+08"),
        ("cupool_idle_bytes", "1.34217728e+08"),
        ("cupool_allocations_total", "2"),
        ("cupool_flushes_total", "0"),
        ("cupool_retired", "0"),
    ] {
        assert!(series(name, value), "no {name} {value} in\n{scraped}");
    }
    assert!(scraped.contains("# TYPE cupool_allocations_total counter"), "{scraped}");
    assert!(scraped.contains("node_textfile_scrape_error 0"), "{scraped}");
    // What has ended is told no more.
    running.finish().succeeded();
    assert!(textfiles(&directory).is_empty());
    let after = exporter.scrape();
    assert!(!after.contains("cupool_"), "{after}");
}

#[test]
fn promtool_finds_nothing_to_object_to() {
    let Some(program) = on_path("promtool") else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let running = steered(&directory, "interval:50ms,");
    running.signal(libc::SIGUSR1);
    // With the families that only a flush adds.
    let file = says(&directory, "cupool_last_flush_released_bytes{");
    let text = fs::read_to_string(file).expect("the textfile");
    let check = |text: &str| {
        let mut child = Command::new(&program)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("promtool");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("promtool ends");
        (output.status.success(), format!("{output:?}"), output.stdout.len() + output.stderr.len())
    };
    let (clean, said, length) = check(&text);
    assert!(clean && length == 0, "{said}");
    // It would object.
    let (clean, said, _) = check(&text.replace("cupool_hits_total", "cupool_hits"));
    assert!(!clean, "{said}");
}

/// The same numbers as in the stats file that is written with it.
#[test]
fn figures_are_those_of_the_stats_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut running = steered(&directory, "");
    running.say("x").wait_for("worked");
    running.signal(libc::SIGUSR1);
    let file = says(&directory, "cupool_last_flush_released_bytes{");
    let stats =
        running.wait_for_stats(|stats| !stats.at("/flushes").as_array().unwrap().is_empty());
    for (name, pointer) in [
        ("allocated_bytes", "/allocated_bytes/current"),
        ("allocated_peak_bytes", "/allocated_bytes/peak"),
        ("reserved_peak_bytes", "/reserved_bytes/peak"),
        ("allocations_total", "/allocation/allocated"),
        ("frees_total", "/allocation/freed"),
        ("hits_total", "/hits"),
        ("misses_total", "/misses"),
        ("fences_total", "/fences"),
        ("device_memory_bytes", "/total_bytes"),
    ] {
        assert_eq!(value(&file, &format!("cupool_{name}")), stats.sum(pointer) as f64, "{name}");
    }
    assert_eq!(stats.sum("/allocation/allocated"), 1002);
    assert_eq!(value(&file, "cupool_last_flush_released_bytes"), (128 * MIB) as f64);
    assert_eq!(value(&file, "cupool_flushes_total"), 1.0);
}

#[test]
fn others_may_read_it_and_the_killed_are_cleared_away() {
    let directory = tempfile::tempdir().expect("a directory");
    let killed = steered(&directory, "");
    let left = says(&directory, "cupool_retired{");
    let mode = fs::metadata(&left).expect("the textfile").permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "the collector is another user");
    // Ended by SIGKILL.
    drop(killed);
    assert_eq!(textfiles(&directory), std::slice::from_ref(&left));
    fs::write(directory.path().join("others.prom"), "x 1\n").expect("written");

    let next = steered(&directory, "");
    let deadline = Instant::now() + PATIENCE;
    while left.exists() || textfiles(&directory).len() != 2 {
        assert!(Instant::now() < deadline, "{:?}", textfiles(&directory));
        thread::sleep(Duration::from_millis(10));
    }
    next.finish().succeeded();
    assert_eq!(textfiles(&directory), [directory.path().join("others.prom")]);
}

#[test]
fn a_missing_directory_is_told_once() {
    let running = Victim::new("steer").start_pooled("metrics:/nonexistent/x,interval:10ms");
    thread::sleep(Duration::from_millis(200));
    let output = running.finish();
    let told = output.succeeded().stderr.matches("no metrics: ").count();
    assert_eq!(told, 1, "{}", output.report());
    assert!(output.stderr.contains("/nonexistent/x"), "{}", output.report());
}
