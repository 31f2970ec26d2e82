//! What the driver's calls cost, in nanoseconds of host time.
//!
//! Medians measured on an H200, driver 580.159.04. Each is a line through the readings from 2 MiB to
//! 8 GiB: so much for the call, and so much for each MiB. On another machine the amounts differ more
//! than their ratios.

const MIB: u64 = 1 << 20;

const fn line(call: u64, each_mib: u64, bytes: u64) -> u64 {
    // Widened, so that no size that a trace can name overflows.
    let part = (each_mib as u128 * bytes as u128) / MIB as u128;
    call + if part > u64::MAX as u128 / 2 { u64::MAX / 2 } else { part as u64 }
}

/// `cuMemAlloc` of `bytes`.
pub const fn allocate(bytes: u64) -> u64 {
    line(45_000, 200, bytes)
}

/// `cuMemFree` of `bytes`, without the wait for the device.
pub const fn free(bytes: u64) -> u64 {
    line(38_000, 550, bytes)
}

/// `cuMemCreate` of `bytes`.
pub const fn create(bytes: u64) -> u64 {
    line(9_000, 20, bytes)
}

/// `cuMemMap`, whatever the size.
pub const MAP: u64 = 1_000;

/// `cuMemSetAccess` for *each handle* of `bytes` in the range.
pub const fn set_access(bytes: u64) -> u64 {
    line(27_000, 50, bytes)
}

/// `cuMemUnmap` for each handle of `bytes` in the range.
pub const fn unmap(bytes: u64) -> u64 {
    line(17_000, 20, bytes)
}

/// `cuMemRelease` of `bytes`.
pub const fn release(bytes: u64) -> u64 {
    line(10_000, 280, bytes)
}

/// `cuMemAddressReserve` and `cuMemAddressFree`. Not measured: taken as `cuMemMap`. A context makes
/// a handful in its life.
pub const ADDRESSES: u64 = 1_000;

/// `cuCtxRecordEvent`
pub const RECORD: u64 = 210;

/// `cuCtxWaitEvent`
pub const CONTEXT_WAIT: u64 = 180;

/// `cuEventQuery`; also what `cuEventSynchronize` takes beside the wait.
pub const QUERY: u64 = 200;

/// `cuCtxSynchronize` beside the wait.
pub const SYNCHRONIZE: u64 = 250;

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 GiB in handles of one size takes nearly as long as it was measured to.
    #[test]
    fn a_gibibyte_in_handles() {
        for (handles, measured_us) in [(512, 22_000), (32, 1_400), (1, 100)] {
            let bytes = (1 << 30) / handles;
            let us = handles * (create(bytes) + MAP + set_access(bytes)) / 1000;
            assert!(us.abs_diff(measured_us) * 100 <= measured_us * 15, "{handles}: {us} µs");
        }
    }

    #[test]
    fn no_size_overflows() {
        for cost in [allocate, free, create, set_access, unmap, release] {
            assert!(cost(u64::MAX) >= cost(1 << 60));
        }
    }
}
