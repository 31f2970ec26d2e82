//! Blocks of other processes that are mapped here, opened by handles of ours.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::{Held, Phase, Pools, Resident};
use crate::driver::{Context, Current, DevicePtr, Driver, DriverError, Memory, Relaxed};
use crate::ipc::{FetchError, Handle, Mapping};
use crate::order::Ordered;
use crate::stats::FlushReason;

/// Alignment of the addresses of an import, in bytes: the pages of every device with an arena.
const ALIGNMENT: u64 = 2 << 20;

/// A block of another process.
#[derive(Debug)]
struct Import {
    handle: [u8; Handle::BYTES],
    /// Where the program opened it.
    context: Context,
    mapping: Mapping,
    /// Opened and not closed so often.
    opened: u32,
}

/// All of them.
#[derive(Default)]
pub(super) struct Imports {
    open: Mutex<Vec<Import>>,
    /// How many are open; written under `open`. A program that imports nothing needs no lock to hear
    /// about its pointers.
    count: AtomicUsize,
    /// What could not be unmapped when it was closed, for a capture was under way.
    closed: Mutex<Vec<Import>>,
}

impl Imports {
    /// What is at `ptr`; `None` if nothing is imported there.
    pub(super) fn resident(&self, ptr: DevicePtr) -> Option<Resident> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let open = self.open.lock();
        let import = open.iter().find(|import| import.mapping.holds(ptr))?;
        let Mapping { start, bytes, .. } = import.mapping;
        Some(if ptr.0.wrapping_sub(start.0) < bytes {
            Resident::Block(Held { start, bytes, context: import.context, native: false })
        } else {
            // The exporter's, and none of the program's business here.
            Resident::Nothing { native: false }
        })
    }

    /// Changes the list of what is open.
    fn change<T>(&self, act: impl FnOnce(&mut Vec<Import>) -> T) -> T {
        let mut open = self.open.lock();
        let result = act(&mut open);
        self.count.store(open.len(), Ordering::Release);
        result
    }

    /// Opens an import once more than before.
    fn reopen(&self, handle: &[u8; Handle::BYTES], context: Context) -> Option<DevicePtr> {
        let mut open = self.open.lock();
        let known = |import: &&mut Import| import.handle == *handle && import.context == context;
        let import = open.iter_mut().find(known)?;
        import.opened += 1;
        Some(import.mapping.start)
    }
}

impl<D: Driver> Pools<D> {
    /// `cuIpcOpenMemHandle` in the current context, of a handle of ours. `import` makes memory of a
    /// descriptor. Opened again in the same context, the block is where it was, and has to be closed
    /// as often.
    ///
    /// # Errors
    /// `INVALID_CONTEXT` without a context; what [`FetchError`] says; those of the driver.
    pub fn open(
        &self,
        handle: &Handle,
        import: impl Fn(&OwnedFd) -> Result<Memory, DriverError>,
    ) -> Result<DevicePtr, DriverError> {
        let context = self.driver.current_context()?.ok_or(DriverError::INVALID_CONTEXT)?;
        if self.phase() != Phase::Open {
            return Err(DriverError::INVALID_VALUE);
        }
        self.unmap_closed();
        let bytes = handle.to_bytes();
        if let Some(start) = self.imports.reopen(&bytes, context) {
            return Ok(start);
        }
        // What closes it waits for the context's work as its pool does.
        let device = match self.table.of_context(context) {
            Some(pool) => pool.device,
            None => self.add_pool(context)?.device,
        };
        let _relaxed = Relaxed::enter(&self.driver);
        let fetch = || Mapping::fetch(&self.driver, device, ALIGNMENT, handle, &import);
        let mut fetched = fetch();
        if matches!(fetched, Err(FetchError::Refused(DriverError::OUT_OF_MEMORY)))
            && self.flush(FlushReason::OutOfMemory).released > 0
        {
            fetched = fetch();
        }
        let mapping = fetched.map_err(|error| {
            let process = handle.process;
            tracing::warn!("a CUDA IPC handle of process {process} cannot be opened: {error}");
            error.for_program()
        })?;
        if let Some(start) = self.imports.reopen(&bytes, context) {
            // Another thread was faster.
            mapping.unmap(&self.driver);
            return Ok(start);
        }
        let start = mapping.start;
        let import = Import { handle: bytes, context, mapping, opened: 1 };
        self.imports.change(|open| open.push(import));
        Ok(start)
    }

    /// `cuIpcCloseMemHandle`. `None` if nothing of ours was opened there.
    ///
    /// # Errors
    /// `INVALID_VALUE`, as the driver's, for an address inside a block.
    pub fn close_import(&self, ptr: DevicePtr) -> Option<Result<(), DriverError>> {
        let closed = self.imports.change(|open| {
            let at = open.iter().position(|import| import.mapping.holds(ptr))?;
            if open[at].mapping.start != ptr {
                return Some(Err(DriverError::INVALID_VALUE));
            }
            open[at].opened -= 1;
            Some(Ok((open[at].opened == 0).then(|| open.swap_remove(at))))
        })?;
        Some(closed.map(|closed| {
            self.imports.closed.lock().extend(closed);
            self.unmap_closed();
        }))
    }

    /// Unmaps what was closed, once the work that may use it is done; nothing during a capture, which
    /// the wait would invalidate.
    fn unmap_closed(&self) {
        let closed = std::mem::take(&mut *self.imports.closed.lock());
        for import in closed {
            if self.finish_work_of(import.context) {
                import.mapping.unmap(&self.driver);
            } else {
                self.imports.closed.lock().push(import);
            }
        }
    }

