//! Handles that belong to no place: those being made, and those of which the driver has refused a
//! part of the way back. The latter are nobody's, and still take their room on the device.

use super::handles::Handle;
use super::mapping::Mapper;
use crate::driver::{Driver, Memory};

/// Such a handle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loose {
    pub(super) memory: Memory,
    pub(super) pages: u32,
    /// The first page where it is mapped, if it is.
    pub(super) at: Option<u32>,
    /// Not released yet.
    pub(super) held: bool,
}

impl From<&Handle> for Loose {
    fn from(handle: &Handle) -> Self {
        Self { memory: handle.memory, pages: handle.pages, at: Some(handle.at), held: true }
    }
}

impl Loose {
    /// `memory` of so many pages, mapped nowhere.
    pub(super) fn unmapped(memory: Memory, pages: u32) -> Self {
        Self { memory, pages, at: None, held: true }
    }

    /// The handle that it is, if it is mapped.
    pub(super) fn mapped(&self) -> Option<Handle> {
        Some(Handle::new(self.memory, self.at?, self.pages))
    }

    /// Gives it back to the driver. What that refuses is left.
    pub(super) fn give_back<D: Driver>(mut self, mapper: &Mapper, driver: &D) -> Option<Self> {
        if let Some(at) = self.at
            && mapper.unmap(driver, &(at..at + self.pages)).is_ok()
        {
            self.at = None;
        }
        // Also if it is still mapped: then the mapping alone keeps it.
        if self.held && driver.release_memory(self.memory).is_ok() {
            self.held = false;
        }
        (self.at.is_some() || self.held).then_some(self)
    }
}
