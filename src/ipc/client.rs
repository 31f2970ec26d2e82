//! The importer's side.

use std::fmt;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::handle::Handle;
use super::wire::{self, Answer};
use crate::driver::DriverError;

/// How long each message of an exporter is waited for: one that was stopped, or that never gets to run.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts to reach an exporter that hung up or does not listen: see [`Server`](super::Server).
const PAUSE: Duration = Duration::from_millis(20);
const ATTEMPTS: u32 = 5;

/// Where in the memory a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// Where in the pieces it begins, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Why a block could not be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchError {
    /// Nobody listens: the exporter has ended, or is in another network namespace.
    Gone,
    /// Who listens is another user's process.
    OtherUser,
    /// The exporter did not answer in time, or hung up.
    Silent,
    /// The exporter refused, or what it sent could not be used.
    Refused(DriverError),
}

impl FetchError {
    /// What the program is told: as the driver says it where the exporter has ended (measured, driver
    /// 580) and of what is no handle at all; `CUDA_ERROR_MAP_FAILED` if it might have led somewhere.
    pub fn for_program(self) -> DriverError {
        match self {
            Self::Gone => DriverError::INVALID_HANDLE,
            Self::OtherUser => DriverError::INVALID_VALUE,
            Self::Silent => DriverError::MAP_FAILED,
            Self::Refused(error) => error,
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("it has ended, or is in another network namespace"),
            Self::OtherUser => f.write_str("it is another user's"),
            Self::Silent => f.write_str("it does not answer"),
            Self::Refused(error) => write!(f, "refused: {error}"),
        }
    }
}

/// Asks the exporter of `handle` for the memory behind the block. `take` gets every piece, in order,
/// with its size in bytes.
///
/// # Errors
/// Those of `take`, besides what the exporter and the way to it can cause.
pub fn fetch(
    handle: &Handle,
    mut take: impl FnMut(OwnedFd, u64) -> Result<(), DriverError>,
) -> Result<Extent, FetchError> {
    let patience = Instant::now() + PATIENCE;
    for attempt in 1.. {
        let mut began = false;
        let mut take = |piece, bytes| {
            began = true;
            take(piece, bytes)
        };
        match ask(handle, patience, &mut take) {
            // Also where nobody listens: while an exporter whose socket was closed answers somebody
            // else, the name is free.
            Err(FetchError::Silent | FetchError::Gone)
                if !began && attempt < ATTEMPTS && Instant::now() + PAUSE < patience =>
            {
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
    Err(FetchError::Silent)
}

fn ask(
    handle: &Handle,
    mut deadline: Instant,
    take: &mut dyn FnMut(OwnedFd, u64) -> Result<(), DriverError>,
) -> Result<Extent, FetchError> {
    let silent = |_: Errno| FetchError::Silent;
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    let socket = socket.map_err(silent)?;
    let limit = |deadline: Instant| {
        wire::limit(&socket, deadline.saturating_duration_since(Instant::now())).map_err(silent)
    };
    limit(deadline)?;
    let name = handle.key.socket_name();
    let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(silent)?;
    connect(&socket, &address).map_err(|errno| match errno {
        Errno::CONNREFUSED | Errno::NOENT => FetchError::Gone,
        _ => FetchError::Silent,
    })?;
    if !wire::is_own_user(&socket) {
        return Err(FetchError::OtherUser);
    }
    wire::send(&socket, &handle.to_bytes(), &[], deadline).map_err(silent)?;
    let mut received = 0;
    loop {
        limit(deadline)?;
        let answer = Answer::receive(&socket, deadline).map_err(silent)?;
        let answer = answer.ok_or(FetchError::Silent)?;
        DriverError::check(answer.code).map_err(FetchError::Refused)?;
        let (pieces, extent) =
            (answer.pieces, Extent { offset: answer.offset, bytes: answer.bytes });
        if answer.memory.is_empty() {
            return Err(FetchError::Silent);
        }
        for (piece, bytes) in answer.memory {
            received += 1;
            take(piece, bytes).map_err(FetchError::Refused)?;
        }
        if received >= pieces {
            return Ok(extent);
        }
        deadline = Instant::now() + PATIENCE;
    }
}
