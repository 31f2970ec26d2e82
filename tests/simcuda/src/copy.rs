//! Copies.

use std::sync::Arc;

use crate::abi::{Copy2d, In};
use crate::context;
use crate::engine;
use crate::error::{Api, Error};
use crate::hazard::{self, Access, Range, Touch};
use crate::memory::Kind;
use crate::state::{self, Locked, Sim};
use crate::stream;
use crate::timeline::{Request, Work};

/// Where bytes come from.
#[derive(Clone)]
pub enum Source {
    /// Memory, read when the copy runs.
    Address(u64),
    /// Taken from pageable memory when the copy was submitted, as the driver stages it.
    Staged(Arc<[u8]>),
}

/// Bytes in a row.
#[derive(Clone)]
pub struct Row {
    from: Source,
    to: u64,
    bytes: u64,
}

impl Row {
    /// Copies.
    pub fn run(&self, sim: &mut Sim) {
        match &self.from {
            Source::Address(from) => sim.copy(*from, self.to, self.bytes),
            Source::Staged(content) => sim.write(self.to, content),
        }
    }
}

/// What the driver makes of an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Device memory.
    Device,
    /// Host memory that the device reaches.
    Pinned,
    /// Any other host memory.
    Pageable,
}

fn place(sim: &Sim, what: &str, range: Range) -> Place {
    if sim.is_device_address(range.start) {
        if !sim.memory.covers(range) {
            hazard::report(&[
                "memory used that is not allocated",
                &format!("{what}, {:#x}..{:#x}", range.start, range.end),
            ]);
        }
        return Place::Device;
    }
    match sim.memory.around(range.start) {
        Some((_, block)) if block.kind == Kind::Managed => Place::Device,
        Some(_) => Place::Pinned,
        None => Place::Pageable,
    }
}

/// Rectangles: rows at constant distances. A plain copy has one row.
struct Shape {
    from: u64,
    from_pitch: u64,
    to: u64,
    to_pitch: u64,
    width: u64,
    height: u64,
}

impl Shape {
    /// Rows without gaps are one row.
    fn joined(&self) -> Self {
        if self.from_pitch == self.width && self.to_pitch == self.width {
            Self { width: self.width * self.height, height: self.height.min(1), ..*self }
        } else {
            Self { ..*self }
        }
    }
}

fn linear(from: u64, to: u64, bytes: usize) -> Shape {
    let width = bytes as u64;
    Shape { from, from_pitch: width, to, to_pitch: width, width, height: 1 }
}

/// When the host goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    /// `cuMemcpy…`
    Waits,
    /// `cuMemcpy…Async`
    GoesOn,
}

fn copy(name: &str, shape: &Shape, handle: usize, host: Host) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    let Shape { from, from_pitch, to, to_pitch, width, height } = shape.joined();
    if width == 0 || height == 0 {
        return Ok(());
    }
    if from == 0 || to == 0 {
        return Err(Error::INVALID_VALUE);
    }
    let what = format!("{name}(to {to:#x}, from {from:#x}, {width} bytes, {height} rows)");
    let source = place(&sim, &what, Range::new(from, width));
    let target = place(&sim, &what, Range::new(to, width));
    let capturing = sim.streams[&stream].capture.is_some();
    if capturing && host == Host::Waits {
        return crate::capture::refuse_capturing(&mut sim, stream);
    }
    let staged = source == Place::Pageable && target == Place::Device && !capturing;
    if staged && host == Host::Waits {
        // Documented: the stream is synchronised before a copy from pageable memory begins.
        let before = stream::position(&mut sim, stream);
        engine::wait(&mut sim, &before);
    }
    let mut rows = Vec::new();
    let mut touches = Vec::new();
    for row in 0..height {
        let (from, to) = (from + row * from_pitch, to + row * to_pitch);
        if source != Place::Pageable {
            touches.push(Touch { range: Range::new(from, width), access: Access::Read });
        }
        if target != Place::Pageable {
            touches.push(Touch { range: Range::new(to, width), access: Access::Write });
        }
        let content = |sim: &Sim| Source::Staged(sim.read(from, width).into());
        let from = if staged { content(&sim) } else { Source::Address(from) };
        rows.push(Row { from, to, bytes: width });
    }
    let request = Request::new(what, touches, Work::Copy(rows));
    let Some(done) = stream::submit(&mut sim, stream, request)? else { return Ok(()) };
    let returns_early = match host {
        Host::GoesOn => target != Place::Pageable,
        Host::Waits => staged || (source == Place::Device && target == Place::Device),
    };
    if !returns_early {
        engine::wait(&mut sim, &done);
    }
    report_fault(&sim, stream)
}

fn report_fault(sim: &Locked, stream: usize) -> Api {
    sim.streams
        .get(&stream)
        .map_or(Err(Error::CONTEXT_IS_DESTROYED), |found| context::check_fault(sim, found.context))
}

