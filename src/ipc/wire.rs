//! What is said over the socket: the importer sends the bytes of a handle, and the exporter answers
//! with messages of words and descriptors.
//!
//! | words of a message | |
//! |---|---|
//! | 0 | a `CUresult`; if it is not 0, nothing follows |
//! | 1 | how many pieces of memory there are in all |
//! | 2, 3 | where in them the block begins, and its size, in bytes |
//! | 4… | the sizes in bytes of the pieces in this message, whose descriptors come along |
//!
//! The sockets keep messages apart (`SOCK_SEQPACKET`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout, socket_peercred};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// At most so many descriptors in a message: far from what the system allows, and from the limit of
/// a process.
pub(super) const MOST_PIECES: usize = 32;
const HEAD: usize = 4;
const MOST_WORDS: usize = HEAD + MOST_PIECES;

/// A message of the exporter's.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// A `CUresult`.
    pub(super) code: i32,
    /// Pieces of memory in all messages.
    pub(super) pieces: u64,
    /// Where in them the block begins, in bytes.
    pub(super) offset: u64,
    /// The size of the block in bytes.
    pub(super) bytes: u64,
    /// The pieces of this message, with their sizes in bytes.
    pub(super) memory: Vec<(OwnedFd, u64)>,
}

/// Whether the process at the other end is one of our user.
pub(super) fn is_own_user(socket: impl AsFd) -> bool {
    let user = rustix::process::geteuid();
    socket_peercred(socket).is_ok_and(|peer| peer.uid == user)
}

/// No call on `socket` waits longer than this.
pub(super) fn limit(socket: impl AsFd, patience: Duration) -> Result<(), Errno> {
    // Nothing at all would mean no limit.
    let patience = Some(patience.max(Duration::from_millis(1)));
    set_socket_timeout(&socket, Timeout::Recv, patience)?;
    set_socket_timeout(&socket, Timeout::Send, patience)
}

/// Makes a call again that a signal interrupted, as long as there is time.
fn uninterrupted<T>(
    deadline: Instant,
    mut call: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) if Instant::now() < deadline => {}
            result => return result,
        }
    }
}

/// Sends bytes, and descriptors with them.
pub(super) fn send(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    deadline: Instant,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PIECES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    uninterrupted(deadline, || {
        sendmsg(&socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL).map(drop)
    })
}

/// Receives one message of at most `bytes.len()` bytes, and what descriptors come with it. Gives how
/// many bytes; none if the other side has hung up.
pub(super) fn receive(
    socket: impl AsFd,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
    deadline: Instant,
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_PIECES))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = uninterrupted(deadline, || {
        let into = &mut [IoSliceMut::new(bytes)];
        recvmsg(&socket, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    Ok(message.bytes)
}

impl Answer {
    /// Sends it.
    pub(super) fn send(&self, socket: impl AsFd, deadline: Instant) -> Result<(), Errno> {
        let head = [self.code as u64, self.pieces, self.offset, self.bytes];
        let sizes = self.memory.iter().map(|(_, bytes)| *bytes);
        let bytes: Vec<u8> = head.into_iter().chain(sizes).flat_map(u64::to_ne_bytes).collect();
        let descriptors: Vec<_> = self.memory.iter().map(|(piece, _)| piece.as_fd()).collect();
        send(socket, &bytes, &descriptors, deadline)
    }

    /// Waits for one. `None` if the other side hangs up, or says what nobody should.
    pub(super) fn receive(socket: impl AsFd, deadline: Instant) -> Result<Option<Self>, Errno> {
        let mut bytes = [0; MOST_WORDS * 8];
        let mut descriptors = Vec::new();
        let length = receive(socket, &mut bytes, &mut descriptors, deadline)?;
        let mut words = bytes[..length].chunks_exact(8).map(|word| {
            let mut number = [0; 8];
            number.copy_from_slice(word);
            u64::from_ne_bytes(number)
        });
        if length != (HEAD + descriptors.len()) * 8 {
            return Ok(None);
        }
        let mut next = || words.next().unwrap_or(0);
        let (code, pieces, offset, size) = (next() as i32, next(), next(), next());
        let memory = descriptors.into_iter().map(|piece| (piece, next())).collect();
        Ok(Some(Self { code, pieces, offset, bytes: size, memory }))
    }
}
