//! The last things that happened, in bounded memory and without a lock.
//!
//! A ring of slots. Whoever has an event takes the next number, and with it a slot, which it claims,
//! fills and publishes:
//!
//! | a slot's state | meaning |
//! |---|---|
//! | 0 | nothing was ever written there |
//! | 2 n | the event of number n − 1 stands there, whole |
//! | 2 n − 1 | the event of number n − 1 is being written |
//!
//! A thread that is put off its processor in the middle of writing keeps its slot: an event that
//! comes to the same slot a whole round later is left out and counted, not mixed with it. A reader
//! skips what is being written, and what was replaced while it read.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::driver::DevicePtr;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The program got a block.
    Allocate,
    /// The program gave a block back.
    Free,
    /// An allocation failed for lack of memory; no address.
    OutOfMemory,
    /// Idle memory was given back: so many bytes; no address.
    Flush,
    /// The driver made an allocation for the pool.
    SegmentAllocate,
    /// The driver took such an allocation back.
    SegmentFree,
    /// Memory was mapped where there was none.
    SegmentMap,
    /// Memory was unmapped, to go back or elsewhere.
    SegmentUnmap,
}

impl Action {
    const ALL: [Self; 8] = [
        Self::Allocate,
        Self::Free,
        Self::OutOfMemory,
        Self::Flush,
        Self::SegmentAllocate,
        Self::SegmentFree,
        Self::SegmentMap,
        Self::SegmentUnmap,
    ];

    /// The word in a memory snapshot.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allocate => "alloc",
            Self::Free => "free",
            Self::OutOfMemory => "oom",
            Self::Flush => "flush",
            Self::SegmentAllocate => "segment_alloc",
            Self::SegmentFree => "segment_free",
            Self::SegmentMap => "segment_map",
            Self::SegmentUnmap => "segment_unmap",
        }
    }
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What.
    pub action: Action,
    /// On the device of this ordinal.
    pub device: i32,
    /// The address of the block or the segment, or 0.
    pub address: u64,
    /// The bytes that the program asked for, of the segment, or that were given back.
    pub bytes: u64,
    /// When, in microseconds since the Unix epoch.
    pub micros: u64,
}

/// Where a backing notes what it takes from the driver and gives back, if that is remembered.
#[derive(Clone, Default)]
pub struct Notes(Option<(Arc<History>, i32)>);

impl Notes {
    /// In `history`, of the device of that ordinal.
    pub fn new(history: Option<&Arc<History>>, device: i32) -> Self {
        Self(history.map(|history| (history.clone(), device)))
    }

    /// Notes that this happened with `bytes` at `ptr`.
    pub fn note(&self, action: Action, ptr: DevicePtr, bytes: u64) {
        if let Some((history, device)) = &self.0 {
            history.note(action, *device, ptr.0, bytes);
        }
    }
}

#[derive(Default)]
struct Slot {
    state: AtomicU64,
    /// Action in the lower half, device in the upper.
    what: AtomicU64,
    address: AtomicU64,
    bytes: AtomicU64,
    micros: AtomicU64,
}

/// See the [module](self).
pub struct History {
    slots: Box<[Slot]>,
    next: AtomicU64,
    lost: AtomicU64,
}

impl History {
    /// Remembers the last `length` events, in 40 bytes each; `None` for none.
    pub fn new(length: u32) -> Option<Self> {
        let slots: Box<[Slot]> = (0..length).map(|_| Slot::default()).collect();
        (length > 0).then(|| Self { slots, next: AtomicU64::new(0), lost: AtomicU64::new(0) })
    }

    /// How many events are remembered at most.
    pub fn length(&self) -> usize {
        self.slots.len()
    }

    /// How many events are no longer remembered, or never were.
    pub fn forgotten(&self) -> u64 {
        let past = self.next.load(Ordering::Relaxed).saturating_sub(self.slots.len() as u64);
        past.max(self.lost.load(Ordering::Relaxed))
    }

    /// Remembers an event of now.
    pub fn note(&self, action: Action, device: i32, address: u64, bytes: u64) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        self.add(Event { action, device, address, bytes, micros });
    }

    fn add(&self, event: Event) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = &self.slots[(number % self.slots.len() as u64) as usize];
        let done = (number + 1) * 2;
        let before = slot.state.load(Ordering::Relaxed);
        let claimed = before.is_multiple_of(2)
            && before < done
            && slot
                .state
                // What is read of the event below must not be what comes after.
                .compare_exchange(before, done - 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !claimed {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // A reader that sees one of these sees the claim.
        fence(Ordering::Release);
        let what = event.action as u64 | u64::from(event.device.cast_unsigned()) << 32;
        slot.what.store(what, Ordering::Relaxed);
        slot.address.store(event.address, Ordering::Relaxed);
        slot.bytes.store(event.bytes, Ordering::Relaxed);
        slot.micros.store(event.micros, Ordering::Relaxed);
        slot.state.store(done, Ordering::Release);
    }

    /// The events that are remembered, in the order of their numbers. Events that are noted meanwhile
    /// may be missing.
    pub fn events(&self) -> Vec<Event> {
        let mut numbered: Vec<(u64, Event)> = self.slots.iter().filter_map(Slot::read).collect();
        numbered.sort_unstable_by_key(|&(number, _)| number);
        numbered.into_iter().map(|(_, event)| event).collect()
    }
}

impl Slot {
    fn read(&self) -> Option<(u64, Event)> {
        let state = self.state.load(Ordering::Acquire);
        if state == 0 || !state.is_multiple_of(2) {
            return None;
        }
        let what = self.what.load(Ordering::Relaxed);
        let event = Event {
            action: *Action::ALL.get((what & 0xffff_ffff) as usize)?,
            device: ((what >> 32) as u32).cast_signed(),
            address: self.address.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            micros: self.micros.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        (self.state.load(Ordering::Relaxed) == state).then_some((state, event))
    }
}
