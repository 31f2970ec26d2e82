//! The exporter's side.

use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

use super::handle::{Handle, Key, Parsed};
use super::wire::{self, Answer, MOST_PIECES};
use crate::backing::Pieces;
use crate::driver::{DriverError, Memory};
use crate::pools::Export;

/// How long one importer may take to ask, and for each message to take the answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Importers that wait to be accepted, at most.
const BACKLOG: i32 = 128;

/// Listens for importers.
///
/// A program may close descriptors that it does not know, and open a file of its own under the
/// number. So before each call the socket is looked at; if it is not ours any more, a new one gets
/// the name. An importer that came in between was hung up on, and tries again.
pub struct Server {
    key: Key,
    /// `None` only while there is no other.
    socket: Option<OwnedFd>,
    /// What the system knows it by.
    identity: Identity,
}

/// Device and inode of a socket: no other ever has them while it exists.
pub type Identity = (u64, u64);

impl Server {
    /// Listens under the name of `key`.
    ///
    /// # Errors
    /// The system's.
    pub fn listen(key: Key) -> Result<Self, Errno> {
        let (socket, identity) = listen_as(key)?;
        Ok(Self { key, socket: Some(socket), identity })
    }

    /// The socket, and what the system knows it by.
    pub fn socket(&self) -> Option<(impl AsFd, Identity)> {
        self.socket.as_ref().map(|socket| (socket.as_fd(), self.identity))
    }

    /// Waits for an importer. `None`: there was somebody else, or nobody after all.
    ///
    /// # Errors
    /// The system's: there is no socket any more, and none can be made.
    pub fn accept(&mut self) -> Result<Option<OwnedFd>, Errno> {
        let ours = |socket: &OwnedFd| identity(socket) == Ok(self.identity);
        let Some(socket) = self.socket.take_if(|socket| ours(socket)) else {
            // The number is somebody else's, who closes it.
            let _ = self.socket.take().map(IntoRawFd::into_raw_fd);
            let (socket, identity) = listen_as(self.key)?;
            (self.socket, self.identity) = (Some(socket), identity);
            return Ok(None);
        };
        let accepted = accept_with(&socket, SocketFlags::CLOEXEC);
        self.socket = Some(socket);
        match accepted {
            Ok(importer) => Ok(wire::is_own_user(&importer).then_some(importer)),
            // Interrupted, or no descriptor left for the moment.
            Err(Errno::INTR | Errno::CONNABORTED | Errno::AGAIN) => Ok(None),
            Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS) => {
                std::thread::sleep(PATIENCE / 10);
                Ok(None)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Answers an importer: `find` calls its argument with the memory behind the block that it asks
    /// for, or gives `None` if there is no such block any more; `export` makes a descriptor.
    ///
    /// # Errors
    /// The system's, with which this importer is given up.
    pub fn answer(
        &self,
        importer: OwnedFd,
        find: impl FnOnce(Export, &mut dyn FnMut(&Pieces)) -> Option<()>,
        mut export: impl FnMut(Memory) -> Result<OwnedFd, DriverError>,
    ) -> Result<(), Errno> {
        wire::limit(&importer, PATIENCE)?;
        let mut bytes = [0; Handle::BYTES];
        let length =
            wire::receive(&importer, &mut bytes, &mut Vec::new(), Instant::now() + PATIENCE)?;
        let asked = match Handle::parse(&bytes) {
            Parsed::Ours(handle) if length == bytes.len() && handle.key == self.key => handle.block,
            _ => return refuse(&importer, DriverError::INVALID_VALUE),
        };
        let mut sent = Ok(());
        let found = find(asked, &mut |pieces| {
            sent = send(&importer, asked, pieces, &mut export);
        });
        match found {
            Some(()) => sent,
            None => refuse(&importer, DriverError::INVALID_VALUE),
        }
    }
}

fn listen_as(key: Key) -> Result<(OwnedFd, Identity), Errno> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    let address = SocketAddrUnix::new_abstract_name(key.socket_name().as_bytes())?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    let identity = identity(&socket)?;
    Ok((socket, identity))
}

fn identity(socket: impl AsFd) -> Result<Identity, Errno> {
    fstat(socket).map(|facts| (facts.st_dev, facts.st_ino))
}

fn refuse(importer: &OwnedFd, error: DriverError) -> Result<(), Errno> {
    let answer = Answer { code: error.code(), ..Answer::default() };
    answer.send(importer, Instant::now() + PATIENCE)
}

/// Sends descriptors of all pieces, a few at a time.
fn send(
    importer: &OwnedFd,
    asked: Export,
    pieces: &Pieces,
    export: &mut dyn FnMut(Memory) -> Result<OwnedFd, DriverError>,
) -> Result<(), Errno> {
    for some in pieces.memory.chunks(MOST_PIECES) {
        let exported = some.iter().map(|&(memory, bytes)| Ok((export(memory)?, bytes)));
        let memory = match exported.collect::<Result<Vec<_>, DriverError>>() {
            Ok(memory) => memory,
            Err(error) => return refuse(importer, error),
        };
        let answer = Answer {
            code: 0,
            pieces: pieces.memory.len() as u64,
            offset: pieces.offset,
            bytes: asked.bytes,
            memory,
        };
        answer.send(importer, Instant::now() + PATIENCE)?;
    }
    Ok(())
}
