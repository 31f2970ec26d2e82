//! A page from both sides, and files that are none.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::map::SIZE;
use super::*;
use crate::files::Target;
use crate::report::{Amounts, Device, ProcessFacts};
use crate::stats::{Quantiles, Released};

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let name = format!("cupool-live-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("a directory");
        fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("chmod");
        Self(path)
    }

    /// A page of this process.
    fn page(&self) -> Page {
        self.page_of(Process::current(&ProcessFacts::of_this_process(), Some(libc::SIGUSR1)))
    }

    fn page_of(&self, process: Process) -> Page {
        let path = self.0.join(list::file_name(process.pid, process.start_ticks));
        let target = Target::at(path.to_str().expect("UTF-8"));
        Page::make(target, ProcessFacts::of_this_process(), process).expect("a page")
    }

    fn list(&self) -> Listing {
        list(std::slice::from_ref(&self.0))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Figures in which no two fields are alike.
fn figures(devices: usize) -> Figures {
    let mut next = 1;
    let mut number = || {
        next += 1;
        next
    };
    let flush = Flush {
        reason: "request".into(),
        time: 1.5,
        idle_bytes_before: number(),
        idle_bytes_after: number(),
        released_bytes: number(),
        pending_bytes: number(),
        released_later_bytes: number(),
        driver_pools_released_bytes: number(),
        duration_seconds: 0.25,
        kept_bytes: number(),
        kept_reason: "freed during a stream capture".into(),
        skipped: crate::policy::flush::TOO_SOON.into(),
    };
    let mut amounts =
        || Amounts { current: number(), peak: number(), allocated: number(), freed: number() };
    let mut device = |ordinal| Device {
        device: ordinal,
        name: format!("NVIDIA H{ordinal}"),
        uuid: "GPU-00000000-0000-0000-0000-000000000000".into(),
        total_bytes: 1 << 40,
        contexts: 3,
        allocated_bytes: amounts(),
        reserved_bytes: amounts(),
        requested_bytes: amounts(),
        idle_bytes: 77,
        returnable_bytes: 76,
        allocation: amounts(),
        segment: amounts(),
        num_alloc_retries: 81,
        num_ooms: 82,
        num_device_alloc: 83,
        num_device_free: 84,
        num_device_move: 89,
        backing: "arena".into(),
        backing_reason: "the default".into(),
        order: "fence".into(),
        hits: 85,
        misses: 86,
        fences: 87,
        host_syncs: 88,
        released_bytes: Released {
            asked: 91,
            out_of_memory: 92,
            neighbour: 93,
            min_free: 94,
            max_idle: 95,
            decay: 96,
        },
        neighbours_released_bytes: 97,
        malloc_latency_ns: Quantiles { count: 1, p50: 2, p90: 3, p99: 4, max: 5 },
        free_latency_ns: Quantiles { count: 6, p50: 7, p90: 8, p99: 9, max: 10 },
    };
    Figures {
        time: 1.7e9,
        clock: clock(),
        order: "strict".into(),
        order_configured: "auto".into(),
        order_reason: "pinned memory, registered memory".into(),
        retired: "a panic was caught".into(),
        flushes: 40,
        last_flush: Some(flush.clone()),
        served: 3,
        answer: Some(Flush { time: 2.5, ..flush }),
        devices: (0..devices as i32).map(&mut device).collect(),
    }
}

#[test]
fn what_is_published_is_read() {
    let scratch = Scratch::new("published");
    let mut page = scratch.page();
    assert_eq!(read(page.path()).expect("a page").1, None);
    for count in [0, 1, 2, DEVICES] {
        let mut told = figures(count);
        page.publish(&mut told);
        let (process, read) = read(page.path()).expect("a page");
        assert_eq!(read.as_ref(), Some(&told));
        assert_eq!(process.pid, std::process::id());
        assert_eq!(process.signal, libc::SIGUSR1 as u32);
        assert!(process.is_alive() && process.is_in_sight());
    }
}

#[test]
fn texts_are_cut_between_characters() {
    let scratch = Scratch::new("texts");
    let mut page = scratch.page();
    let mut told = figures(1);
    told.order_reason = "é".repeat(200);
    told.devices[0].name = format!("x{}", "é".repeat(200));
    page.publish(&mut told);
    let read = read(page.path()).expect("a page").1.expect("figures");
    assert_eq!(read.order_reason, "é".repeat(48));
    assert_eq!(read.devices[0].name, format!("x{}", "é".repeat(23)));
}

#[test]
fn nobody_else_can_read_it() {
    let scratch = Scratch::new("private");
    let page = scratch.page();
    let mode = |path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(page.path()), 0o600);
    for open in [0o640, 0o602] {
        fs::set_permissions(page.path(), Permissions::from_mode(open)).expect("chmod");
        let fault = read(page.path()).expect_err("open to others").to_string();
        assert!(fault.contains("not private") && fault.contains("chmod go="), "{fault}");
    }
}

