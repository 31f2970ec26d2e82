//! The modelled driver: a clock, a device that lags behind it, and an account of every call.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::audit::{Audit, Moment};
use super::costs;
use super::device::{DeviceMemory, PAGE, TOTAL_BYTES};
use crate::driver::{
    Context, Device, DeviceFacts, DevicePtr, Driver, DriverError, Event, Memory, Stream, Vmm,
};

const CONTEXT: Context = Context(1);

/// Events that there can be. A pool has a ring of them and a few more.
const EVENTS: usize = 4096;

/// The calls that move memory, each with its C name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Call {
    Allocate,
    Free,
    ReserveAddresses,
    FreeAddresses,
    Create,
    Release,
    Map,
    SetAccess,
    Unmap,
}

impl Call {
    pub(super) const NAMES: [&str; 9] = [
        "cuMemAlloc",
        "cuMemFree",
        "cuMemAddressReserve",
        "cuMemAddressFree",
        "cuMemCreate",
        "cuMemRelease",
        "cuMemMap",
        "cuMemSetAccess",
        "cuMemUnmap",
    ];
}

/// What the driver was asked, and how long the host was in it. Times in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    /// How often each of [`Call::NAMES`] was called, failures included.
    pub calls: [u64; Call::NAMES.len()],
    /// Time in those calls, without waits.
    pub memory_ns: u64,
    /// Time waited for the device.
    pub wait_ns: u64,
    /// Times that there was something to wait for.
    pub waits: u64,
    /// Time to record, query and order events, and to synchronise, without waits.
    pub fence_ns: u64,
}

#[derive(Default)]
struct Ledger {
    memory: DeviceMemory,
    account: Account,
}

/// A moment that can be shared.
#[derive(Default)]
struct SharedMoment {
    call: AtomicU64,
    ns: AtomicU64,
}

impl SharedMoment {
    fn load(&self) -> Moment {
        Moment { call: self.call.load(Ordering::Relaxed), ns: self.ns.load(Ordering::Relaxed) }
    }

    fn store(&self, moment: Moment) {
        self.call.store(moment.call, Ordering::Relaxed);
        self.ns.store(moment.ns, Ordering::Relaxed);
    }
}

/// A driver with one context on one H200. Only one thread calls it; it is atomic throughout because
/// drivers are shared.
pub(super) struct ModelDriver {
    lag: u64,
    now: SharedMoment,
    /// The call up to which the host has seen everything done by waiting for it.
    reached: AtomicU64,
    events: Box<[SharedMoment]>,
    events_made: AtomicUsize,
    /// Counted apart from the ledger, since a fence comes with every free.
    fence_ns: AtomicU64,
    ledger: Mutex<Ledger>,
    audit: Option<Mutex<Audit>>,
}

impl ModelDriver {
    pub(super) fn new(lag: Duration, audit: bool) -> Self {
        Self {
            lag: lag.as_nanos().try_into().unwrap_or(u64::MAX),
            now: SharedMoment::default(),
            reached: AtomicU64::new(0),
            events: (0..EVENTS).map(|_| SharedMoment::default()).collect(),
            events_made: AtomicUsize::new(0),
            fence_ns: AtomicU64::new(0),
            ledger: Mutex::default(),
            audit: audit.then(Mutex::default),
        }
    }

    /// The program makes its next call at `micros`. The clock never goes back: threads that write a
    /// trace can pass each other by a little.
    pub(super) fn next_call(&self, micros: u64) {
        let Moment { call, ns } = self.now.load();
        self.now.store(Moment { call: call + 1, ns: ns.max(micros.saturating_mul(1000)) });
    }

    pub(super) fn account(&self) -> Account {
        let fence_ns = self.fence_ns.load(Ordering::Relaxed);
        Account { fence_ns, ..self.ledger.lock().account.clone() }
    }

    /// The physical memory that is taken now, in bytes.
    pub(super) fn taken_bytes(&self) -> u64 {
        self.ledger.lock().memory.taken_bytes()
    }