/// `cuMemcpy`
pub fn unified(to: u64, from: u64, bytes: usize) -> Api {
    copy("cuMemcpy", &linear(from, to, bytes), 0, Host::Waits)
}

/// `cuMemcpyAsync`
pub fn unified_async(to: u64, from: u64, bytes: usize, stream: usize) -> Api {
    copy("cuMemcpyAsync", &linear(from, to, bytes), stream, Host::GoesOn)
}

/// `cuMemcpyHtoD_v2`
pub fn host_to_device(to: u64, from: In<u8>, bytes: usize) -> Api {
    copy("cuMemcpyHtoD", &linear(from.address(), to, bytes), 0, Host::Waits)
}

/// `cuMemcpyHtoDAsync_v2`
pub fn host_to_device_async(to: u64, from: In<u8>, bytes: usize, stream: usize) -> Api {
    copy("cuMemcpyHtoDAsync", &linear(from.address(), to, bytes), stream, Host::GoesOn)
}

/// `cuMemcpyDtoH_v2`
pub fn device_to_host(to: u64, from: u64, bytes: usize) -> Api {
    copy("cuMemcpyDtoH", &linear(from, to, bytes), 0, Host::Waits)
}

/// `cuMemcpyDtoHAsync_v2`
pub fn device_to_host_async(to: u64, from: u64, bytes: usize, stream: usize) -> Api {
    copy("cuMemcpyDtoHAsync", &linear(from, to, bytes), stream, Host::GoesOn)
}

/// `cuMemcpyDtoD_v2`
pub fn device_to_device(to: u64, from: u64, bytes: usize) -> Api {
    copy("cuMemcpyDtoD", &linear(from, to, bytes), 0, Host::Waits)
}

/// `cuMemcpyDtoDAsync_v2`
pub fn device_to_device_async(to: u64, from: u64, bytes: usize, stream: usize) -> Api {
    copy("cuMemcpyDtoDAsync", &linear(from, to, bytes), stream, Host::GoesOn)
}

/// `cuMemcpyPeer`
pub fn peer(to: u64, _to_context: usize, from: u64, _from_context: usize, bytes: usize) -> Api {
    unified(to, from, bytes)
}

/// `cuMemcpyPeerAsync`
pub fn peer_async(
    to: u64,
    _to_context: usize,
    from: u64,
    _from_context: usize,
    bytes: usize,
    stream: usize,
) -> Api {
    unified_async(to, from, bytes, stream)
}

/// `CU_MEMORYTYPE_HOST`
const TYPE_HOST: u32 = 1;
/// `CU_MEMORYTYPE_ARRAY`
const TYPE_ARRAY: u32 = 3;

fn rectangle(copy: &Copy2d) -> Api<Shape> {
    if copy.src_type == TYPE_ARRAY || copy.dst_type == TYPE_ARRAY {
        return Err(Error::NOT_SUPPORTED);
    }
    let place = |kind: u32, host: u64, device: u64, x: usize, y: usize, pitch: usize| {
        (if kind == TYPE_HOST { host } else { device }) + (x + y * pitch) as u64
    };
    let one_row = copy.height <= 1;
    let good = |pitch: usize| pitch >= copy.width || one_row;
    if !good(copy.src_pitch) || !good(copy.dst_pitch) {
        return Err(Error::INVALID_VALUE);
    }
    Ok(Shape {
        from: place(
            copy.src_type,
            copy.src_host,
            copy.src_device,
            copy.src_x,
            copy.src_y,
            copy.src_pitch,
        ),
        from_pitch: copy.src_pitch as u64,
        to: place(
            copy.dst_type,
            copy.dst_host,
            copy.dst_device,
            copy.dst_x,
            copy.dst_y,
            copy.dst_pitch,
        ),
        to_pitch: copy.dst_pitch as u64,
        width: copy.width as u64,
        height: copy.height as u64,
    })
}

/// `cuMemcpy2D_v2`, `cuMemcpy2DUnaligned_v2`
pub fn two_dimensional(parameters: In<Copy2d>) -> Api {
    copy("cuMemcpy2D", &rectangle(&parameters.get()?)?, 0, Host::Waits)
}

/// `cuMemcpy2DAsync_v2`
pub fn two_dimensional_async(parameters: In<Copy2d>, stream: usize) -> Api {
    copy("cuMemcpy2DAsync", &rectangle(&parameters.get()?)?, stream, Host::GoesOn)
}

/// `cuMemPrefetchAsync`: nothing moves here.
pub fn prefetch(_pointer: u64, _bytes: usize, _device: i32, stream: usize) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, stream)?;
    let request = Request::new("cuMemPrefetchAsync", Vec::new(), Work::Nothing);
    stream::submit(&mut sim, stream, request).map(drop)
}