    /// Waits for all work of `context`. False if it must not be waited for now.
    fn finish_work_of(&self, context: Context) -> bool {
        let Some(pool) = self.table.of_context(context) else { return true };
        // A context that is ending waits itself, and unmaps then.
        let Some(_lease) = pool.lease.hold() else { return false };
        let _relaxed = Relaxed::enter(&self.driver);
        let Ok(_current) = Current::enter(&self.driver, context) else { return true };
        // After a fault nothing runs any more.
        let waited = pool.fences.synchronize(&self.driver, &self.captures);
        !matches!(waited, Ok(Ordered::Captured))
    }

    /// `context` is no more, nor is its work: what was opened there is unmapped.
    pub(super) fn end_imports(&self, context: Context) {
        let of_context = |imports: &mut Vec<Import>| -> Vec<Import> {
            imports.extract_if(.., |import| import.context == context).collect()
        };
        let mut ended = self.imports.change(of_context);
        ended.extend(of_context(&mut self.imports.closed.lock()));
        for import in ended {
            import.mapping.unmap(&self.driver);
        }
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use std::fs::File;
    use std::thread;

    use super::*;
    use crate::backing::Pieces;
    use crate::config::Options;
    use crate::driver::Vmm;
    use crate::fake::FakeDriver;
    use crate::ipc::{Key, Server};

    const MIB: u64 = 1 << 20;
    const CONTEXT: Context = Context(0x10);

    fn pools() -> Pools<FakeDriver> {
        Pools::new(FakeDriver::new(1024 * MIB).with_vmm(), &Options::defaults())
    }

    /// A block of another process of two pieces, served to as many importers as are given; calls `f`
    /// with its handle meanwhile.
    fn exported(importers: usize, f: impl FnOnce(Handle)) {
        let exporter = pools();
        let block = exporter.export(exporter.allocate(1000).unwrap()).unwrap();
        let key = Key::random().unwrap();
        let mut server = Server::listen(key).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..importers {
                    let importer = server.accept().unwrap().unwrap();
                    let memory = vec![(Memory(1), 2 * MIB), (Memory(2), 4 * MIB)];
                    let pieces = Pieces { memory, offset: 3 * MIB };
                    let find = |_, send: &mut dyn FnMut(&Pieces)| {
                        send(&pieces);
                        Some(())
                    };
                    let export = |_| Ok(File::open("/dev/null").unwrap().into());
                    server.answer(importer, find, export).unwrap();
                }
            });
            f(Handle { key, process: 1, block });
        });
    }

    fn open(pools: &Pools<FakeDriver>, handle: &Handle) -> Result<DevicePtr, DriverError> {
        let vmm = Vmm { granularity: 2 * MIB, shareable: true, rdma: false };
        let bytes = std::cell::Cell::new(2 * MIB);
        pools.open(handle, |_| {
            pools.driver().create_memory(crate::driver::Device(0), vmm, bytes.replace(4 * MIB))
        })
    }

    #[test]
    fn what_is_opened_is_the_block_alone() {
        exported(1, |handle| {
            let pools = pools();
            pools.allocate(MIB).unwrap();
            let reserved = pools.driver().count("reserve_addresses");
            let start = open(&pools, &handle).unwrap();
            assert_eq!(pools.driver().count("reserve_addresses"), reserved + 1);
            let held = Held { start, bytes: 1000, context: CONTEXT, native: false };
            let at = |offset: i64| pools.resident(DevicePtr(start.0.wrapping_add_signed(offset)));
            assert_eq!(at(999), Some(Resident::Block(held)));
            assert_eq!(at(1000), Some(Resident::Nothing { native: false }));
            assert_eq!(at(-1), Some(Resident::Nothing { native: false }));
            assert_eq!(open(&pools, &handle), Ok(start), "without asking again");
            assert_eq!(pools.export(start), None, "it is not ours to export");
            let unmapped = pools.driver().count("unmap_memory");
            assert_eq!(pools.close_import(start), Some(Ok(())));
            assert_eq!(pools.driver().count("unmap_memory"), unmapped);
            assert_eq!(pools.close_import(start), Some(Ok(())));
            assert_eq!(pools.driver().count("unmap_memory"), unmapped + 2);
            assert_eq!((at(0), pools.close_import(start)), (None, None));
        });
    }

    #[test]
    fn what_is_open_ends_with_its_context() {
        exported(1, |handle| {
            let pools = pools();
            open(&pools, &handle).unwrap();
            pools.context_ended(CONTEXT);
            assert_eq!(pools.driver().reservations(), 0);
            assert_eq!(pools.driver().reserved(), 0);
        });
    }

    #[test]
    fn a_failure_leaves_nothing() {
        for call in ["create_memory", "map_memory", "allow_access", "reserve_addresses"] {
            exported(1, |handle| {
                let pools = pools();
                pools.add_pool(CONTEXT).unwrap();
                pools.driver().fail_next(call, DriverError::NOT_SUPPORTED);
                assert_eq!(open(&pools, &handle), Err(DriverError::NOT_SUPPORTED), "{call}");
                assert_eq!(pools.driver().reservations(), 1, "{call}: the pool's own");
                assert_eq!(pools.driver().reserved(), 0, "{call}");
            });
        }
    }
}