#[test]
fn a_request_reaches_the_process_and_its_answer_comes_back() {
    let scratch = Scratch::new("request");
    let mut page = scratch.page();
    let control = Control::open(page.path()).expect("a page");
    assert!(!control.is_heard());
    page.listen(true);
    assert!(control.is_heard());
    assert_eq!(page.asked(), None);
    let before = page.wake().load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((control.flush(1 << 2), control.flush(1 << 5)), (1, 2));
    assert_ne!(page.wake().load(std::sync::atomic::Ordering::Relaxed), before);
    assert_eq!(
        page.asked(),
        Some(Asked { number: 2, devices: 1 << 2 | 1 << 5, urgency: Urgency::Asked })
    );
    assert_eq!(page.asked(), None);
    assert_eq!(control.flush(Asked::ALL), 3);
    assert_eq!(
        page.asked(),
        Some(Asked { number: 3, devices: Asked::ALL, urgency: Urgency::Asked })
    );
}

#[test]
fn who_watches_is_noticed_for_a_while() {
    let scratch = Scratch::new("watch");
    let page = scratch.page();
    let control = Control::open(page.path()).expect("a page");
    assert!(!page.is_watched());
    control.watch(Duration::from_secs(60));
    assert!(page.is_watched());
    // A shorter look of somebody else does not end it.
    control.watch(Duration::ZERO);
    assert!(page.is_watched());
}

#[test]
fn a_recycled_pid_is_another_process() {
    let scratch = Scratch::new("recycled");
    let current = Process::current(&ProcessFacts::of_this_process(), None);
    let _alive = scratch.page_of(current.clone());
    let before = Process { start_ticks: current.start_ticks - 1, ..current.clone() };
    let _gone = scratch.page_of(before);
    let other_boot =
        Process { start_ticks: current.start_ticks + 1, boot: [1, 2], ..current.clone() };
    let _gone_too = scratch.page_of(other_boot);
    let elsewhere = Process { pid: current.pid + 1, pid_namespace: 1, ..current };
    let _elsewhere = scratch.page_of(elsewhere);

    let states = || scratch.list().pages.iter().map(|page| page.state).collect::<Vec<_>>();
    assert_eq!(states(), [State::Gone, State::Running, State::Gone, State::Elsewhere]);
    for page in scratch.list().pages {
        page.remove();
    }
    assert_eq!(states(), [State::Running, State::Elsewhere]);
}

#[test]
fn old_pages_of_the_gone_are_swept() {
    let scratch = Scratch::new("swept");
    let current = Process::current(&ProcessFacts::of_this_process(), None);
    let alive = scratch.page_of(current.clone());
    let before = |ticks| Process { start_ticks: current.start_ticks - ticks, ..current.clone() };
    let (old, new) = (scratch.page_of(before(1)), scratch.page_of(before(2)));
    let left = |name: String, contents: &[u8]| {
        let path = scratch.0.join(name);
        fs::write(&path, contents).expect("written");
        path
    };
    let ticks = current.start_ticks;
    let pid = current.pid;
    let damaged = left(list::file_name(pid, ticks - 3), b"cupool");
    let snapshot = left(list::snapshot_name(pid, ticks - 3), b"{}");
    let own_snapshot = left(list::snapshot_name(pid, ticks), b"{}");
    let stats = left(format!("cupool.{pid}.json"), b"{}");
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    let pages = [alive.path(), old.path()];
    for path in pages.into_iter().chain([&damaged, &snapshot, &own_snapshot, &stats].map(|p| &**p))
    {
        let file = OpenOptions::new().write(true).open(path).expect("opened");
        file.set_modified(two_days_ago).expect("touched");
    }
    sweep(alive.path());
    assert!(alive.path().exists() && new.path().exists() && !old.path().exists());
    assert!(!damaged.exists() && !snapshot.exists());
    assert!(own_snapshot.exists() && stats.exists());
}

#[test]
fn what_cannot_be_read_of_the_gone_is_nobodys() {
    let scratch = Scratch::new("remains");
    let current = Process::current(&ProcessFacts::of_this_process(), None);
    let (pid, ticks) = (current.pid, current.start_ticks);
    // Bytes from this word on are others, in a page of a process with this start and pid namespace.
    let changed = |ticks: u64, at: usize, word: u64, namespace: Option<u64>| {
        let namespace = namespace.unwrap_or(current.pid_namespace);
        let process = Process { start_ticks: ticks, pid_namespace: namespace, ..current.clone() };
        let page = scratch.page_of(process);
        let file = OpenOptions::new().write(true).open(page.path()).expect("opened");
        file.write_all_at(&word.to_ne_bytes(), at as u64 * 8).expect("written");
        page.path().to_owned()
    };
    const MAGIC: usize = 0;
    const VERSION: usize = 1;
    const LAYOUT_SIZE: usize = 2;
    let gone = [
        changed(ticks - 1, MAGIC, 7, None),
        changed(ticks - 2, MAGIC, 0, None),
        changed(ticks - 3, VERSION, 2, None),
        changed(ticks - 4, LAYOUT_SIZE, 4096, None),
    ];
    let short = changed(ticks - 5, VERSION, 2, None);
    OpenOptions::new().write(true).open(&short).and_then(|f| f.set_len(400)).expect("cut");
    // Nobody here can tell whether this one runs.
    let elsewhere = changed(ticks - 6, VERSION, 2, Some(1));
    let listing = scratch.list();
    assert!(listing.pages.is_empty());
    assert_eq!(listing.faults.len(), 1, "{:?}", listing.faults);
    assert_eq!(listing.remains.len(), gone.len() + 1, "{:?}", listing.remains);
    listing.sweep();
    assert!(!gone.iter().chain([&short]).any(|path| path.exists()) && elsewhere.exists());

    // The process runs.
    let own = changed(ticks, VERSION, 2, None);
    let listing = scratch.list();
    assert!(listing.remains.is_empty(), "of process {pid}, which runs");
    assert!(listing.faults.iter().any(|fault| fault.to_string().contains("another cupool")));
    listing.sweep();
    assert!(own.exists());
}

