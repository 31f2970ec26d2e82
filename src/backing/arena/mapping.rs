//! Carrying out what was planned: the driver calls of an arena, and what is left when one fails.

use std::ops::Range;

use super::handles::Handle;
use super::loose::Loose;
use super::plan::Plan;
use crate::driver::{Device, DevicePtr, Driver, DriverError, Vmm};

/// Where an arena is, and what it is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapper {
    pub(super) device: Device,
    pub(super) vmm: Vmm,
    pub(super) base: DevicePtr,
}

/// A plan that was not carried out. All that it had made is released again, but for what the driver
/// refused to take back.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: DriverError,
    /// So many of the handles that were to move are gone.
    pub(super) lost: usize,
    /// What the driver would not take back.
    pub(super) left: Vec<Loose>,
}

impl Mapper {
    fn address(&self, page: u32) -> DevicePtr {
        DevicePtr(self.base.0 + u64::from(page) * self.vmm.granularity)
    }

    /// So many pages in bytes.
    pub(super) fn bytes(&self, pages: u32) -> u64 {
        u64::from(pages) * self.vmm.granularity
    }

    /// `cuMemUnmap` of the pages of one handle.
    pub(super) fn unmap<D: Driver>(
        &self,
        driver: &D,
        pages: &Range<u32>,
    ) -> Result<(), DriverError> {
        driver.unmap_memory(self.address(pages.start), self.bytes(pages.end - pages.start))
    }

    /// `cuMemSetAccess` of a handle, for another device than its own.
    pub(super) fn open<D: Driver>(
        &self,
        driver: &D,
        device: Device,
        handle: &Handle,
    ) -> Result<(), DriverError> {
        driver.allow_access(device, self.address(handle.at), self.bytes(handle.pages))
    }

    /// Maps the gap of `plan`, also for `peers`, and gives the handles behind it.
    ///
    /// What can fail for lack of memory comes first, before anything has moved.
    pub(super) fn carry_out<D: Driver>(
        &self,
        driver: &D,
        plan: &Plan,
        peers: &[Device],
    ) -> Result<Vec<Handle>, Failure> {
        let mut fresh = Vec::with_capacity(plan.fresh.len());
        for &pages in &plan.fresh {
            match driver.create_memory(self.device, self.vmm, self.bytes(pages)) {
                Ok(memory) => fresh.push(Loose::unmapped(memory, pages)),
                Err(error) => return Err(self.give_up(driver, error, 0, fresh)),
            }
        }
        let mut handles = Vec::with_capacity(plan.moved.len() + fresh.len());
        for (lost, handle) in plan.moved.iter().enumerate() {
            if let Err(error) = self.unmap(driver, &handle.range()) {
                let made = handles.into_iter().chain(fresh).collect();
                return Err(self.give_up(driver, error, lost, made));
            }
            handles.push(Loose::unmapped(handle.memory, handle.pages));
        }
        handles.append(&mut fresh);
        let mut at = plan.gap.start;
        let mut result = Ok(());
        for handle in &mut handles {
            result = driver.map_memory(self.address(at), self.bytes(handle.pages), handle.memory);
            if result.is_err() {
                break;
            }
            handle.at = Some(at);
            at += handle.pages;
        }
        if result.is_ok() {
            let gap = self.bytes(plan.gap.end - plan.gap.start);
            let mut devices = std::iter::once(self.device).chain(peers.iter().copied());
            let at = self.address(plan.gap.start);
            result = devices.try_for_each(|device| driver.allow_access(device, at, gap));
        }
        match result {
            Ok(()) => Ok(handles.iter().filter_map(Loose::mapped).collect()),
            Err(error) => Err(self.give_up(driver, error, plan.moved.len(), handles)),
        }
    }

    /// Gives back what was made.
    fn give_up<D: Driver>(
        &self,
        driver: &D,
        error: DriverError,
        lost: usize,
        made: Vec<Loose>,
    ) -> Failure {
        let left = made.into_iter().filter_map(|handle| handle.give_back(self, driver)).collect();
        Failure { error, lost, left }
    }
}
