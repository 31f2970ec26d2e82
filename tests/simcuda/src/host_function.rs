//! Functions of the program that run in stream order.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};

use crate::abi::{HostFunction, StreamCallback};
use crate::capture;
use crate::clock::TimelineId;
use crate::engine;
use crate::error::{Api, Error};
use crate::state;
use crate::stream;
use crate::timeline::{Request, Work};

/// A call to make. Pointers travel as numbers: they are the program's.
#[derive(Clone, Copy)]
pub enum HostCall {
    /// `CUhostFn`
    Function(extern "C" fn(*mut c_void), usize),
    /// `CUstreamCallback`, with the stream's handle
    Callback(extern "C" fn(usize, u32, *mut c_void), usize, usize),
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread runs such a function, which may not call CUDA.
pub fn inside() -> bool {
    INSIDE.get()
}

impl HostCall {
    fn run(self) {
        INSIDE.set(true);
        match self {
            HostCall::Function(function, data) => function(data as *mut c_void),
            HostCall::Callback(function, stream, data) => {
                function(stream, 0, data as *mut c_void);
            }
        }
        INSIDE.set(false);
    }
}

static QUEUE: LazyLock<Sender<(TimelineId, HostCall)>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel::<(TimelineId, HostCall)>();
    let work = move || {
        for (timeline, call) in receiver {
            call.run();
            engine::host_function_returned(timeline);
        }
    };
    engine::start_thread("simcuda-host", work);
    sender
});

/// Starts a call on the thread for such calls, which may block.
pub fn start(timeline: TimelineId, call: HostCall) {
    QUEUE.send((timeline, call)).expect("that thread never ends");
}

fn submit(what: &str, handle: usize, call: HostCall) -> Api {
    let mut sim = state::lock();
    let stream = stream::resolve(&mut sim, handle)?;
    stream::submit(&mut sim, stream, Request::new(what, Vec::new(), Work::Host(call))).map(drop)
}

/// `cuLaunchHostFunc`
pub fn launch(stream: usize, function: HostFunction, data: usize) -> Api {
    let function = function.ok_or(Error::INVALID_VALUE)?;
    submit("cuLaunchHostFunc", stream, HostCall::Function(function, data))
}

/// `cuStreamAddCallback`
pub fn add_callback(stream: usize, callback: StreamCallback, data: usize, flags: u32) -> Api {
    let callback = callback.ok_or(Error::INVALID_VALUE)?;
    if flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    {
        let mut sim = state::lock();
        let resolved = stream::resolve(&mut sim, stream)?;
        capture::refuse_capturing(&mut sim, resolved)?;
    }
    submit("cuStreamAddCallback", stream, HostCall::Callback(callback, stream, data))
}
