//! What a page tells at one moment.

use std::borrow::Cow;

use serde::Serialize;

use super::cursor::Cursor;
use super::{DEVICES, clock};
use crate::report::{self, Amounts, Device};
use crate::stats::{FlushRecord, Quantiles, Released, Snapshot};

/// Words of a text that is one of a few.
const NAME: usize = 2;
/// Words of a reason.
const REASON: usize = 12;
/// Words of a device's name, and of its UUID.
const LABEL: usize = 6;

/// The figures of a process at one moment. Sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// When, by [`clock`].
    pub clock: u64,
    /// The order in force.
    pub order: Cow<'static, str>,
    /// The order asked for.
    pub order_configured: Cow<'static, str>,
    /// Why `auto` went over to `strict`; empty if it did not.
    pub order_reason: String,
    /// Why the pools were retired; empty while they work.
    pub retired: String,
    /// How many flushes there were.
    pub flushes: u64,
    /// The last one.
    pub last_flush: Option<Flush>,
    /// How many of the flushes that were asked for here are done.
    pub served: u64,
    /// What the last of those came to.
    pub answer: Option<Flush>,
    /// One entry per device that a pool was made on.
    pub devices: Vec<Device>,
}

/// One flush.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Flush {
    /// Why.
    pub reason: Cow<'static, str>,
    /// When it began, in seconds since the Unix epoch.
    pub time: f64,
    /// Idle bytes before.
    pub idle_bytes_before: u64,
    /// Idle bytes after.
    pub idle_bytes_after: u64,
    /// Bytes given back at once.
    pub released_bytes: u64,
    /// Bytes that the device still used, to go as soon as it does not.
    pub pending_bytes: u64,
    /// Bytes of those that have gone since.
    pub released_later_bytes: u64,
    /// Bytes that the driver's own pools gave back.
    pub driver_pools_released_bytes: u64,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// Bytes that stayed although they were to go, and why most of them did.
    pub kept_bytes: u64,
    /// Empty if nothing did.
    pub kept_reason: Cow<'static, str>,
    /// Why nothing was done, if an option says so; empty if it was done.
    pub skipped: Cow<'static, str>,
}

impl Flush {
    const WORDS: usize = (1 + NAME) + 9 + 2 * (1 + REASON);

    /// All bytes that it has given back by now.
    pub fn given_back(&self) -> u64 {
        let at_once = self.released_bytes.saturating_add(self.driver_pools_released_bytes);
        at_once.saturating_add(self.released_later_bytes)
    }

    /// This flush and `later`, which came right after it on another device.
    pub fn and(mut self, later: Self) -> Self {
        self.idle_bytes_before += later.idle_bytes_before;
        self.idle_bytes_after += later.idle_bytes_after;
        self.released_bytes += later.released_bytes;
        self.pending_bytes += later.pending_bytes;
        self.released_later_bytes += later.released_later_bytes;
        self.driver_pools_released_bytes += later.driver_pools_released_bytes;
        self.duration_seconds += later.duration_seconds;
        self.kept_bytes += later.kept_bytes;
        if self.kept_reason.is_empty() {
            self.kept_reason = later.kept_reason;
        }
        // Done on one device is done.
        if later.skipped.is_empty() {
            self.skipped = later.skipped;
        }
        self
    }

    fn walk(&mut self, cursor: &mut impl Cursor) {
        cursor.word(&mut self.reason, NAME);
        cursor.real(&mut self.time);
        cursor.number(&mut self.idle_bytes_before);
        cursor.number(&mut self.idle_bytes_after);
        cursor.number(&mut self.released_bytes);
        cursor.number(&mut self.pending_bytes);
        cursor.number(&mut self.released_later_bytes);
        cursor.number(&mut self.driver_pools_released_bytes);
        cursor.real(&mut self.duration_seconds);
        cursor.number(&mut self.kept_bytes);
        cursor.word(&mut self.kept_reason, REASON);
        cursor.word(&mut self.skipped, REASON);
    }
}

impl From<&FlushRecord> for Flush {
    fn from(record: &FlushRecord) -> Self {
        let most = record.kept.iter().max_by_key(|kept| kept.bytes);
        Self {
            reason: record.reason.name().into(),
            time: record.time,
            idle_bytes_before: record.idle_before,
            idle_bytes_after: record.idle_after,
            released_bytes: record.released,
            pending_bytes: record.pending,
            released_later_bytes: record.released_later,
            driver_pools_released_bytes: record.driver_pools,
            duration_seconds: record.duration,
            kept_bytes: record.kept.iter().map(|kept| kept.bytes).sum(),
            kept_reason: most.map_or("", |kept| kept.why).into(),
            skipped: record.skipped.into(),
        }
    }
}

impl Figures {
    /// Words in a page.
    pub(super) const WORDS: usize =
        2 + 2 * (1 + NAME) + 2 * (1 + REASON) + 2 * (2 + Flush::WORDS) + 1 + DEVICES * DEVICE;

