//! A driver for unit tests: it does what it is told and remembers what it was asked.
//!
//! The device is a clock that only moves when a test moves it, or when the host waits. Every record
//! takes the moment of its submission; an event is done once the clock has passed it.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

use crate::driver::{Context, Device, DeviceFacts, DevicePtr, Driver, DriverError, Event, Stream};

const FIRST_ADDRESS: u64 = 1 << 32;

#[derive(Default)]
struct Inside {
    calls: Vec<&'static str>,
    stack: Vec<Context>,
    memory: BTreeMap<u64, u64>,
    next_address: u64,
    events: HashMap<usize, u64>,
    /// Moments submitted and reached.
    submitted: u64,
    reached: u64,
    capturing: Vec<Stream>,
    invalidated: bool,
    relaxed: u32,
    /// What the next call of a name returns instead of success.
    faults: Vec<(&'static str, DriverError)>,
}

pub(crate) struct FakeDriver {
    inside: Mutex<Inside>,
    capacity: u64,
    context_events: bool,
    pageable: bool,
    /// Held by a test to stop whoever records.
    pub(crate) recording: Mutex<()>,
    /// Held by a test to stop whoever frees.
    pub(crate) freeing: Mutex<()>,
}

impl FakeDriver {
    pub(crate) fn new(capacity: u64) -> Self {
        let inside =
            Inside { stack: vec![Context(0x10)], next_address: FIRST_ADDRESS, ..Inside::default() };
        Self {
            inside: Mutex::new(inside),
            capacity,
            context_events: true,
            pageable: false,
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

    pub(crate) fn set_current(&self, context: Context) {
        self.inside.lock().stack = vec![context];
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

    pub(crate) fn count(&self, call: &str) -> usize {
        self.inside.lock().calls.iter().filter(|&&c| c == call).count()
    }

    pub(crate) fn reserved(&self) -> u64 {
        self.inside.lock().memory.values().sum()
    }

    pub(crate) fn count_live(&self) -> usize {
        self.inside.lock().memory.len()
    }

    pub(crate) fn invalidated(&self) -> bool {
        self.inside.lock().invalidated
    }

    /// Takes memory behind the pool's back, as another process would.
    pub(crate) fn forget_everything(&self) {
        let mut inside = self.inside.lock();
        inside.memory.clear();
        inside.next_address = FIRST_ADDRESS;
    }

    fn call(&self, name: &'static str) -> Result<parking_lot::MutexGuard<'_, Inside>, DriverError> {
        let mut inside = self.inside.lock();
        inside.calls.push(name);
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
        drop(self.call("context_device")?);
        Ok(Device(0))
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
            vmm: false,
        })
    }

    fn allocate(&self, bytes: u64) -> Result<DevicePtr, DriverError> {
        let mut inside = self.call("allocate")?;
        Self::outside_capture(&mut inside, true)?;
        if bytes == 0 {
            return Err(DriverError::INVALID_VALUE);
        }
        if inside.memory.values().sum::<u64>().saturating_add(bytes) > self.capacity {
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
        self.inside.lock().relaxed += 1;
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