    /// The most physical memory that was taken at any time, in bytes.
    pub(super) fn peak_bytes(&self) -> u64 {
        self.ledger.lock().memory.peak_bytes()
    }

    /// Notes a call and gives what it works on.
    fn memory_call(&self, call: Call, ns: u64) -> MutexGuard<'_, Ledger> {
        let mut ledger = self.ledger.lock();
        ledger.account.calls[call as usize] += 1;
        ledger.account.memory_ns += ns;
        ledger
    }

    fn fence_call(&self, ns: u64) {
        self.fence_ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// Whether the device has done what the program gave it up to `moment`.
    fn done(&self, moment: Moment) -> bool {
        moment.call <= self.reached.load(Ordering::Relaxed)
            || moment.ns.saturating_add(self.lag) <= self.now.load().ns
    }

    /// The host waits until `moment` is done. That takes no time of the trace.
    fn wait_until(&self, moment: Moment) {
        if self.done(moment) {
            return;
        }
        self.reached.fetch_max(moment.call, Ordering::Relaxed);
        let mut ledger = self.ledger.lock();
        ledger.account.waits += 1;
        ledger.account.wait_ns += moment.ns.saturating_add(self.lag) - self.now.load().ns;
    }

    /// The program has got a block.
    pub(super) fn handed_out(&self, ptr: DevicePtr, bytes: u64) {
        if let Some(audit) = &self.audit {
            let usable = self.ledger.lock().memory.usable(ptr, bytes);
            let done = |moment| self.done(moment);
            audit.lock().allocated(ptr, bytes, usable, self.now.load(), done);
        }
    }

    /// The program is about to give a block back.
    pub(super) fn given_back(&self, ptr: DevicePtr) {
        if let Some(audit) = &self.audit {
            audit.lock().freed(ptr, self.now.load());
        }
    }

    /// What the audit found; `None` without one.
    pub(super) fn violations(&self) -> Option<Vec<String>> {
        self.audit.as_ref().map(|audit| audit.lock().violations().to_vec())
    }

    fn taken_away(&self, call: Call, ptr: DevicePtr, bytes: u64) {
        if let Some(audit) = &self.audit {
            let name = Call::NAMES[call as usize];
            let done = |moment| self.done(moment);
            audit.lock().taken_away(name, ptr.0, bytes, self.now.load(), done);
        }
    }

    fn event(&self, event: Event) -> Result<&SharedMoment, DriverError> {
        let made = self.events_made.load(Ordering::Relaxed);
        self.events.get(event.0).filter(|_| event.0 < made).ok_or(DriverError::INVALID_VALUE)
    }
}

impl Driver for ModelDriver {
    fn current_context(&self) -> Result<Option<Context>, DriverError> {
        Ok(Some(CONTEXT))
    }

    fn push_context(&self, _context: Context) -> Result<(), DriverError> {
        Ok(())
    }

    fn pop_context(&self) -> Result<(), DriverError> {
        Ok(())
    }

    fn context_device(&self) -> Result<Device, DriverError> {
        Ok(Device(0))
    }

    fn synchronize(&self) -> Result<(), DriverError> {
        self.fence_call(costs::SYNCHRONIZE);
        self.wait_until(self.now.load());
        Ok(())
    }

    fn device_facts(&self, _device: Device) -> Result<DeviceFacts, DriverError> {
        Ok(DeviceFacts {
            name: "modelled H200".to_owned(),
            uuid: String::new(),
            total_bytes: TOTAL_BYTES,
            pageable_access: false,
            vmm: Some(Vmm { granularity: PAGE, shareable: true, rdma: true }),
        })
    }

    fn active_devices(&self) -> Vec<Device> {
        Vec::new()
    }

    fn trim_driver_pools(&self, _device: Device) -> u64 {
        0
    }

    fn allocate(&self, bytes: u64) -> Result<DevicePtr, DriverError> {
        let mut ledger = self.memory_call(Call::Allocate, 0);
        let ptr = ledger.memory.allocate(bytes);
        ledger.account.memory_ns += costs::allocate(if ptr.is_ok() { bytes } else { 0 });
        ptr
    }

