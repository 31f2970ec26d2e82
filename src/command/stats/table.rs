//! The figures as a table, laid out like `torch.cuda.memory_summary`.

use std::fmt::Write;
use std::time::Duration;

use cupool::live::{Figures, Flush, Listed, State};
use cupool::report::{Amounts, Device, now};
use cupool::stats::Quantiles;

use super::advice::{advice, percent};
use crate::command::processes::{command_line, printable};
use crate::command::units;

/// Characters between the outer bars.
const WIDTH: usize = 75;

/// All about one process.
pub fn table(page: &Listed) -> String {
    let mut out = String::new();
    rule(&mut out, '=');
    center(&mut out, &format!("cupool memory summary, process {}", page.process.pid));
    center(&mut out, &command_line(page));
    match (&page.figures, page.state) {
        (None, _) => center(&mut out, "it has not told any figures yet"),
        (Some(figures), State::Gone) => {
            center(&mut out, &format!("it is gone; figures of {} ago", age(figures)));
        }
        (Some(figures), _) if silence(figures) > Duration::from_secs(1) => {
            center(&mut out, &format!("it does not answer; figures of {} ago", age(figures)));
        }
        _ => {}
    }
    if let Some(figures) = &page.figures {
        center(&mut out, &order(figures));
        for entry in &figures.devices {
            device(&mut out, entry);
        }
        rule(&mut out, '=');
        if figures.devices.is_empty() {
            center(&mut out, "no allocation yet");
            rule(&mut out, '=');
        }
        let last = figures.last_flush.as_ref();
        line(&mut out, &last.map_or("no flush yet".to_owned(), |last| flush(figures, last)));
    }
    for advice in advice(page) {
        line(&mut out, &advice);
    }
    rule(&mut out, '=');
    out
}

fn device(out: &mut String, device: &Device) {
    rule(out, '=');
    let name = printable(&device.name);
    center(out, &format!("GPU {}: {name}, {}", device.device, units::bytes(device.total_bytes)));
    rule(out, '-');
    pair(
        out,
        &format!("OOMs: {}", device.num_ooms),
        &format!("retries after a flush: {}", device.num_alloc_retries),
    );
    rule(out, '=');
    row(out, "Metric", ["Cur Usage", "Peak Usage", "Tot Alloc", "Tot Freed"].map(str::to_owned));
    rule(out, '-');
    let bytes = |amounts: &Amounts| each(amounts, units::bytes);
    row(out, "Allocated memory", bytes(&device.allocated_bytes));
    row(out, "Requested memory", bytes(&device.requested_bytes));
    row(out, "GPU reserved memory", bytes(&device.reserved_bytes));
    let idle = units::bytes(device.idle_bytes);
    row(out, "Idle memory", [idle, String::new(), String::new(), String::new()]);
    rule(out, '-');
    let counts = |amounts: &Amounts| each(amounts, |count| count.to_string());
    row(out, "Allocations", counts(&device.allocation));
    row(out, "GPU reserved segments", counts(&device.segment));
    rule(out, '=');
    let calls = device.hits.saturating_add(device.misses);
    pair(
        out,
        &format!("hits: {} of {calls} ({:.1} %)", device.hits, percent(device.hits, calls)),
        &format!("driver: {} allocs, {} frees", device.num_device_alloc, device.num_device_free),
    );
    pair(
        out,
        &format!("fences: {}", device.fences),
        &format!("waits for the GPU: {}", device.host_syncs),
    );
    line(out, &released(device));
    line(out, &format!("malloc {}", latency(&device.malloc_latency_ns)));
    line(out, &format!("free   {}", latency(&device.free_latency_ns)));
    line(
        out,
        &format!("backing {}: {}", printable(&device.backing), printable(&device.backing_reason)),
    );
}

/// What went back to the driver, and what had it given back.
fn released(device: &Device) -> String {
    let named = device.released_bytes.named().into_iter().filter(|&(_, bytes)| bytes > 0);
    let causes: Vec<_> =
        named.map(|(cause, bytes)| format!("{} {cause}", units::bytes(bytes))).collect();
    let mut text = match causes.is_empty() {
        true => "given back: nothing yet".to_owned(),
        false => format!("given back: {}", causes.join(", ")),
    };
    if device.neighbours_released_bytes > 0 {
        let bytes = units::bytes(device.neighbours_released_bytes);
        text.push_str(&format!("; {bytes} by other processes for this one"));
    }
    text
}

fn order(figures: &Figures) -> String {
    let order = printable(&figures.order);
    match figures.order_reason.as_str() {
        "" => format!("order {order}"),
        reason => format!("order {order}: {}", printable(reason)),
    }
}

