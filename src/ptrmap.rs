//! From an address to its block, in constant time and without a lock.
//!
//! A table of tables over the 47 bits of a device address, in steps of 256 bytes:
//!
//! ```text
//!  46        34 33        21 20         8 7    0
//! │  region    │   page     │   granule  │  0   │
//! ```
//!
//! A block that starts on a 2 MiB page has its entry in the page itself, so that large blocks need
//! no table of granules. Tables are made as addresses appear and never taken away.

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::driver::DevicePtr;

/// 256 bytes: the least alignment that CUDA promises for an allocation.
const GRANULE_BITS: u32 = 8;
const PAGE_BITS: u32 = 21;
/// Miri takes a microsecond for each entry of a table.
const REGION_BITS: u32 = if cfg!(miri) { 28 } else { 34 };
const ADDRESS_BITS: u32 = if cfg!(miri) { 36 } else { 47 };

/// Which block starts at an address: its pool and its name there. One word, so that it is handed on
/// in a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry(NonZeroU64);

/// Set in the entry of a block that is marked. No process has so many pools.
const MARKED: u64 = 1 << 63;

impl Entry {
    /// The block `token` of the pool of this `number`, which is not 0.
    #[inline]
    pub const fn new(number: u32, token: u32) -> Self {
        match NonZeroU64::new((number as u64) << 32 | token as u64) {
            Some(bits) if number != 0 => Self(bits),
            _ => panic!("no pool has the number 0"),
        }
    }

    const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(Self(bits)),
            None => None,
        }
    }

    /// The pool's number, not 0.
    #[inline]
    pub const fn pool(self) -> u32 {
        ((self.0.get() & !MARKED) >> 32) as u32
    }

    /// The block's token in that pool.
    #[inline]
    pub const fn token(self) -> u32 {
        self.0.get() as u32
    }

    /// Whether more is kept about the block elsewhere.
    #[inline]
    pub const fn is_marked(self) -> bool {
        self.0.get() & MARKED != 0
    }
}

type Granules = Box<[AtomicU64]>;

#[derive(Default)]
struct Page {
    /// The block that starts on the page's first byte.
    first: AtomicU64,
    /// Those that start further in.
    granules: OnceLock<Granules>,
}

type Region = Box<[Page]>;

/// See the [module](self).
pub struct PtrMap {
    regions: Box<[OnceLock<Region>]>,
}

fn table<T: Default>(bits: u32) -> Box<[T]> {
    (0..1usize << bits).map(|_| T::default()).collect()
}

impl Default for PtrMap {
    fn default() -> Self {
        Self { regions: table(ADDRESS_BITS - REGION_BITS) }
    }
}

impl PtrMap {
    /// Whether blocks at `ptr` can be entered: the address is aligned as CUDA promises.
    pub const fn covers(ptr: DevicePtr) -> bool {
        ptr.0 >> ADDRESS_BITS == 0 && ptr.0 & ((1 << GRANULE_BITS) - 1) == 0
    }

    /// `entry` starts at `ptr`. The address must be one that the map [covers](Self::covers).
    #[inline]
    pub fn insert(&self, ptr: DevicePtr, entry: Entry) {
        debug_assert!(Self::covers(ptr));
        let (region, page, granule) = split(ptr);
        let region = self.regions[region].get_or_init(|| table(REGION_BITS - PAGE_BITS));
        let page = &region[page];
        let slot = match granule {
            0 => &page.first,
            granule => &page.granules.get_or_init(|| table(PAGE_BITS - GRANULE_BITS))[granule],
        };
        slot.store(entry.0.get(), Ordering::Release);
    }

    /// What starts at `ptr`.
    pub fn get(&self, ptr: DevicePtr) -> Option<Entry> {
        Entry::from_bits(self.slot(ptr)?.load(Ordering::Acquire))
    }

    /// Takes out what starts at `ptr`. Of two threads that ask at the same time one gets it.
    #[inline]
    pub fn take(&self, ptr: DevicePtr) -> Option<Entry> {
        Entry::from_bits(self.slot(ptr)?.swap(0, Ordering::AcqRel))
    }

