//! `cuMemset…` and stream writes.

use crate::error::{Api, Error};
use crate::hazard::{Access, Range, Touch};
use crate::state::{self, Sim};
use crate::stream;
use crate::timeline::{Request, Work};

/// Elements of 1, 2 or 4 bytes, in rows.
#[derive(Clone)]
pub struct Pattern {
    address: u64,
    pitch: u64,
    element: Vec<u8>,
    width: u64,
    height: u64,
}

impl Pattern {
    /// Fills.
    pub fn run(&self, sim: &mut Sim) {
        for number in 0..self.height {
            sim.fill(self.address + number * self.pitch, &self.element, self.width);
        }
    }

    fn touches(&self) -> Vec<Touch> {
        let bytes = self.width * self.element.len() as u64;
        (0..self.height)
            .map(|number| Range::new(self.address + number * self.pitch, bytes))
            .map(|range| Touch { range, access: Access::Write })
            .collect()
    }
}

fn submit(name: &str, pattern: Pattern, handle: usize) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    if pattern.width == 0 || pattern.height == 0 {
        return Ok(());
    }
    if !pattern.address.is_multiple_of(pattern.element.len() as u64) || pattern.address == 0 {
        return Err(Error::INVALID_VALUE);
    }
    let what = format!("{name}({:#x})", pattern.address);
    let request = Request::new(what, pattern.touches(), Work::Fill(pattern));
    stream::submit(&mut sim, stream, request).map(drop)
}

fn row(address: u64, element: &[u8], count: usize) -> Pattern {
    Pattern { address, pitch: 0, element: element.to_vec(), width: count as u64, height: 1 }
}

/// `cuMemsetD8_v2`: like the other fills of device memory, the host does not wait for it.
pub fn d8(address: u64, value: u8, count: usize) -> Api {
    d8_async(address, value, count, 0)
}

/// `cuMemsetD16_v2`
pub fn d16(address: u64, value: u16, count: usize) -> Api {
    d16_async(address, value, count, 0)
}

/// `cuMemsetD32_v2`
pub fn d32(address: u64, value: u32, count: usize) -> Api {
    d32_async(address, value, count, 0)
}

/// `cuMemsetD8Async`
pub fn d8_async(address: u64, value: u8, count: usize, stream: usize) -> Api {
    submit("cuMemsetD8", row(address, &[value], count), stream)
}

/// `cuMemsetD16Async`
pub fn d16_async(address: u64, value: u16, count: usize, stream: usize) -> Api {
    submit("cuMemsetD16", row(address, &value.to_ne_bytes(), count), stream)
}

/// `cuMemsetD32Async`
pub fn d32_async(address: u64, value: u32, count: usize, stream: usize) -> Api {
    submit("cuMemsetD32", row(address, &value.to_ne_bytes(), count), stream)
}

/// `cuMemsetD2D8_v2`
pub fn d2d8(address: u64, pitch: usize, value: u8, width: usize, height: usize) -> Api {
    d2d8_async(address, pitch, value, width, height, 0)
}

/// `cuMemsetD2D8Async`
pub fn d2d8_async(
    address: u64,
    pitch: usize,
    value: u8,
    width: usize,
    height: usize,
    stream: usize,
) -> Api {
    let (pitch, width, height) = (pitch as u64, width as u64, height as u64);
    submit("cuMemsetD2D8", Pattern { address, pitch, element: vec![value], width, height }, stream)
}

/// `cuStreamWriteValue32_v2`
pub fn write_value_32(stream: usize, address: u64, value: u32, _flags: u32) -> Api {
    submit("cuStreamWriteValue32", row(address, &value.to_ne_bytes(), 1), stream)
}

/// `cuStreamWaitValue32_v2`: equal (1) or, cyclically, greater or equal (0).
pub fn wait_value_32(handle: usize, address: u64, value: u32, flags: u32) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    let at_least = match flags & 3 {
        0 => true,
        1 => false,
        _ => return Err(Error::NOT_SUPPORTED),
    };
    let touch = Touch { range: Range::new(address, 4), access: Access::Poll };
    let what = format!("cuStreamWaitValue32({address:#x}, {value})");
    let work = Work::WaitValue { address, value, at_least };
    stream::submit(&mut sim, stream, Request::new(what, vec![touch], work)).map(drop)
}
