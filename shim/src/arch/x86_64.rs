//! System V x86-64.
//!
//! Every function here begins with `endbr64`, since programs reach it through a pointer.

use std::arch::naked_asm;
use std::ffi::{c_char, c_int, c_void};

use super::{SPARE_BYTES, SPARES};
use crate::{cudart, dlsym, linker, thunk};

/// The integer arguments of a call, as the thunks save them: rdi, rsi, rdx, rcx, r8, r9.
pub type SavedArguments = [u64; 6];

/// A look-up function: it jumps on to the C library's (`real`, found by `find` the first time) unless
/// the name begins with `cu` and the handle is not `RTLD_NEXT`, whose meaning depends on the return
/// address. The instructions at the end are to leave the version, or null, in rdx.
macro_rules! look_up {
    ($real:path, $find:path, $($version:literal),+) => {
        naked_asm!(
            "endbr64",
            "cmp rdi, -1",
            "je 2f",
            "test rsi, rsi",
            "jz 2f",
            "cmp byte ptr [rsi], 'c'",
            "jne 2f",
            "cmp byte ptr [rsi + 1], 'u'",
            "jne 2f",
            $($version,)+
            "push rdi",
            "push rsi",
            "push rdx",
            "mov rcx, [rsp + 24]",
            "call {resolve}",
            "mov rcx, rdx",
            "pop rdx",
            "pop rsi",
            "pop rdi",
            "test rax, rax",
            "jz 2f",
            "mov rax, rcx",
            "ret",
            "2:",
            "mov rax, [rip + {real}]",
            "test rax, rax",
            "jz 3f",
            "jmp rax",
            "3:",
            "push rdi",
            "push rsi",
            "push rdx",
            "call {find}",
            "pop rdx",
            "pop rsi",
            "pop rdi",
            "jmp rax",
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
    look_up!(linker::REAL_DLSYM, linker::find_dlsym, "xor edx, edx")
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
    look_up!(linker::REAL_DLVSYM, linker::find_dlvsym, "test rdx, rdx", "jz 2f")
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
        "endbr64",
        "push rdi",
        "push rsi",
        "sub rsp, 8",
        "mov rdi, [rsp + 24]",
        "call {find}",
        "add rsp, 8",
        "pop rsi",
        "pop rdi",
        "jmp rax",
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
        "endbr64",
        "push rdi",
        "mov rdi, [rsp + 8]",
        "call {find}",
        "pop rdi",
        "jmp rax",
        find = sym cudart::free_for,
    )
}

/// What all thunks share: tells [`thunk::note`] which slot was called and with what, then jumps to
/// the slot's real function with every argument register and the stack as they were. The slot, or
/// an address inside a spare thunk, is in r11, which no call passes anything in.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn enter() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 0xc0",
        "mov [rsp], rdi",
        "mov [rsp + 0x08], rsi",
        "mov [rsp + 0x10], rdx",
        "mov [rsp + 0x18], rcx",
        "mov [rsp + 0x20], r8",
        "mov [rsp + 0x28], r9",
        "mov [rsp + 0x30], rax",
        "mov [rsp + 0x38], r10",
        "movaps [rsp + 0x40], xmm0",
        "movaps [rsp + 0x50], xmm1",
        "movaps [rsp + 0x60], xmm2",
        "movaps [rsp + 0x70], xmm3",
        "movaps [rsp + 0x80], xmm4",
        "movaps [rsp + 0x90], xmm5",
        "movaps [rsp + 0xa0], xmm6",
        "movaps [rsp + 0xb0], xmm7",
        "mov rdi, r11",
        "mov rsi, rsp",
        "call {note}",
        "mov r11, rax",
        "mov rdi, [rsp]",
        "mov rsi, [rsp + 0x08]",
        "mov rdx, [rsp + 0x10]",
        "mov rcx, [rsp + 0x18]",
        "mov r8, [rsp + 0x20]",
        "mov r9, [rsp + 0x28]",
        "mov rax, [rsp + 0x30]",
        "mov r10, [rsp + 0x38]",
        "movaps xmm0, [rsp + 0x40]",
        "movaps xmm1, [rsp + 0x50]",
        "movaps xmm2, [rsp + 0x60]",
        "movaps xmm3, [rsp + 0x70]",
        "movaps xmm4, [rsp + 0x80]",
        "movaps xmm5, [rsp + 0x90]",
        "movaps xmm6, [rsp + 0xa0]",
        "movaps xmm7, [rsp + 0xb0]",
        "leave",
        "jmp r11",
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
                "endbr64",
                "mov r11d, {slot}",
                "jmp {enter}",
                slot = const $index,
                enter = sym $crate::arch::enter,
            )
        }
    )+};
}
pub(crate) use export_thunks;

/// [`SPARES`] thunks, each of which leaves an address inside itself in r11.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn spares() {
    naked_asm!(
        ".balign {bytes}",
        ".rept {count}",
        "endbr64",
        "lea r11, [rip]",
        "jmp {enter}",
        ".balign {bytes}",
        ".endr",
        bytes = const SPARE_BYTES,
        count = const SPARES,
        enter = sym enter,
    )
}
