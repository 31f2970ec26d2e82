//! AAPCS64, the procedure call standard of 64-bit Arm.
//!
//! A call may pass something in x0 to x8 and in v0 to v7, and returns to x30. The way on to another
//! function is always `br x16`: where branch targets are enforced, only x16 and x17 may be jumped
//! through to what a call could have reached. For the same reason every function here begins with
//! `hint #34`, which is `bti c`: programs reach it through a pointer.

use std::arch::naked_asm;
use std::ffi::{c_char, c_int, c_void};

use super::{SPARE_BYTES, SPARES};
use crate::{cudart, dlsym, linker, thunk};

/// The integer arguments of a call, as the thunks save them: x0 to x7.
pub type SavedArguments = [u64; 8];

/// A look-up function: it jumps on to the C library's (`real`, found by `find` the first time) unless
/// the name begins with `cu` and the handle is not `RTLD_NEXT`, whose meaning depends on the return
/// address. The instruction at the end is to leave the version, or null, in x2.
macro_rules! look_up {
    ($real:path, $find:path, $version:literal) => {
        naked_asm!(
            "hint #34",
            "cmn x0, #1",
            "b.eq 2f",
            "cbz x1, 2f",
            "ldrb w9, [x1]",
            "cmp w9, #'c'",
            "b.ne 2f",
            "ldrb w9, [x1, #1]",
            "cmp w9, #'u'",
            "b.ne 2f",
            $version,
            "mov x3, x30",
            "stp x29, x30, [sp, #-48]!",
            "mov x29, sp",
            "stp x0, x1, [sp, #16]",
            "str x2, [sp, #32]",
            "bl {resolve}",
            "mov x9, x0",
            "mov x10, x1",
            "ldp x0, x1, [sp, #16]",
            "ldr x2, [sp, #32]",
            "ldp x29, x30, [sp], #48",
            "cbz x9, 2f",
            "mov x0, x10",
            "ret",
            "2:",
            "adrp x16, {real}",
            "ldr x16, [x16, #:lo12:{real}]",
            "cbz x16, 3f",
            "br x16",
            "3:",
            "stp x29, x30, [sp, #-48]!",
            "mov x29, sp",
            "stp x0, x1, [sp, #16]",
            "str x2, [sp, #32]",
            "bl {find}",
            "mov x16, x0",
            "ldp x0, x1, [sp, #16]",
            "ldr x2, [sp, #32]",
            "ldp x29, x30, [sp], #48",
            "br x16",
            resolve = sym dlsym::resolve,
            real = sym $real,
            find = sym $find,
        )
    };
}

/// `dlsym`: without a version.
///
/// # Safety
/// As for the C library's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void {
    look_up!(linker::REAL_DLSYM, linker::find_dlsym, "mov x2, xzr")
}

/// `dlvsym`: a null version is for the C library to refuse.
///
/// # Safety
/// As for the C library's.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlvsym(
    handle: *mut c_void,
    name: *const c_char,
    version: *const c_char,
) -> *mut c_void {
    look_up!(linker::REAL_DLVSYM, linker::find_dlvsym, "cbz x2, 2f")
}

/// `cudaMalloc` jumps to the definition that the caller would have had without this library.
///
/// # Safety
/// As for `cudaMalloc`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub unsafe extern "C" fn cudaMalloc(ptr: *mut *mut c_void, bytes: usize) -> c_int {
    naked_asm!(
        "hint #34",
        "stp x29, x30, [sp, #-32]!",
        "mov x29, sp",
        "stp x0, x1, [sp, #16]",
        "mov x0, x30",
        "bl {find}",
        "mov x16, x0",
        "ldp x0, x1, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        "br x16",
        find = sym cudart::malloc_for,
    )
}

/// `cudaFree`, in the same way.
///
/// # Safety
/// As for `cudaFree`.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[allow(non_snake_case)]
pub unsafe extern "C" fn cudaFree(ptr: *mut c_void) -> c_int {
    naked_asm!(
        "hint #34",
        "stp x29, x30, [sp, #-32]!",
        "mov x29, sp",
        "str x0, [sp, #16]",
        "mov x0, x30",
        "bl {find}",
        "mov x16, x0",
        "ldr x0, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        "br x16",
        find = sym cudart::free_for,
    )
}

/// What all thunks share: tells [`thunk::note`] which slot was called and with what, then jumps to
/// the slot's real function with every argument register and the stack as they were. The slot, or
/// an address inside a spare thunk, is in x16, which no call passes anything in.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn enter() {
    naked_asm!(
        "stp x29, x30, [sp, #-224]!",
        "mov x29, sp",
        "stp x0, x1, [sp, #16]",
        "stp x2, x3, [sp, #32]",
        "stp x4, x5, [sp, #48]",
        "stp x6, x7, [sp, #64]",
        "str x8, [sp, #80]",
        "stp q0, q1, [sp, #96]",
        "stp q2, q3, [sp, #128]",
        "stp q4, q5, [sp, #160]",
        "stp q6, q7, [sp, #192]",
        "mov x0, x16",
        "add x1, sp, #16",
        "bl {note}",
        "mov x16, x0",
        "ldp x0, x1, [sp, #16]",
        "ldp x2, x3, [sp, #32]",
        "ldp x4, x5, [sp, #48]",
        "ldp x6, x7, [sp, #64]",
        "ldr x8, [sp, #80]",
        "ldp q0, q1, [sp, #96]",
        "ldp q2, q3, [sp, #128]",
        "ldp q4, q5, [sp, #160]",
        "ldp q6, q7, [sp, #192]",
        "ldp x29, x30, [sp], #224",
        "br x16",
        note = sym thunk::note,
    )
}

/// One exported function for each name, which enters the slot of that index.
macro_rules! export_thunks {
    ($($name:ident = $index:expr,)+) => {$(
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        #[allow(non_snake_case)]
        unsafe extern "C" fn $name() {
            ::std::arch::naked_asm!(
                "hint #34",
                "mov x16, #{slot}",
                "b {enter}",
                slot = const $index,
                enter = sym $crate::arch::enter,
            )
        }
    )+};
}
pub(crate) use export_thunks;

/// [`SPARES`] thunks, each of which leaves an address inside itself in x16.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn spares() {
    naked_asm!(
        ".balign {bytes}",
        ".rept {count}",
        "hint #34",
        "adr x16, .",
        "b {enter}",
        ".balign {bytes}",
        ".endr",
        bytes = const SPARE_BYTES,
        count = const SPARES,
        enter = sym enter,
    )
}