    /// Takes out what starts at `ptr` if it is `pool`'s.
    pub fn take_of(&self, ptr: DevicePtr, pool: u32) -> Option<Entry> {
        let slot = self.slot(ptr)?;
        let bits = slot.load(Ordering::Acquire);
        let entry = Entry::from_bits(bits).filter(|entry| entry.pool() == pool)?;
        slot.compare_exchange(bits, 0, Ordering::AcqRel, Ordering::Relaxed).ok().map(|_| entry)
    }

    /// Marks what starts at `ptr`. Gives the entry as it was before.
    pub fn mark(&self, ptr: DevicePtr) -> Option<Entry> {
        let marked = |bits| Entry::from_bits(bits).map(|_| bits | MARKED);
        let before = self.slot(ptr)?.fetch_update(Ordering::AcqRel, Ordering::Acquire, marked);
        Entry::from_bits(before.ok()?)
    }

    #[inline]
    fn slot(&self, ptr: DevicePtr) -> Option<&AtomicU64> {
        if !Self::covers(ptr) {
            return None;
        }
        let (region, page, granule) = split(ptr);
        let page = &self.regions[region].get()?[page];
        match granule {
            0 => Some(&page.first),
            granule => Some(&page.granules.get()?[granule]),
        }
    }
}

fn split(ptr: DevicePtr) -> (usize, usize, usize) {
    let part = |from: u32, to: u32| ((ptr.0 >> from) & ((1 << (to - from)) - 1)) as usize;
    let page = spread(part(PAGE_BITS, REGION_BITS));
    (part(REGION_BITS, ADDRESS_BITS), page, part(GRANULE_BITS, PAGE_BITS))
}

/// Where a page lies in its region. Neighbours lie apart, so that threads whose blocks are next to
/// each other do not write to the same cache lines: the number rotated by two bits, since four pages
/// share the lines that a processor fetches together.
const fn spread(page: usize) -> usize {
    const BITS: u32 = REGION_BITS - PAGE_BITS;
    (page << 2 | page >> (BITS - 2)) & ((1 << BITS) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(token: u32) -> Entry {
        Entry::new(1, token)
    }

    #[test]
    fn finds_what_starts_exactly_there_once() {
        let map = PtrMap::default();
        let addresses = [0x3_4000_0000, 0x3_4000_0200, 0x3_4020_0000, 0x200];
        for (token, &address) in addresses.iter().enumerate() {
            map.insert(DevicePtr(address), entry(token as u32));
        }
        for (token, &address) in addresses.iter().enumerate() {
            assert_eq!(map.take(DevicePtr(address + 1)), None, "an interior pointer");
            assert_eq!(map.take(DevicePtr(address + 0x400)), None, "an interior pointer");
            assert_eq!(map.take(DevicePtr(address)), Some(entry(token as u32)));
            assert_eq!(map.take(DevicePtr(address)), None, "a second free");
        }
    }

    #[test]
    fn finds_for_a_pool_what_is_its_own() {
        let map = PtrMap::default();
        map.insert(DevicePtr(0x200), entry(7));
        assert_eq!(map.take_of(DevicePtr(0x200), 2), None);
        assert_eq!(map.take_of(DevicePtr(0x200), 1), Some(entry(7)));
        assert_eq!(map.take_of(DevicePtr(0x200), 1), None);
    }

    #[test]
    fn a_mark_lasts_until_the_entry_is_taken() {
        let map = PtrMap::default();
        let ptr = DevicePtr(0x200);
        assert_eq!(map.mark(ptr), None, "nothing is there");
        map.insert(ptr, entry(u32::MAX));
        assert_eq!(map.mark(ptr), Some(entry(u32::MAX)));
        let marked = map.mark(ptr).unwrap();
        assert!(marked.is_marked(), "marked before");
        assert_eq!((marked.pool(), marked.token()), (1, u32::MAX));
        assert_eq!(map.take(ptr), Some(marked));
        assert_eq!(map.take(ptr), None);
        map.insert(ptr, marked);
        assert_eq!(map.take_of(ptr, 1), Some(marked));
        map.insert(ptr, entry(1));
        assert_eq!(map.take(ptr), Some(entry(1)), "another block");
    }

    #[test]
    fn addresses_no_device_has_are_nobodys() {
        let map = PtrMap::default();
        for address in [0, u64::MAX, 1 << 47, 0xdead_beef] {
            assert_eq!(map.take(DevicePtr(address)), None);
        }
    }
}
