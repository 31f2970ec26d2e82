//! The 64 bytes of a handle.
//!
//! | bytes | |
//! |---|---|
//! | 0–7 | [`MAGIC`] |
//! | 8–11 | [`VERSION`] |
//! | 12–15 | the exporter's process id, for messages only |
//! | 16–31 | the exporter's [`Key`] |
//! | 32–39 | where the block begins there |
//! | 40–47 | the block's number, which no other block of the process has |
//! | 48–55 | its size in bytes |
//! | 56–63 | 0 |
//!
//! Numbers are in the byte order of the machine, which a handle never leaves. A driver refuses such
//! bytes as it refuses any that are not its own: `CUDA_ERROR_INVALID_VALUE` (measured, driver 580).

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::driver::DevicePtr;
use crate::pools::Export;

/// What every handle of ours begins with.
const MAGIC: [u8; 8] = *b"\xffcupool\xff";
/// Changes with what a handle means, and with what is said over the socket.
const VERSION: u32 = 1;

/// Random bytes that tell a process from every other. The first half names its socket, which
/// everybody sees; the other half only handles know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; 16]);

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// The system's, if it has no random bytes.
    pub fn random() -> Result<Self, Errno> {
        let mut bytes = [0; 16];
        match getrandom(&mut bytes, GetRandomFlags::NONBLOCK)? {
            16 => Ok(Self(bytes)),
            _ => Err(Errno::AGAIN),
        }
    }

    /// The abstract name of the socket.
    pub(super) fn socket_name(&self) -> String {
        let hex: String = self.0[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("cupool-ipc-{hex}")
    }
}

/// What a handle of ours says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Handle {
    /// Whose it is.
    pub key: Key,
    /// The process id that the exporter knows itself by.
    pub process: u32,
    /// The block.
    pub block: Export,
}

/// What 64 bytes turn out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A handle of ours.
    Ours(Handle),
    /// One of another version of ours, which cannot be understood.
    OtherVersion(u32),
    /// The driver's, or anything.
    Foreign,
}

impl Handle {
    /// Its size in bytes: that of `CUipcMemHandle`.
    pub const BYTES: usize = 64;

    /// The handle as the program gets it. The same block always has the same.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.process.to_ne_bytes());
        bytes[16..32].copy_from_slice(&self.key.0);
        let words = [self.block.start.0, self.block.id, self.block.bytes];
        for (place, word) in bytes[32..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// What these bytes are.
    pub fn parse(bytes: &[u8; Self::BYTES]) -> Parsed {
        if bytes[..8] != MAGIC {
            return Parsed::Foreign;
        }
        let version = number(bytes, 8);
        if version != VERSION {
            return Parsed::OtherVersion(version);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&bytes[16..32]);
        let block = Export {
            start: DevicePtr(word(bytes, 32)),
            id: word(bytes, 40),
            bytes: word(bytes, 48),
        };
        Parsed::Ours(Self { key: Key(key), process: number(bytes, 12), block })
    }
}

fn number(bytes: &[u8; Handle::BYTES], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_ne_bytes(number)
}

fn word(bytes: &[u8; Handle::BYTES], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> Handle {
        let block = Export { start: DevicePtr(0x7f00_0000_0200), bytes: 1000, id: 1 << 62 };
        Handle { key: Key([7; 16]), process: 4711, block }
    }

    #[test]
    fn there_and_back() {
        let bytes = handle().to_bytes();
        assert!(Handle::parse(&bytes) == Parsed::Ours(handle()));
        assert_eq!(bytes, handle().to_bytes(), "the same for the same block");
    }

    #[test]
    fn what_is_not_ours() {
        assert!(Handle::parse(&[0; 64]) == Parsed::Foreign);
        assert!(Handle::parse(&[0xff; 64]) == Parsed::Foreign);
        let mut bytes = handle().to_bytes();
        bytes[8] += 1;
        assert!(Handle::parse(&bytes) == Parsed::OtherVersion(VERSION + 1));
    }

    #[test]
    fn the_name_of_a_socket_gives_away_half_the_key() {
        let (a, b) = (Key([1; 16]), Key([2; 16]));
        assert_ne!(a.socket_name(), b.socket_name());
        let mut other = a;
        other.0[8..].fill(9);
        assert_eq!(a.socket_name(), other.socket_name());
        assert!(Key::random().unwrap() != Key::random().unwrap());
    }
}