    fn free(&self, ptr: DevicePtr) -> Result<(), DriverError> {
        if ptr.0 == 0 {
            return Ok(());
        }
        let bytes = self.ledger.lock().memory.free(ptr)?;
        self.wait_until(self.now.load());
        self.taken_away(Call::Free, ptr, bytes);
        drop(self.memory_call(Call::Free, costs::free(bytes)));
        Ok(())
    }

    fn reserve_addresses(&self, bytes: u64, alignment: u64) -> Result<DevicePtr, DriverError> {
        let mut ledger = self.memory_call(Call::ReserveAddresses, costs::ADDRESSES);
        ledger.memory.reserve_addresses(bytes, alignment)
    }

    fn free_addresses(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        let mut ledger = self.memory_call(Call::FreeAddresses, costs::ADDRESSES);
        ledger.memory.free_addresses(ptr, bytes)
    }

    fn create_memory(&self, _device: Device, _vmm: Vmm, bytes: u64) -> Result<Memory, DriverError> {
        self.memory_call(Call::Create, costs::create(bytes)).memory.create(bytes)
    }

    fn release_memory(&self, memory: Memory) -> Result<(), DriverError> {
        let mut ledger = self.memory_call(Call::Release, 0);
        let bytes = ledger.memory.release(memory)?;
        ledger.account.memory_ns += costs::release(bytes);
        Ok(())
    }

    fn map_memory(&self, ptr: DevicePtr, bytes: u64, memory: Memory) -> Result<(), DriverError> {
        self.memory_call(Call::Map, costs::MAP).memory.map(ptr, bytes, memory)
    }

    fn allow_access(&self, _device: Device, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        let mut ledger = self.memory_call(Call::SetAccess, 0);
        let sizes = ledger.memory.allow_access(ptr, bytes)?;
        let ns: u64 = sizes.into_iter().map(costs::set_access).sum();
        ledger.account.memory_ns += ns;
        Ok(())
    }

    fn unmap_memory(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        self.taken_away(Call::Unmap, ptr, bytes);
        let mut ledger = self.memory_call(Call::Unmap, 0);
        let ns: u64 = ledger.memory.unmap(ptr, bytes)?.into_iter().map(costs::unmap).sum();
        ledger.account.memory_ns += ns;
        Ok(())
    }

    fn has_context_events(&self) -> bool {
        true
    }

    fn create_event(&self) -> Result<Event, DriverError> {
        let next = self.events_made.load(Ordering::Relaxed);
        if next == EVENTS {
            return Err(DriverError::OUT_OF_MEMORY);
        }
        self.events_made.store(next + 1, Ordering::Relaxed);
        Ok(Event(next))
    }

    fn event_done(&self, event: Event) -> Result<bool, DriverError> {
        self.fence_call(costs::QUERY);
        Ok(self.done(self.event(event)?.load()))
    }

    fn wait_event(&self, event: Event) -> Result<(), DriverError> {
        self.fence_call(costs::QUERY);
        self.wait_until(self.event(event)?.load());
        Ok(())
    }

    fn record_context(&self, _context: Context, event: Event) -> Result<(), DriverError> {
        self.fence_call(costs::RECORD);
        self.event(event)?.store(self.now.load());
        Ok(())
    }

    fn context_waits(&self, _context: Context, event: Event) -> Result<(), DriverError> {
        self.fence_call(costs::CONTEXT_WAIT);
        let recorded = self.event(event)?.load();
        if let Some(audit) = &self.audit {
            audit.lock().ordered(recorded.call);
        }
        Ok(())
    }

    fn relax_capture_mode(&self) -> Result<i32, DriverError> {
        Ok(0)
    }

    fn restore_capture_mode(&self, _mode: i32) -> Result<(), DriverError> {
        Ok(())
    }

    fn is_capturing(&self, _stream: Stream) -> Result<bool, DriverError> {
        Ok(false)
    }
}
