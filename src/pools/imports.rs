//! Blocks of other processes that are mapped here, opened by handles of ours.

use std::os::fd::OwnedFd;

use parking_lot::Mutex;

use super::{Held, Phase, Pools, Resident};
use crate::driver::{Context, Current, DevicePtr, Driver, DriverError, Memory, Relaxed};
use crate::ipc::{Handle, Mapping};
use crate::order::Ordered;

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
    /// What could not be unmapped when it was closed, for a capture was under way.
    closed: Mutex<Vec<Import>>,
}

impl Imports {
    /// What is at `ptr`; `None` if nothing is imported there.
    pub(super) fn resident(&self, ptr: DevicePtr) -> Option<Resident> {
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
    /// `INVALID_CONTEXT` without a context; what [`FetchError`](crate::ipc::FetchError) says; those of the driver.
    pub fn open(
        &self,
        handle: &Handle,
        import: impl Fn(&OwnedFd) -> Result<Memory, DriverError>,
    ) -> Result<DevicePtr, DriverError> {
        let context = self.driver.current_context()?.ok_or(DriverError::INVALID_CONTEXT)?;
        if self.phase() != Phase::Open {
            return Err(DriverError::NOT_SUPPORTED);
        }
        self.unmap_closed();
        let bytes = handle.to_bytes();
        if let Some(start) = self.imports.reopen(&bytes, context) {
            return Ok(start);
        }
        // What closes it waits for the context's work as its pool does.
        let device = self.add_pool(context)?.device;
        let _relaxed = Relaxed::enter(&self.driver);
        let fetched = Mapping::fetch(&self.driver, device, ALIGNMENT, handle, import);
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
        self.imports.open.lock().push(import);
        Ok(start)
    }

    /// `cuIpcCloseMemHandle`. `None` if nothing of ours was opened there.
    ///
    /// # Errors
    /// `INVALID_VALUE`, as the driver's, for an address inside a block.
    pub fn close_import(&self, ptr: DevicePtr) -> Option<Result<(), DriverError>> {
        let closed = {
            let mut open = self.imports.open.lock();
            let at = open.iter().position(|import| import.mapping.holds(ptr))?;
            if open[at].mapping.start != ptr {
                return Some(Err(DriverError::INVALID_VALUE));
            }
            open[at].opened -= 1;
            if open[at].opened > 0 {
                return Some(Ok(()));
            }
            open.swap_remove(at)
        };
        self.imports.closed.lock().push(closed);
        self.unmap_closed();
        Some(Ok(()))
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
        for imports in [&self.imports.open, &self.imports.closed] {
            let ended = |import: &mut Import| import.context == context;
            let ended: Vec<Import> = imports.lock().extract_if(.., ended).collect();
            for import in ended {
                import.mapping.unmap(&self.driver);
            }
        }
    }
}