#[test]
fn what_is_no_page_is_one_line_with_its_cure() {
    let scratch = Scratch::new("none");
    let put = |name: &str, contents: &[u8]| {
        let path = scratch.0.join(name);
        fs::write(&path, contents).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("chmod");
    };
    // Called like one of this process, as what is of the gone is not told of.
    let own = Process::current(&ProcessFacts::of_this_process(), None);
    put("cupool.x.1.live", b"");
    put("cupool.2.live", b"cupool\0\0");
    put(&list::file_name(own.pid, own.start_ticks), &vec![0xff; SIZE]);
    put("other", b"");
    std::os::unix::fs::symlink("/etc/passwd", scratch.0.join("cupool..live")).expect("a link");
    let listing = scratch.list();
    assert!(listing.pages.is_empty());
    assert_eq!(listing.faults.len(), 4);
    for fault in listing.faults {
        let line = fault.to_string();
        assert!(!line.contains('\n') && line.contains(';'), "{line}");
    }
}

#[test]
fn a_directory_that_others_can_write_in_is_refused() {
    let scratch = Scratch::new("open");
    let _page = scratch.page();
    fs::set_permissions(&scratch.0, Permissions::from_mode(0o777)).expect("chmod");
    let listing = scratch.list();
    assert!(listing.pages.is_empty());
    assert_eq!(listing.faults.len(), 1, "{:?}", listing.faults);
    assert!(list(&[scratch.0.join("missing")]).faults.is_empty());
}

#[test]
fn what_is_written_meanwhile_is_read_again() {
    let mut published = [1, 2, 2, 2].into_iter();
    let mut read = ["torn", "whole"].into_iter();
    let settled = reader::settled(|| Ok(published.next().expect("a few")), || Ok(read.next()));
    assert_eq!(settled.expect("no error"), Some((2, Some("whole"))));
    let mut restless = 0..;
    let never = reader::settled(|| Ok(restless.next().expect("no end")), || Ok(()));
    assert_eq!(never.expect("no error"), None);
}

/// One thread publishes all the time what another reads: no mixture is ever seen.
#[test]
fn figures_belong_together() {
    let scratch = Scratch::new("together");
    let mut page = scratch.page();
    let path = page.path().to_owned();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut told = figures(DEVICES);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                told.flushes += 1;
                for device in &mut told.devices {
                    device.hits = told.flushes;
                }
                page.publish(&mut told);
            }
        });
        let (mut seen, mut mixed) = (0, false);
        while seen < 200 {
            // A page that never stands still may say so.
            let Ok((_, Some(figures))) = read(&path) else { continue };
            seen += 1;
            mixed |= figures.devices.iter().any(|device| device.hits != figures.flushes);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!mixed);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in the file, reading it gives a page or a fault, and never more.
    #[test]
    fn a_damaged_page_is_a_fault_or_a_page(
        damage in prop::collection::vec((0..SIZE as u64, any::<[u8; 8]>()), 0..20),
        length in prop_oneof![3 => Just(SIZE as u64), 1 => 0..SIZE as u64 * 2],
    ) {
        let scratch = Scratch::new("damaged");
        let mut page = scratch.page();
        page.publish(&mut figures(2));
        let path = page.path().with_extension("copy");
        fs::copy(page.path(), &path).expect("copied");
        let file = OpenOptions::new().write(true).open(&path).expect("opened");
        for (at, bytes) in damage {
            // Words are where fields are.
            file.write_all_at(&bytes, at / 8 * 8).expect("written");
        }
        file.set_len(length).expect("cut");
        match Listed::read(&path) {
            Ok(page) => {
                let figures = page.figures.unwrap_or_default();
                prop_assert!(figures.devices.len() <= DEVICES);
                prop_assert!(figures.time.is_finite());
            }
            Err(fault) => prop_assert!(!fault.to_string().contains('\n')),
        }
    }
}
