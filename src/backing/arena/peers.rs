//! Other devices that may use an arena's memory.
//!
//! Each is entered in the books before what is mapped already is opened to it: whoever maps something
//! at that moment finds it there afterwards.

use super::Arena;
use super::books::Books;
use super::handles::Handle;
use crate::backing::Block;
use crate::driver::{Device, Driver, DriverError};
use crate::order::Stamp;

impl Books {
    /// The peers that were not among `known`.
    pub(super) fn peers_beside(&self, known: &[Device]) -> Vec<Device> {
        self.peers.iter().copied().filter(|device| !known.contains(device)).collect()
    }

    /// Whether that handle still stands where it stood.
    fn stands(&self, handle: &Handle) -> bool {
        self.handles.all().any(|other| (other.memory, other.at) == (handle.memory, handle.at))
    }
}

impl Arena {
    /// From now on `device` may use all memory of the arena.
    ///
    /// # Errors
    /// Those of the driver: then it may not rely on any of it.
    pub(super) fn open<D: Driver>(&self, driver: &D, device: Device) -> Result<(), DriverError> {
        {
            let mut books = self.books.lock();
            if device == self.mapper.device || books.peers.contains(&device) {
                return Ok(());
            }
            books.peers.push(device);
        }
        let opened = self.open_handles(driver, device);
        if opened.is_err() {
            self.books.lock().peers.retain(|&other| other != device);
        }
        opened
    }

    /// Opens what is in the books.
    fn open_handles<D: Driver>(&self, driver: &D, device: Device) -> Result<(), DriverError> {
        let handles: Vec<Handle> = self.books.lock().handles.all().copied().collect();
        for handle in &handles {
            let opened = self.mapper.open(driver, device, handle);
            // It may have been given back or moved meanwhile; who moves it opens it.
            if opened.is_err() && self.books.lock().stands(handle) {
                return opened;
            }
        }
        Ok(())
    }

    /// Opens what was in neither books nor sight when these devices were entered, and hands on the
    /// `result` of mapping it.
    pub(super) fn open_late<D: Driver>(
        &self,
        driver: &D,
        late: &[Device],
        result: Result<Option<Block>, DriverError>,
    ) -> Result<Option<Block>, DriverError> {
        for &device in late {
            if let Err(error) = self.open_handles(driver, device) {
                if let Ok(Some(block)) = &result {
                    self.books.lock().give(block.token, Stamp::QUIESCED);
                }
                return Err(error);
            }
        }
        result
    }
}
