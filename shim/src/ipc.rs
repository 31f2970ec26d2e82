//! CUDA IPC for memory of the arena: this process's key, and the thread that serves its exports.
//!
//! The thread exists from the first handle on, is called `cupool-ipc`, handles no signal, and waits
//! in `accept`. A forked child closes the socket that it inherits: otherwise importers would wait
//! for a dead exporter until their patience is over.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use std::{process, thread};

use cupool::driver::{DevicePtr, DriverError, Memory};
use cupool::ipc::{Handle, Key, Server};
use parking_lot::Mutex;

use crate::entry::AnyPools;
use crate::guard::Guard;
use crate::{futex, notice, state, worker};

/// The process's key, once it has exported anything; `Err` if it cannot.
static KEY: Mutex<Option<Result<Key, ()>>> = Mutex::new(None);

const NEVER: u32 = 0;
const WAITS: u32 = 1;
const SERVES: u32 = 2;
const ENDING: u32 = 3;
const ENDED: u32 = 4;

/// What the thread does; also the futex on which [`finish`] waits.
static STATE: AtomicU32 = AtomicU32::new(NEVER);

/// The socket, and what the system knows it by, for those who close or shut it down: a program may
/// have closed it, and opened a file of its own under the number.
static SOCKET: AtomicI32 = AtomicI32::new(-1);
static IDENTITY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// A handle for the block that holds `ptr`. `None` if the block cannot be shared in this way.
pub fn handle(pools: &'static AnyPools, ptr: u64) -> Option<[u8; Handle::BYTES]> {
    let block = pools.export(DevicePtr(ptr))?;
    let key = key(pools)?;
    Some(Handle { key, process: process::id(), block }.to_bytes())
}

/// Whether a handle is one of this process.
pub fn is_own(handle: &Handle) -> bool {
    matches!(*KEY.lock(), Some(Ok(key)) if key == handle.key)
}

/// The process's key; the thread runs from the first time on.
fn key(pools: &'static AnyPools) -> Option<Key> {
    let mut key = KEY.lock();
    let start = || {
        start(pools).map_err(|error| {
            notice::warn(&format_args!("no CUDA IPC with memory of the arena: {error}"));
        })
    };
    key.get_or_insert_with(start).ok()
}

fn start(pools: &'static AnyPools) -> std::io::Result<Key> {
    let key = Key::random()?;
    let server = Server::listen(key)?;
    publish(&server);
    STATE.store(WAITS, Ordering::Release);
    let started = worker::with_signals_blocked(|| {
        thread::Builder::new().name("cupool-ipc".into()).spawn(move || {
            serve(pools, server);
            SOCKET.store(-1, Ordering::Release);
            STATE.store(ENDED, Ordering::Release);
            futex::wake_all(&STATE);
        })
    });
    if started.is_err() {
        SOCKET.store(-1, Ordering::Release);
        STATE.store(NEVER, Ordering::Release);
    }
    started.map(|_| key)
}

/// Lets others find the socket.
fn publish(server: &Server) {
    if let Some((socket, (device, inode))) = server.socket() {
        IDENTITY[0].store(device, Ordering::Relaxed);
        IDENTITY[1].store(inode, Ordering::Relaxed);
        SOCKET.store(socket.as_fd().as_raw_fd(), Ordering::Release);
    }
}

/// Moves on to `to`, unless the process is ending.
fn step(from: u32, to: u32) -> bool {
    STATE.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

fn serve(pools: &'static AnyPools, mut server: Server) {
    loop {
        let importer = match server.accept() {
            Ok(importer) => importer,
            Err(error) if STATE.load(Ordering::Acquire) == WAITS => {
                notice::warn(&format_args!("no more CUDA IPC with memory of the arena: {error}"));
                return;
            }
            Err(_) => return,
        };
        publish(&server);
        if !step(WAITS, SERVES) {
            return;
        }
        if let Some(importer) = importer {
            let answer = || {
                // The driver's own calls in here are none of the program's.
                let _guard = Guard::enter();
                answer(pools, &server, importer);
            };
            if panic::catch_unwind(AssertUnwindSafe(answer)).is_err() {
                state::retire("panic while memory was shared");
            }
        }
        if !step(SERVES, WAITS) {
            return;
        }
    }
}

fn answer(pools: &AnyPools, server: &Server, importer: OwnedFd) {
    let export =
        |memory: Memory| -> Result<OwnedFd, DriverError> { pools.driver().export_memory(memory) };
    let answered =
        server.answer(importer, |block, send| pools.with_memory(block, |p| send(p)), export);
    if let Err(error) = answered {
        tracing::info!("a process that asked for shared memory was given up: {error}");
    }
}

/// The process exits: nobody is served any more. Waits for who is, at most for `patience`.
pub fn finish(patience: Duration) {
    let before = STATE.load(Ordering::Acquire);
    if !matches!(before, WAITS | SERVES) {
        return;
    }
    let before = STATE.swap(ENDING, Ordering::AcqRel);
    if let Some(socket) = socket() {
        // SAFETY: no memory is passed. The socket is ours, so nobody else is hung up on.
        unsafe { libc::shutdown(socket, libc::SHUT_RDWR) };
    }
    // Without the socket a thread that waits does so until the process is gone, which harms nobody.
    if before == SERVES {
        futex::wait_until_not(&STATE, ENDING, patience);
    }
}

/// In a forked child. Async-signal-safe.
pub fn in_child() {
    if let Some(socket) = socket() {
        // SAFETY: it is ours, and the thread that used it does not exist in the child.
        unsafe { libc::close(socket) };
    }
    SOCKET.store(-1, Ordering::Release);
}

/// The number of the socket, if it still is the socket's.
fn socket() -> Option<i32> {
    let number = SOCKET.load(Ordering::Acquire);
    let wanted = (IDENTITY[0].load(Ordering::Relaxed), IDENTITY[1].load(Ordering::Relaxed));
    (number >= 0 && notice::file(number) == Some(wanted)).then_some(number)
}