fn flush(figures: &Figures, last: &Flush) -> String {
    let ago = units::age(Duration::from_secs_f64((now() - last.time).clamp(0.0, 1e9)));
    if !last.skipped.is_empty() {
        let (reason, why) = (printable(&last.reason), printable(&last.skipped));
        return format!("{} flushes, the last {ago} ago ({reason}) {why}", figures.flushes);
    }
    format!(
        "{} flushes, the last {ago} ago ({}): {} of {} idle given back",
        figures.flushes,
        printable(&last.reason),
        units::bytes(last.released_bytes.saturating_add(last.released_later_bytes)),
        units::bytes(last.idle_bytes_before),
    )
}

fn latency(quantiles: &Quantiles) -> String {
    let Quantiles { count, p50, p90, p99, max } = *quantiles;
    match count {
        0 => "not timed yet (one call in 63 is)".to_owned(),
        _ => format!(
            "median {}, 90 % {}, 99 % {}, longest {}",
            short(p50),
            short(p90),
            short(p99),
            short(max)
        ),
    }
}

/// A duration in nanoseconds, which most of these are.
fn short(ns: u64) -> String {
    if ns < 1_000 { format!("{ns} ns") } else { units::duration(ns as f64 / 1e9) }
}

/// How long the process has told nothing new.
fn silence(figures: &Figures) -> Duration {
    Duration::from_nanos(cupool::live::clock().saturating_sub(figures.clock))
}

fn age(figures: &Figures) -> String {
    units::age(silence(figures))
}

fn each(amounts: &Amounts, show: fn(u64) -> String) -> [String; 4] {
    [amounts.current, amounts.peak, amounts.allocated, amounts.freed].map(show)
}

fn rule(out: &mut String, of: char) {
    let _ = writeln!(out, "|{}|", of.to_string().repeat(WIDTH));
}

fn center(out: &mut String, text: &str) {
    let text = cut(text, WIDTH - 2);
    let _ = writeln!(out, "|{text:^WIDTH$}|");
}

fn pair(out: &mut String, left: &str, right: &str) {
    let _ = writeln!(out, "|{:^37}|{:^37}|", cut(left, 35), cut(right, 35));
}

fn row(out: &mut String, name: &str, cells: [String; 4]) {
    let [a, b, c, d] = cells;
    let _ = writeln!(out, "| {name:<21} | {a:>10} | {b:>10} | {c:>10} | {d:>10} |");
}

/// Text over as many lines as it takes.
fn line(out: &mut String, text: &str) {
    let mut rest = String::new();
    for word in text.split(' ') {
        if !rest.is_empty() && rest.chars().count() + 1 + word.chars().count() > WIDTH - 2 {
            let _ = writeln!(out, "| {rest:<73} |");
            rest = "   ".to_owned();
        }
        if !rest.is_empty() {
            rest.push(' ');
        }
        rest.push_str(&cut(word, WIDTH - 8));
    }
    let _ = writeln!(out, "| {rest:<73} |");
}

fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cupool::live::Process;
    use cupool::stats::Released;

    use super::*;

    fn example() -> Listed {
        let gib = |n: u64| Amounts {
            current: n << 29,
            peak: n << 30,
            allocated: n << 34,
            freed: n << 33,
        };
        let entry = Device {
            name:
                "NVIDIA H200 with a name that is far longer than anybody would think of giving it"
                    .into(),
            total_bytes: 150_754_820_096,
            allocated_bytes: gib(3),
            requested_bytes: gib(3),
            reserved_bytes: gib(5),
            idle_bytes: 1 << 30,
            hits: 123_456,
            misses: 42,
            backing: "arena".into(),
            released_bytes: Released { asked: 3 << 30, decay: 5 << 20, ..Released::default() },
            neighbours_released_bytes: 7 << 30,
            malloc_latency_ns: Quantiles {
                count: 3,
                p50: 210,
                p90: 1_500,
                p99: 90_000,
                max: 2_000_000,
            },
            ..Device::default()
        };
        let figures = Figures {
            clock: cupool::live::clock(),
            order: "strict".into(),
            order_configured: "auto".into(),
            order_reason: "pinned memory".into(),
            devices: vec![entry],
            ..Figures::default()
        };
        let process =
            Process { pid: 7, executable: "/usr/bin/evil\u{1b}[31m".into(), ..Process::default() };
        Listed { path: "/x".into(), process, figures: Some(figures), state: State::Gone }
    }

    #[test]
    fn every_line_is_as_wide() {
        let text = table(&example());
        for line in text.lines() {
            assert_eq!(line.chars().count(), WIDTH + 2, "{line}\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(
            text.contains("| GPU reserved memory   |    2.5 GiB |    5.0 GiB |   80.0 GiB"),
            "{text}"
        );
        assert!(
            text.contains("given back: 3.0 GiB asked, 5.0 MiB decay; 7.0 GiB by other processes"),
            "{text}"
        );
        assert!(text.contains("median 210 ns, 90 % 2 µs"), "{text}");
        assert!(text.contains("it is gone"), "{text}");
    }
}
