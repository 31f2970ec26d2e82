//! Arguments as they cross the C boundary, and the driver's structures.
//!
//! [`Out`], [`In`] and [`Text`] have the layout of C pointers. They come into being only as
//! arguments of an exported function, so a value of theirs is what the CUDA driver's
//! documentation says the caller passes: NULL, or a pointer good for the call. That is the one
//! assumption behind this module's `unsafe` blocks, and it lets the rooms do without any.

use std::ffi::{CStr, c_char, c_void};

use crate::error::{Api, Error};

/// Where the caller wants a result.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    /// Stores a result.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for NULL.
    pub fn set(self, value: T) -> Api {
        if self.0.is_null() {
            return Err(Error::INVALID_VALUE);
        }
        // SAFETY: not NULL, hence good for a write (module documentation); possibly unaligned.
        unsafe { self.0.write_unaligned(value) };
        Ok(())
    }

    /// Stores a result that the caller may not want.
    pub fn set_if_wanted(self, value: T) {
        let _ = self.set(value);
    }

    /// Stores the `index`th of several results.
    pub fn set_at(self, index: usize, value: T) -> Api {
        Out(self.0.wrapping_add(index)).set(value)
    }

    /// Reads what the caller left there: some arguments go both ways.
    pub fn get(self) -> Result<T, Error> {
        In(self.0.cast_const()).get()
    }

    /// The pointer is NULL.
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// The same place, taken for another type.
    pub fn cast<U>(self) -> Out<U> {
        Out(self.0.cast())
    }
}

impl Out<c_char> {
    /// Stores text and its terminator, cut to `size` bytes.
    pub fn set_text(self, text: &str, size: usize) -> Api {
        if self.0.is_null() || size == 0 {
            return Err(Error::INVALID_VALUE);
        }
        let kept = &text.as_bytes()[..text.len().min(size - 1)];
        for (index, byte) in kept.iter().chain(std::iter::once(&0)).enumerate() {
            self.set_at(index, *byte as c_char)?;
        }
        Ok(())
    }
}

/// One value, or an array of them, that the caller passes by address.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct In<T>(*const T);

impl<T: Copy> In<T> {
    /// Reads the value.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for NULL.
    pub fn get(self) -> Result<T, Error> {
        self.get_at(0)
    }

    /// Reads the `index`th value of an array.
    pub fn get_at(self, index: usize) -> Result<T, Error> {
        if self.0.is_null() {
            return Err(Error::INVALID_VALUE);
        }
        // SAFETY: not NULL, hence good for a read (module documentation); possibly unaligned.
        Ok(unsafe { self.0.wrapping_add(index).read_unaligned() })
    }

    /// The address.
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// The same place, taken for another type.
    pub fn cast<U>(self) -> In<U> {
        In(self.0.cast())
    }
}

/// A C string, or NULL.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct Text(*const c_char);

impl Text {
    /// The text.
    ///
    /// # Errors
    /// `CUDA_ERROR_INVALID_VALUE` for NULL.
    pub fn get(self) -> Result<String, Error> {
        if self.0.is_null() {
            return Err(Error::INVALID_VALUE);
        }
        // SAFETY: not NULL, hence a terminated string (module documentation).
        Ok(unsafe { CStr::from_ptr(self.0) }.to_string_lossy().into_owned())
    }
}

/// The parameters of a kernel launch: an array of addresses, one for each parameter.
pub type KernelParameters = In<In<u8>>;

/// A host function and its argument: `void (*)(void *)`.
pub type HostFunction = Option<extern "C" fn(*mut c_void)>;

/// `void (*)(CUstream, CUresult, void *)`.
pub type StreamCallback = Option<extern "C" fn(usize, u32, *mut c_void)>;

/// `CUuuid`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Uuid(pub [u8; 16]);

/// `CUipcMemHandle`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IpcHandle(pub [u8; 64]);

/// `CUDA_MEMCPY2D`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Copy2d {
    /// Byte offset in the first row of the source.
    pub src_x: usize,
    /// First row of the source.
    pub src_y: usize,
    /// `CUmemorytype` of the source.
    pub src_type: u32,
    /// Source, if host memory.
    pub src_host: u64,
    /// Source, if device memory or unified.
    pub src_device: u64,
    /// Source, if an array: not supported.
    pub src_array: usize,
    /// Bytes from row to row of the source.
    pub src_pitch: usize,
    /// Byte offset in the first row of the destination.
    pub dst_x: usize,
    /// First row of the destination.
    pub dst_y: usize,
    /// `CUmemorytype` of the destination.
    pub dst_type: u32,
    /// Destination, if host memory.
    pub dst_host: u64,
    /// Destination, if device memory or unified.
    pub dst_device: u64,
    /// Destination, if an array: not supported.
    pub dst_array: usize,
    /// Bytes from row to row of the destination.
    pub dst_pitch: usize,
    /// Bytes copied of each row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// `CUlaunchConfig`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LaunchConfig {
    /// Grid, block and shared memory: a simulated kernel needs none of them.
    pub shape: [u32; 7],
    /// The stream.
    pub stream: usize,
    /// Launch attributes: ignored.
    pub attributes: usize,
    /// Their number.
    pub attribute_count: u32,
}

/// `CUmemLocation`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location {
    /// 1 is a device.
    pub kind: u32,
    /// Its ordinal.
    pub id: i32,
}

/// `CUmemAllocationProp`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AllocationProperties {
    /// 1 is pinned.
    pub kind: u32,
    /// Wanted export types.
    pub handle_types: u32,
    /// Where.
    pub location: Location,
    /// Unused here.
    pub win32: usize,
    /// Compression, RDMA, usage, reserved.
    pub flags: [u8; 8],
}

/// `CUmemAccessDesc`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AccessDescription {
    /// Who.
    pub location: Location,
    /// 0 none, 1 read, 3 read and write.
    pub flags: u32,
}

// The layouts that NVIDIA's header gives on a 64-bit machine.
const _: () = {
    assert!(size_of::<Copy2d>() == 128);
    assert!(size_of::<LaunchConfig>() == 56);
    assert!(size_of::<AllocationProperties>() == 32);
    assert!(size_of::<AccessDescription>() == 12);
    assert!(size_of::<IpcHandle>() == 64);
};
