//! `cuGetProcAddress`, and what drivers of other versions have. Results as measured on an H200.

use std::ffi::CStr;

use crate::child::passes;
use crate::cuda::Cuda;

/// What was in the place for the pointer before the call.
const UNTOUCHED: usize = 77;

/// Result, pointer, status.
fn v2(cuda: &Cuda, name: &CStr, version: i32, flags: u64) -> (u32, usize, u32) {
    let (mut code, mut status) = (UNTOUCHED, 77);
    let result = cuda.cuGetProcAddress_v2(name.as_ptr(), &mut code, version, flags, &mut status);
    (result, code, status)
}

fn v1(cuda: &Cuda, name: &CStr, version: i32) -> (u32, usize) {
    let mut code = UNTOUCHED;
    (cuda.cuGetProcAddress(name.as_ptr(), &mut code, version, 0), code)
}

#[test]
fn what_there_is_not() {
    passes(&[], |cuda| {
        assert_eq!(v2(cuda, c"cuFoo", 13000, 0), (0, 0, 1));
        assert_eq!(v2(cuda, c"", 0, 0), (0, 0, 1));
        assert_eq!(v2(cuda, c"cuMemAlloc_v2", 13000, 0), (0, 0, 1));
        assert_eq!(v2(cuda, c"cuCtxRecordEvent", 11000, 0), (0, 0, 2));
        assert_eq!(v2(cuda, c"cuMemAlloc", 3020, 4), (1, UNTOUCHED, 77));
        assert_eq!(v2(cuda, c"cuMemAlloc", 99000, 0), (1, UNTOUCHED, 77));
        assert_eq!(v1(cuda, c"cuFoo", 13000), (500, UNTOUCHED));
        assert_eq!(v1(cuda, c"", 0), (500, UNTOUCHED));
        let mut code = UNTOUCHED;
        let unwanted = std::ptr::null_mut();
        assert_eq!(cuda.cuGetProcAddress_v2(c"cuFoo".as_ptr(), &mut code, 0, 0, unwanted), 0);
        assert_eq!(code, 0);
    });
}

#[test]
fn versions_and_variants() {
    passes(&[], |cuda| {
        let found = |name, version, flags| {
            let (result, code, status) = v2(cuda, name, version, flags);
            assert_eq!((result, status), (0, 0), "{name:?} {version}");
            code
        };
        assert_ne!(found(c"cuMemAlloc", 2000, 0), found(c"cuMemAlloc", 3020, 0));
        assert_eq!(found(c"cuMemAlloc", 13000, 0), found(c"cuMemAlloc", 3020, 2));
        assert_ne!(found(c"cuMemAllocAsync", 11020, 0), found(c"cuMemAllocAsync", 11020, 2));
        let old = found(c"cuGetProcAddress", 11030, 0);
        assert_ne!(old, found(c"cuGetProcAddress", 12000, 0));
        assert_eq!(v1(cuda, c"cuGetProcAddress", 11030), (0, old));
    });
}

#[test]
fn a_driver_of_cuda_11_4() {
    passes(&[("SIMCUDA_DRIVER_VERSION", "11040")], |cuda| {
        assert!(!cuda.has(c"cuGetProcAddress_v2"));
        assert!(!cuda.has(c"cuCtxRecordEvent"));
        assert!(!cuda.has(c"cuStreamGetCaptureInfo_v3_ptsz"));
        assert!(cuda.has(c"cuGetProcAddress"));
        assert!(cuda.has(c"cuStreamGetCaptureInfo_v2_ptsz"));
        assert_eq!(v1(cuda, c"cuMemCreate", 11030).0, 0);
        assert_eq!(v1(cuda, c"cuCtxGetId", 11040).0, 500);
        cuda.context();
        cuda.alloc();
    });
}

#[test]
fn a_driver_of_cuda_12_4() {
    passes(&[("SIMCUDA_DRIVER_VERSION", "12040")], |cuda| {
        assert!(cuda.has(c"cuGetProcAddress_v2"));
        assert!(!cuda.has(c"cuCtxRecordEvent"));
        assert_eq!(v2(cuda, c"cuCtxRecordEvent", 12050, 0), (0, 0, 1));
    });
}
