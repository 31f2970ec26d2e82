//! A driver that is never what a benchmark waits for, unless it is told to take its time.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cupool::config::Options;
use cupool::driver::{
    Context, Device, DeviceFacts, DevicePtr, Driver, DriverError, Event, Memory, Stream, Vmm,
};
use cupool::pools::Pools;
use parking_lot::Mutex;

/// Pools on a driver that takes so long for each half of a fence, one thread at a time.
pub fn pools_on(fence: Duration, order: &str) -> Pools<Prompt> {
    let (options, warnings) = Options::parse(&format!("order:{order},max_idle:100%"), true);
    assert!(warnings.is_empty());
    Pools::new(Prompt { next: AtomicU64::new(1 << 40), fence, lock: Mutex::new(()) }, &options)
}

/// See the [module](self).
pub struct Prompt {
    next: AtomicU64,
    fence: Duration,
    lock: Mutex<()>,
}

impl Prompt {
    fn take_time(&self) {
        if !self.fence.is_zero() {
            let _lock = self.lock.lock();
            let begun = Instant::now();
            while begun.elapsed() < self.fence {
                spin_loop();
            }
        }
    }
}

impl Driver for Prompt {
    fn current_context(&self) -> Result<Option<Context>, DriverError> {
        Ok(Some(Context(1)))
    }
    fn push_context(&self, _: Context) -> Result<(), DriverError> {
        Ok(())
    }
    fn pop_context(&self) -> Result<(), DriverError> {
        Ok(())
    }
    fn context_device(&self) -> Result<Device, DriverError> {
        Ok(Device(0))
    }
    fn synchronize(&self) -> Result<(), DriverError> {
        Ok(())
    }
    fn device_facts(&self, _: Device) -> Result<DeviceFacts, DriverError> {
        Ok(DeviceFacts {
            name: String::new(),
            uuid: String::new(),
            total_bytes: 1 << 37,
            pageable_access: false,
            vmm: Some(Vmm { granularity: 2 << 20, shareable: false, rdma: false }),
        })
    }
    fn active_devices(&self) -> Vec<Device> {
        Vec::new()
    }
    fn trim_driver_pools(&self, _: Device) -> u64 {
        0
    }
    fn allocate(&self, bytes: u64) -> Result<DevicePtr, DriverError> {
        Ok(DevicePtr(self.next.fetch_add(bytes.next_multiple_of(1 << 21), Ordering::Relaxed)))
    }
    fn free(&self, _: DevicePtr) -> Result<(), DriverError> {
        Ok(())
    }
    fn reserve_addresses(&self, bytes: u64, _: u64) -> Result<DevicePtr, DriverError> {
        self.allocate(bytes)
    }
    fn free_addresses(&self, _: DevicePtr, _: u64) -> Result<(), DriverError> {
        Ok(())
    }
    fn create_memory(&self, _: Device, _: Vmm, _: u64) -> Result<Memory, DriverError> {
        Ok(Memory(1))
    }
    fn release_memory(&self, _: Memory) -> Result<(), DriverError> {
        Ok(())
    }
    fn map_memory(&self, _: DevicePtr, _: u64, _: Memory) -> Result<(), DriverError> {
        Ok(())
    }
    fn allow_access(&self, _: Device, _: DevicePtr, _: u64) -> Result<(), DriverError> {
        Ok(())
    }
    fn unmap_memory(&self, _: DevicePtr, _: u64) -> Result<(), DriverError> {
        Ok(())
    }
    fn has_context_events(&self) -> bool {
        true
    }
    fn create_event(&self) -> Result<Event, DriverError> {
        Ok(Event(1))
    }
    fn event_done(&self, _: Event) -> Result<bool, DriverError> {
        Ok(true)
    }
    fn wait_event(&self, _: Event) -> Result<(), DriverError> {
        Ok(())
    }
    fn record_context(&self, _: Context, _: Event) -> Result<(), DriverError> {
        self.take_time();
        Ok(())
    }
    fn context_waits(&self, _: Context, _: Event) -> Result<(), DriverError> {
        self.take_time();
        Ok(())
    }
    fn relax_capture_mode(&self) -> Result<i32, DriverError> {
        Ok(0)
    }
    fn restore_capture_mode(&self, _: i32) -> Result<(), DriverError> {
        Ok(())
    }
    fn is_capturing(&self, _: Stream) -> Result<bool, DriverError> {
        Ok(false)
    }
}