    /// What `snapshot` comes to now.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut devices = report::by_device(snapshot);
        devices.truncate(DEVICES);
        Self {
            time: report::now(),
            clock: clock(),
            order: snapshot.order.into(),
            order_configured: snapshot.order_configured.into(),
            order_reason: snapshot.order_reason.clone(),
            retired: snapshot.retired.clone(),
            flushes: snapshot.flushes_before + snapshot.flushes.len() as u64,
            last_flush: snapshot.flushes.last().map(Flush::from),
            served: 0,
            answer: None,
            devices,
        }
    }

    /// A gauge of all devices together, for instance what is reserved now.
    pub fn sum(&self, of: impl Fn(&Device) -> u64) -> u64 {
        self.devices.iter().fold(0, |sum, device| sum.saturating_add(of(device)))
    }

    /// Changes if anything in the figures does that a flush or a call of the program changes.
    pub fn changes(&self) -> u64 {
        let calls = |device: &Device| device.allocation.allocated ^ device.allocation.freed << 32;
        self.devices.iter().map(calls).fold(self.flushes, |sum, more| sum.wrapping_add(more))
    }

    pub(super) fn walk(&mut self, cursor: &mut impl Cursor) {
        cursor.real(&mut self.time);
        cursor.number(&mut self.clock);
        cursor.word(&mut self.order, NAME);
        cursor.word(&mut self.order_configured, NAME);
        cursor.text(&mut self.order_reason, REASON);
        cursor.text(&mut self.retired, REASON);
        cursor.number(&mut self.flushes);
        walk_option(&mut self.last_flush, cursor);
        cursor.number(&mut self.served);
        walk_option(&mut self.answer, cursor);
        let mut count = self.devices.len() as u64;
        cursor.number(&mut count);
        if count > DEVICES as u64 {
            cursor.wrong("more devices than there is place for");
            count = 0;
        }
        self.devices.resize_with(count as usize, Device::default);
        for device in &mut self.devices {
            walk_device(device, cursor);
        }
    }
}

fn walk_option(flush: &mut Option<Flush>, cursor: &mut impl Cursor) {
    let mut present = u64::from(flush.is_some());
    cursor.number(&mut present);
    let mut value = flush.take().unwrap_or_default();
    value.walk(cursor);
    match present {
        0 => {}
        1 => *flush = Some(value),
        _ => cursor.wrong("neither a flush nor none"),
    }
}

/// Words of a device.
const DEVICE: usize =
    2 + 2 * (1 + LABEL) + 5 * 4 + 1 + 5 + 2 * (1 + NAME) + (1 + REASON) + 2 + 4 + 7 + 2 * 5;

fn walk_device(device: &mut Device, cursor: &mut impl Cursor) {
    let mut ordinal = device.device.cast_unsigned();
    cursor.small(&mut ordinal);
    device.device = ordinal.cast_signed();
    if device.device < 0 {
        cursor.wrong("a device of a negative number");
    }
    cursor.text(&mut device.name, LABEL);
    cursor.text(&mut device.uuid, LABEL);
    cursor.number(&mut device.total_bytes);
    cursor.number(&mut device.contexts);
    walk_amounts(&mut device.allocated_bytes, cursor);
    walk_amounts(&mut device.reserved_bytes, cursor);
    walk_amounts(&mut device.requested_bytes, cursor);
    cursor.number(&mut device.idle_bytes);
    cursor.number(&mut device.returnable_bytes);
    walk_amounts(&mut device.allocation, cursor);
    walk_amounts(&mut device.segment, cursor);
    cursor.number(&mut device.num_alloc_retries);
    cursor.number(&mut device.num_ooms);
    cursor.number(&mut device.num_device_alloc);
    cursor.number(&mut device.num_device_free);
    cursor.number(&mut device.num_device_move);
    cursor.word(&mut device.backing, NAME);
    cursor.text(&mut device.backing_reason, REASON);
    cursor.word(&mut device.order, NAME);
    cursor.number(&mut device.hits);
    cursor.number(&mut device.misses);
    cursor.number(&mut device.fences);
    cursor.number(&mut device.host_syncs);
    walk_released(&mut device.released_bytes, cursor);
    cursor.number(&mut device.neighbours_released_bytes);
    walk_quantiles(&mut device.malloc_latency_ns, cursor);
    walk_quantiles(&mut device.free_latency_ns, cursor);
}

fn walk_amounts(amounts: &mut Amounts, cursor: &mut impl Cursor) {
    cursor.number(&mut amounts.current);
    cursor.number(&mut amounts.peak);
    cursor.number(&mut amounts.allocated);
    cursor.number(&mut amounts.freed);
}

fn walk_released(released: &mut Released, cursor: &mut impl Cursor) {
    released.each().into_iter().for_each(|bytes| cursor.number(bytes));
}

fn walk_quantiles(quantiles: &mut Quantiles, cursor: &mut impl Cursor) {
    cursor.number(&mut quantiles.count);
    cursor.number(&mut quantiles.p50);
    cursor.number(&mut quantiles.p90);
    cursor.number(&mut quantiles.p99);
    cursor.number(&mut quantiles.max);
}
