//! A driver for unit tests: it does what it is told and remembers what it was asked.
//!
//! The device is a clock that only moves when a test moves it, or when the host waits. Every record
//! takes the moment of its submission; an event is done once the clock has passed it.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use crate::driver::{
    Context, Device, DeviceFacts, DevicePtr, Driver, DriverError, Event, Memory, Stream, Vmm,
};

const FIRST_ADDRESS: u64 = 1 << 32;
/// Where reserved addresses begin.
const FIRST_RESERVED: u64 = 1 << 34;
const PAGE: u64 = 2 << 20;

/// A handle of physical memory.
struct Physical {
    bytes: u64,
    /// Neither released nor only kept by its mapping.
    held: bool,
    mapped_at: Option<u64>,
}

/// What is mapped somewhere.
struct Mapping {
    bytes: u64,
    handle: u64,
    accessible: bool,
    /// Other devices than the first that may use it.
    peers: Vec<Device>,
}

#[derive(Default)]
struct Inside {
    calls: Vec<&'static str>,
    stack: Vec<Context>,
    memory: BTreeMap<u64, u64>,
    next_address: u64,
    reservations: BTreeMap<u64, u64>,
    physical: BTreeMap<u64, Physical>,
    mappings: BTreeMap<u64, Mapping>,
    next_reserved: u64,
    next_handle: u64,
    events: HashMap<usize, u64>,
    /// Moments submitted and reached.
    submitted: u64,
    reached: u64,
    /// That of the current context.
    device: i32,
    /// Bytes cached in the driver's own pools.
    driver_pools: u64,
    /// Bytes and sizes that memory was filled with.
    filled: Vec<(u8, u64)>,
    capturing: Vec<Stream>,
    invalidated: bool,
    relaxed: u32,
    /// The device finishes everything once it was asked for events so many times more.
    asks: Option<usize>,
    /// What the next call of a name returns instead of success.
    faults: Vec<(&'static str, DriverError)>,
    /// The same for a later call.
    later_faults: Vec<(&'static str, usize, DriverError)>,
}

impl Inside {
    fn taken(&self) -> u64 {
        let physical: u64 = self.physical.values().map(|physical| physical.bytes).sum();
        physical + self.memory.values().sum::<u64>() + self.driver_pools
    }

    fn drop_unused(&mut self, handle: u64) {
        if self.physical.get(&handle).is_some_and(|p| !p.held && p.mapped_at.is_none()) {
            self.physical.remove(&handle);
        }
    }
}

pub(crate) struct FakeDriver {
    inside: Mutex<Inside>,
    capacity: u64,
    context_events: bool,
    pageable: bool,
    vmm: bool,
    yields: bool,
    /// Held by a test to stop whoever records.
    pub(crate) recording: Mutex<()>,
    /// Held by a test to stop whoever frees.
    pub(crate) freeing: Mutex<()>,
}

impl FakeDriver {
    pub(crate) fn new(capacity: u64) -> Self {
        let inside = Inside {
            stack: vec![Context(0x10)],
            next_address: FIRST_ADDRESS,
            next_reserved: FIRST_RESERVED,
            ..Inside::default()
        };
        Self {
            inside: Mutex::new(inside),
            capacity,
            context_events: true,
            pageable: false,
            vmm: false,
            yields: false,
            recording: Mutex::new(()),
            freeing: Mutex::new(()),
        }
    }

    pub(crate) fn without_context_events(mut self) -> Self {
        self.context_events = false;
        self
    }

    pub(crate) fn with_pageable_access(mut self) -> Self {
        self.pageable = true;
        self
    }

    pub(crate) fn with_vmm(mut self) -> Self {
        self.vmm = true;
        self
    }

    /// Whoever calls lets other threads go first.
    pub(crate) fn that_yields(mut self) -> Self {
        self.yields = true;
        self
    }

    pub(crate) fn set_current(&self, context: Context) {
        self.inside.lock().stack = vec![context];
    }

    /// Makes a context of another device current.
    pub(crate) fn set_current_on(&self, device: Device, context: Context) {
        self.set_current(context);
        self.inside.lock().device = device.0;
    }

    /// Whether all of the mappings in a range may be used by another device than the first.
    pub(crate) fn opened_to(&self, device: Device, ptr: DevicePtr, bytes: u64) -> bool {
        let inside = self.inside.lock();
        let within = inside.mappings.range(..ptr.0 + bytes).filter(|(at, m)| *at + m.bytes > ptr.0);
        let mut within = within.peekable();
        within.peek().is_some() && within.all(|(_, mapping)| mapping.peers.contains(&device))
    }

    /// The program submits work: what is recorded from now on comes after it.
    pub(crate) fn submit(&self) {
        self.inside.lock().submitted += 1;
    }

    /// The device finishes everything.
    pub(crate) fn finish(&self) {
        let mut inside = self.inside.lock();
        inside.reached = inside.submitted;
    }

    /// The device finishes everything when it is asked for an event the next but `after` times.
    pub(crate) fn finish_when_asked(&self, after: usize) {
        self.inside.lock().asks = Some(after);
    }

    pub(crate) fn start_capture(&self, stream: Stream) -> i32 {
        self.inside.lock().capturing.push(stream);
        0
    }

    pub(crate) fn stop_capture(&self, stream: Stream) -> i32 {
        self.inside.lock().capturing.retain(|&s| s != stream);
        0
    }

    pub(crate) fn fail_next(&self, call: &'static str, error: DriverError) {
        self.inside.lock().faults.push((call, error));
    }

    /// A call of this name fails, but not the next `after` ones.
    pub(crate) fn fail_after(&self, call: &'static str, after: usize, error: DriverError) {
        self.inside.lock().later_faults.push((call, after, error));
    }

    pub(crate) fn forget_faults(&self) {
        let mut inside = self.inside.lock();
        inside.faults.clear();
        inside.later_faults.clear();
    }

    pub(crate) fn count(&self, call: &str) -> usize {
        self.inside.lock().calls.iter().filter(|&&c| c == call).count()
    }

    pub(crate) fn reserved(&self) -> u64 {
        self.inside.lock().taken()
    }

    /// Bytes that are mapped and may be used.
    pub(crate) fn accessible(&self) -> u64 {
        let inside = self.inside.lock();
        inside.mappings.values().filter(|mapping| mapping.accessible).map(|m| m.bytes).sum()
    }

    /// Whether all of a range is mapped and may be used.
    pub(crate) fn may_use(&self, ptr: DevicePtr, bytes: u64) -> bool {
        let inside = self.inside.lock();
        let mut at = ptr.0;
        while at < ptr.0 + bytes {
            match inside.mappings.range(..=at).next_back() {
                Some((start, mapping)) if mapping.accessible && start + mapping.bytes > at => {
                    at = start + mapping.bytes;
                }
                _ => return false,
            }
        }
        true
    }

    /// Handles that are neither released nor mapped: nobody would ever find them again.
    pub(crate) fn strays(&self) -> usize {
        let inside = self.inside.lock();
        inside.physical.values().filter(|physical| physical.mapped_at.is_none()).count()
    }

    /// Reserved ranges.
    pub(crate) fn reservations(&self) -> usize {
        self.inside.lock().reservations.len()
    }

    /// Bytes and sizes that memory was filled with.
    pub(crate) fn filled(&self) -> Vec<(u8, u64)> {
        self.inside.lock().filled.clone()
    }

    pub(crate) fn count_live(&self) -> usize {
        self.inside.lock().memory.len()
    }

    pub(crate) fn invalidated(&self) -> bool {
        self.inside.lock().invalidated
    }

    /// The driver's own pools cache so many bytes now.
    pub(crate) fn fill_driver_pools(&self, bytes: u64) {
        self.inside.lock().driver_pools = bytes;
    }

    /// Takes memory behind the pool's back, as another process would.
    pub(crate) fn forget_everything(&self) {
        let mut inside = self.inside.lock();
        inside.memory.clear();
        inside.next_address = FIRST_ADDRESS;
    }

    fn call(&self, name: &'static str) -> Result<parking_lot::MutexGuard<'_, Inside>, DriverError> {
        if self.yields {
            std::thread::yield_now();
        }
        let mut inside = self.inside.lock();
        inside.calls.push(name);
        if let Some(at) = inside.later_faults.iter().position(|&(call, ..)| call == name) {
            let (_, after, error) = inside.later_faults[at];
            match after.checked_sub(1) {
                Some(after) => inside.later_faults[at].1 = after,
                None => {
                    inside.later_faults.remove(at);
                    return Err(error);
                }
            }
        }
        match inside.faults.iter().position(|&(call, _)| call == name) {
            Some(at) => Err(inside.faults.remove(at).1),
            None => Ok(inside),
        }
    }

    fn outside_capture(inside: &mut Inside, relaxed_helps: bool) -> Result<(), DriverError> {
        if inside.capturing.is_empty() || (relaxed_helps && inside.relaxed > 0) {
            return Ok(());
        }
        inside.invalidated = true;
        Err(DriverError::STREAM_CAPTURE_UNSUPPORTED)
    }
}

impl Driver for FakeDriver {
    fn current_context(&self) -> Result<Option<Context>, DriverError> {
        Ok(self.call("current_context")?.stack.last().copied())
    }

    fn push_context(&self, context: Context) -> Result<(), DriverError> {
        self.call("push_context")?.stack.push(context);
        Ok(())
    }

    fn pop_context(&self) -> Result<(), DriverError> {
        self.call("pop_context")?.stack.pop();
        Ok(())
    }

    fn context_device(&self) -> Result<Device, DriverError> {
        Ok(Device(self.call("context_device")?.device))
    }

    fn synchronize(&self) -> Result<(), DriverError> {
        let mut inside = self.call("synchronize")?;
        Self::outside_capture(&mut inside, false)?;
        inside.reached = inside.submitted;
        Ok(())
    }

    fn device_facts(&self, _device: Device) -> Result<DeviceFacts, DriverError> {
        Ok(DeviceFacts {
            name: "fake".to_owned(),
            uuid: String::new(),
            total_bytes: self.capacity,
            pageable_access: self.pageable,
            vmm: self.vmm.then_some(Vmm { granularity: PAGE, shareable: true, rdma: false }),
        })
    }

    fn active_devices(&self) -> Vec<Device> {
        vec![Device(0)]
    }

    fn trim_driver_pools(&self, _device: Device) -> u64 {
        let mut inside = self.inside.lock();
        inside.calls.push("trim_driver_pools");
        std::mem::take(&mut inside.driver_pools)
    }

    fn allocate(&self, bytes: u64) -> Result<DevicePtr, DriverError> {
        let mut inside = self.call("allocate")?;
        Self::outside_capture(&mut inside, true)?;
        if bytes == 0 {
            return Err(DriverError::INVALID_VALUE);
        }
        if inside.taken().saturating_add(bytes) > self.capacity {
            return Err(DriverError::OUT_OF_MEMORY);
        }
        let address = inside.next_address;
        inside.next_address += bytes.next_multiple_of(512);
        inside.memory.insert(address, bytes);
        Ok(DevicePtr(address))
    }

    fn free(&self, ptr: DevicePtr) -> Result<(), DriverError> {
        let _freeing = self.freeing.lock();
        let mut inside = self.call("free")?;
        if ptr.0 == 0 {
            return Ok(());
        }
        Self::outside_capture(&mut inside, true)?;
        inside.reached = inside.submitted;
        inside.memory.remove(&ptr.0).map(drop).ok_or(DriverError::INVALID_VALUE)
    }

    fn create_stream(&self) -> Result<Stream, DriverError> {
        self.call("create_stream").map(|_| Stream(0x77))
    }

    fn fill(
        &self,
        _ptr: DevicePtr,
        byte: u8,
        bytes: u64,
        stream: Stream,
    ) -> Result<(), DriverError> {
        assert_eq!(stream, Stream(0x77));
        let mut inside = self.call("fill")?;
        inside.filled.push((byte, bytes));
        inside.submitted += 1;
        Ok(())
    }

    fn free_memory(&self) -> Result<u64, DriverError> {
        Ok(self.capacity - self.call("free_memory")?.taken())
    }

    fn reserve_addresses(&self, bytes: u64, alignment: u64) -> Result<DevicePtr, DriverError> {
        let mut inside = self.call("reserve_addresses")?;
        let start = inside.next_reserved.next_multiple_of(alignment.max(PAGE));
        inside.next_reserved = start + bytes;
        inside.reservations.insert(start, bytes);
        Ok(DevicePtr(start))
    }

    fn free_addresses(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        let mut inside = self.call("free_addresses")?;
        let used = inside.mappings.range(ptr.0..ptr.0 + bytes).next().is_some();
        if used || inside.reservations.get(&ptr.0) != Some(&bytes) {
            return Err(DriverError::INVALID_VALUE);
        }
        inside.reservations.remove(&ptr.0);
        Ok(())
    }

    fn create_memory(&self, _device: Device, _vmm: Vmm, bytes: u64) -> Result<Memory, DriverError> {
        let mut inside = self.call("create_memory")?;
        if bytes == 0 || !bytes.is_multiple_of(PAGE) {
            return Err(DriverError::INVALID_VALUE);
        }
        if inside.taken().saturating_add(bytes) > self.capacity {
            return Err(DriverError::OUT_OF_MEMORY);
        }
        inside.next_handle += 1;
        let handle = inside.next_handle;
        inside.physical.insert(handle, Physical { bytes, held: true, mapped_at: None });
        Ok(Memory(handle))
    }

    fn release_memory(&self, memory: Memory) -> Result<(), DriverError> {
        let mut inside = self.call("release_memory")?;
        let physical = inside.physical.get_mut(&memory.0).filter(|physical| physical.held);
        physical.ok_or(DriverError::INVALID_VALUE)?.held = false;
        inside.drop_unused(memory.0);
        Ok(())
    }

    fn map_memory(&self, ptr: DevicePtr, bytes: u64, memory: Memory) -> Result<(), DriverError> {
        let mut inside = self.call("map_memory")?;
        let around = inside.reservations.range(..=ptr.0).next_back();
        let reserved = around.is_some_and(|(start, length)| ptr.0 + bytes <= start + length);
        let below = inside.mappings.range(..ptr.0 + bytes).next_back();
        let taken = below.is_some_and(|(start, mapping)| start + mapping.bytes > ptr.0);
        let free = reserved && !taken && ptr.0.is_multiple_of(PAGE);
        let physical = inside.physical.get_mut(&memory.0);
        let physical = physical.filter(|p| free && p.bytes == bytes && p.mapped_at.is_none());
        physical.ok_or(DriverError::INVALID_VALUE)?.mapped_at = Some(ptr.0);
        inside.mappings.insert(
            ptr.0,
            Mapping { bytes, handle: memory.0, accessible: false, peers: Vec::new() },
        );
        Ok(())
    }

    fn allow_access(&self, device: Device, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        let mut inside = self.call("allow_access")?;
        let mut at = ptr.0;
        for (&start, mapping) in inside.mappings.range_mut(ptr.0..ptr.0 + bytes) {
            if start != at {
                return Err(DriverError::INVALID_VALUE);
            }
            match device {
                Device(0) => mapping.accessible = true,
                peer => mapping.peers.push(peer),
            }
            at += mapping.bytes;
        }
        if at == ptr.0 + bytes { Ok(()) } else { Err(DriverError::INVALID_VALUE) }
    }

    fn unmap_memory(&self, ptr: DevicePtr, bytes: u64) -> Result<(), DriverError> {
        let mut inside = self.call("unmap_memory")?;
        let found: Vec<u64> =
            inside.mappings.range(ptr.0..ptr.0 + bytes).map(|(&start, _)| start).collect();
        let whole: u64 = found.iter().map(|start| inside.mappings[start].bytes).sum();
        if found.first() != Some(&ptr.0) || whole != bytes {
            return Err(DriverError::INVALID_VALUE);
        }
        for start in found {
            let Some(mapping) = inside.mappings.remove(&start) else { continue };
            if let Some(physical) = inside.physical.get_mut(&mapping.handle) {
                physical.mapped_at = None;
            }
            inside.drop_unused(mapping.handle);
        }
        Ok(())
    }

    fn has_context_events(&self) -> bool {
        self.context_events
    }

    fn create_event(&self) -> Result<Event, DriverError> {
        let mut inside = self.call("create_event")?;
        let event = inside.events.len() + 1;
        inside.events.insert(event, 0);
        Ok(Event(event))
    }

    fn event_done(&self, event: Event) -> Result<bool, DriverError> {
        let mut inside = self.call("event_done")?;
        Self::outside_capture(&mut inside, true)?;
        inside.asks = match inside.asks {
            Some(0) => {
                inside.reached = inside.submitted;
                None
            }
            asks => asks.map(|asks| asks - 1),
        };
        Ok(inside.events[&event.0] <= inside.reached)
    }

    fn wait_event(&self, event: Event) -> Result<(), DriverError> {
        let mut inside = self.call("wait_event")?;
        Self::outside_capture(&mut inside, true)?;
        inside.reached = inside.reached.max(inside.events[&event.0]);
        Ok(())
    }

    fn record_context(&self, _context: Context, event: Event) -> Result<(), DriverError> {
        let _recording = self.recording.lock();
        let mut inside = self.call("record_context")?;
        Self::outside_capture(&mut inside, false)?;
        let now = inside.submitted;
        inside.events.insert(event.0, now);
        Ok(())
    }

    fn context_waits(&self, _context: Context, _event: Event) -> Result<(), DriverError> {
        let mut inside = self.call("context_waits")?;
        Self::outside_capture(&mut inside, false)
    }

    fn relax_capture_mode(&self) -> Result<i32, DriverError> {
        self.call("relax_capture_mode")?.relaxed += 1;
        Ok(0)
    }

    fn restore_capture_mode(&self, _mode: i32) -> Result<(), DriverError> {
        self.inside.lock().relaxed -= 1;
        Ok(())
    }

    fn is_capturing(&self, stream: Stream) -> Result<bool, DriverError> {
        Ok(self.inside.lock().capturing.contains(&stream))
    }
}
