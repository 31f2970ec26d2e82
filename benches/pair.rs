//! The pool's own part of a malloc and free pair: everything but the driver.
//!
//! `cargo bench -p cupool`. The driver here answers at once, so what is measured is what cupool adds
//! to the driver calls of its order. Times are of this machine's CPU; no GPU is involved.

use std::sync::atomic::{AtomicU64, Ordering};

use cupool::config::Options;
use cupool::driver::{
    Context, Device, DeviceFacts, DevicePtr, Driver, DriverError, Event, Memory, Stream, Vmm,
};
use cupool::pools::Pools;

fn main() {
    divan::main();
}

#[divan::bench(sample_size = 1000, args = ["unordered", "fence", "strict", "lazy"])]
fn pair(bencher: divan::Bencher, order: &str) {
    let pools = pools(order);
    bencher.bench_local(|| pools.free(pools.allocate(1 << 20).unwrap()));
}

#[divan::bench(sample_size = 1000, args = [100, 10_000, 100_000])]
fn pair_among_live_blocks(bencher: divan::Bencher, blocks: u64) {
    let pools = pools("fence");
    for block in 0..blocks {
        pools.allocate(512 * (1 + block % 4096)).unwrap();
    }
    bencher.bench_local(|| pools.free(pools.allocate(3 << 20).unwrap()));
}

#[divan::bench(sample_size = 1000, args = [1, 100, 4096])]
fn pair_among_idle_sizes(bencher: divan::Bencher, sizes: u64) {
    let pools = pools("fence");
    let held: Vec<_> = (1..=sizes).map(|n| pools.allocate(n << 21).unwrap()).collect();
    for ptr in held {
        pools.free(ptr).unwrap();
    }
    bencher.bench_local(|| pools.free(pools.allocate(sizes << 20).unwrap()));
}

#[divan::bench(sample_size = 1000, threads = [1, 2, 4])]
fn pair_on_threads(bencher: divan::Bencher) {
    let pools = pools("fence");
    bencher.bench(|| pools.free(pools.allocate(1 << 20).unwrap()));
}

fn pools(order: &str) -> Pools<Instant> {
    let (options, warnings) = Options::parse(&format!("order:{order},max_idle:100%"), true);
    assert!(warnings.is_empty());
    Pools::new(Instant { next: AtomicU64::new(1 << 40) }, &options)
}

/// A driver that answers at once.
struct Instant {
    next: AtomicU64,
}

impl Driver for Instant {
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
            total_bytes: 1 << 40,
            pageable_access: false,
            vmm: Some(Vmm { granularity: 2 << 20, shareable: false, rdma: false }),
        })
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
        Ok(())
    }
    fn context_waits(&self, _: Context, _: Event) -> Result<(), DriverError> {
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
