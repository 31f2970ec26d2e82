//! The simulated kernels.

use std::ffi::CString;
use std::time::Duration;

use crate::abi::{In, KernelParameters, LaunchConfig};
use crate::context;
use crate::error::{Api, Error};
use crate::hazard::{Access, Range, Touch};
use crate::state::{self, Sim};
use crate::stream;
use crate::timeline::{Request, Work};

/// A kernel's code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// `fill(u64 ptr, u64 words, u32 value, i64 delay_us)`
    Fill,
    /// `copy(u64 dst, u64 src, u64 words, i64 delay_us)`
    Copy,
    /// `check(u64 ptr, u64 words, u32 expect, u64 mismatches_ptr, i64 delay_us)`
    Check,
    /// `wait_flag(u64 flag_ptr, u32 value)`
    WaitFlag,
    /// `print(i32 number, i64 delay_us)`
    Print,
    /// `fault()`
    Fault,
}

impl Program {
    /// The kernel of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "fill" => Self::Fill,
            "copy" => Self::Copy,
            "check" => Self::Check,
            "wait_flag" => Self::WaitFlag,
            "print" => Self::Print,
            "fault" => Self::Fault,
            _ => return None,
        })
    }
}

/// A kernel with its arguments.
#[derive(Clone, Debug)]
pub enum Kernel {
    /// Writes `words` words.
    Fill { pointer: u64, words: u64, value: u32 },
    /// Copies `words` words.
    Copy { to: u64, from: u64, words: u64 },
    /// Counts the words that are not as expected.
    Check { pointer: u64, words: u64, expected: u32, mismatches: u64 },
    /// Prints a line.
    Print(i32),
    /// Accesses memory that is not there.
    Fault,
}

impl Kernel {
    /// Does what the kernel does, at the end of its time.
    ///
    /// # Errors
    /// The fault that the context reports from now on.
    pub fn run(self, sim: &mut Sim) -> Api {
        match self {
            Kernel::Fill { pointer, words, value } => {
                sim.fill(pointer, &value.to_ne_bytes(), words);
            }
            Kernel::Copy { to, from, words } => sim.copy(from, to, words * 4),
            Kernel::Check { pointer, words, expected, mismatches } => {
                let content = sim.read(pointer, words * 4);
                let wrong = content.chunks_exact(4).filter(|word| **word != expected.to_ne_bytes());
                let found = wrong.count() as u32;
                let before = sim.read(mismatches, 4).try_into().expect("four bytes");
                sim.write(mismatches, &(u32::from_ne_bytes(before) + found).to_ne_bytes());
            }
            Kernel::Print(number) => {
                sim.engine.printed.push_str(&format!("device says {number}\n"));
            }
            Kernel::Fault => return Err(Error::ILLEGAL_ADDRESS),
        }
        Ok(())
    }
}

/// Reads arguments one after the other.
struct Arguments {
    parameters: KernelParameters,
    next: usize,
}

impl Arguments {
    fn next<T: Copy>(&mut self) -> Api<T> {
        let address: In<u8> = self.parameters.get_at(self.next)?;
        self.next += 1;
        address.cast().get()
    }

    fn delay(&mut self) -> Api<Duration> {
        let microseconds: i64 = self.next()?;
        Ok(Duration::from_micros(microseconds.max(0) as u64))
    }
}

fn request(program: Program, parameters: KernelParameters) -> Api<Request> {
    let mut arguments = Arguments { parameters, next: 0 };
    let touch = |start, bytes, access| Touch { range: Range::new(start, bytes), access };
    let (what, touches, kernel) = match program {
        Program::Fill => {
            let (pointer, words, value) = (arguments.next()?, arguments.next()?, arguments.next()?);
            (
                format!("fill({pointer:#x}, {words}, {value})"),
                vec![touch(pointer, words * 4, Access::Write)],
                Kernel::Fill { pointer, words, value },
            )
        }
        Program::Copy => {
            let (to, from, words) = (arguments.next()?, arguments.next()?, arguments.next()?);
            (
                format!("copy({to:#x}, {from:#x}, {words})"),
                vec![touch(to, words * 4, Access::Write), touch(from, words * 4, Access::Read)],
                Kernel::Copy { to, from, words },
            )
        }
        Program::Check => {
            let (pointer, words, expected) =
                (arguments.next()?, arguments.next()?, arguments.next()?);
            let mismatches = arguments.next()?;
            (
                format!("check({pointer:#x}, {words}, {expected}, {mismatches:#x})"),
                vec![touch(pointer, words * 4, Access::Read), touch(mismatches, 4, Access::Atomic)],
                Kernel::Check { pointer, words, expected, mismatches },
            )
        }
        Program::WaitFlag => {
            let (address, value) = (arguments.next()?, arguments.next()?);
            let work = Work::WaitValue { address, value, at_least: false };
            let what = format!("wait_flag({address:#x}, {value})");
            return Ok(Request::new(what, vec![touch(address, 4, Access::Poll)], work));
        }
        Program::Print => {
            let number = arguments.next()?;
            (format!("print({number})"), Vec::new(), Kernel::Print(number))
        }
        Program::Fault => ("fault()".to_owned(), Vec::new(), Kernel::Fault),
    };
    let delay = if program == Program::Fault { Duration::ZERO } else { arguments.delay()? };
    Ok(Request { what, touches, work: Work::Kernel(kernel), delay })
}

fn launch_in(function: usize, handle: usize, parameters: KernelParameters) -> Api {
    let mut sim = state::lock();
    context::current(&sim)?;
    let program = *sim.functions.get(&function).ok_or(Error::INVALID_HANDLE)?;
    let stream = stream::resolve(&mut sim, handle)?;
    let request = request(program, parameters)?;
    stream::submit(&mut sim, stream, request).map(drop)
}

/// `cuLaunchKernel`
pub fn launch(
    function: usize,
    _grid_x: u32,
    _grid_y: u32,
    _grid_z: u32,
    _block_x: u32,
    _block_y: u32,
    _block_z: u32,
    _shared: u32,
    stream: usize,
    parameters: KernelParameters,
    _extra: In<usize>,
) -> Api {
    launch_in(function, stream, parameters)
}

/// `cuLaunchKernelEx`
pub fn launch_ex(
    config: In<LaunchConfig>,
    function: usize,
    parameters: KernelParameters,
    _extra: In<usize>,
) -> Api {
    launch_in(function, config.get()?.stream, parameters)
}

/// Shows what kernels have printed: the device's buffer is emptied when the host waits.
pub fn show_printed(sim: &mut Sim) {
    let text = std::mem::take(&mut sim.engine.printed);
    if text.is_empty() {
        return;
    }
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: format and argument are terminated strings; through `printf`, because the program
    // expects its own output and the device's in one order.
    unsafe { libc::printf(c"%s".as_ptr(), text.as_ptr()) };
}
