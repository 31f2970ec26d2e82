use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::thread;

use rustix::fs::{MemfdFlags, memfd_create};

use super::client::{Extent, fetch};
use super::*;
use crate::backing::Pieces;
use crate::driver::{DevicePtr, DriverError, Memory};
use crate::pools::Export;

/// A descriptor by which a piece of memory is known again.
fn descriptor(memory: Memory) -> OwnedFd {
    let mut file = File::from(memfd_create("cupool-test", MemfdFlags::CLOEXEC).unwrap());
    file.write_all(&memory.0.to_ne_bytes()).unwrap();
    file.into()
}

fn known_again(descriptor: OwnedFd) -> Memory {
    let mut bytes = [0; 8];
    let mut file = File::from(descriptor);
    file.rewind().unwrap();
    file.read_exact(&mut bytes).unwrap();
    Memory(u64::from_ne_bytes(bytes))
}

fn block() -> Export {
    Export { start: DevicePtr(0x1000), bytes: 5000, id: 7 }
}

/// What the two sides saw.
struct Seen {
    asked: Option<Export>,
    taken: Vec<(Memory, u64)>,
    result: Result<Extent, FetchError>,
}

/// Serves one importer that asks for `handle`.
fn served(
    handle: impl FnOnce(Handle) -> Handle,
    pieces: Option<Pieces>,
    export: impl Fn(Memory) -> Result<OwnedFd, DriverError> + Send,
) -> Seen {
    let key = Key::random().unwrap();
    let mut server = Server::listen(key).unwrap();
    let handle = handle(Handle { key, process: 1, block: block() });
    let asked = Mutex::new(None);
    let mut taken = Vec::new();
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            let importer = loop {
                if let Some(importer) = server.accept().unwrap() {
                    break importer;
                }
            };
            let find = |block, send: &mut dyn FnMut(&Pieces)| {
                *asked.lock().unwrap() = Some(block);
                pieces.as_ref().map(send)
            };
            server.answer(importer, find, export).unwrap();
        });
        fetch(&handle, |piece, bytes| {
            taken.push((known_again(piece), bytes));
            Ok(())
        })
    });
    Seen { asked: asked.into_inner().unwrap(), taken, result }
}

fn pieces(count: u64) -> Pieces {
    let memory = (0..count).map(|number| (Memory(number), (number + 1) << 21)).collect();
    Pieces { memory, offset: 4096 }
}

#[test]
fn pieces_come_in_order_however_many() {
    for count in [1, 31, 32, 33, 100] {
        let pieces = pieces(count);
        let Seen { asked, taken, result } =
            served(|handle| handle, Some(pieces.clone()), |memory| Ok(descriptor(memory)));
        assert_eq!(asked, Some(block()));
        assert_eq!(taken, pieces.memory);
        assert_eq!(result, Ok(Extent { offset: 4096, bytes: 5000 }));
    }
}

#[test]
fn a_block_that_is_gone_is_an_error() {
    let Seen { taken, result, .. } = served(|handle| handle, None, |memory| Ok(descriptor(memory)));
    assert!(taken.is_empty());
    assert_eq!(result, Err(FetchError::Refused(DriverError::INVALID_VALUE)));
}

#[test]
fn a_piece_that_cannot_be_exported_is_an_error() {
    // In the second message.
    let export = |memory: Memory| match memory.0 {
        40 => Err(DriverError::NOT_SUPPORTED),
        _ => Ok(descriptor(memory)),
    };
    let Seen { taken, result, .. } = served(|handle| handle, Some(pieces(50)), export);
    assert_eq!(taken.len(), 32);
    assert_eq!(result, Err(FetchError::Refused(DriverError::NOT_SUPPORTED)));
}

#[test]
fn a_name_is_not_enough() {
    // The same socket, and not what only handles know.
    let guess = |handle: Handle| {
        let mut bytes = handle.to_bytes();
        bytes[31] ^= 1;
        match Handle::parse(&bytes) {
            Parsed::Ours(handle) => handle,
            _ => panic!("still a handle of ours"),
        }
    };
    let Seen { asked, taken, result } =
        served(guess, Some(pieces(1)), |memory| Ok(descriptor(memory)));
    assert_eq!(asked, None, "the pools are not even asked");
    assert!(taken.is_empty());
    assert_eq!(result, Err(FetchError::Refused(DriverError::INVALID_VALUE)));
}

#[test]
fn nobody_listens() {
    let handle = Handle { key: Key::random().unwrap(), process: 1, block: block() };
    assert_eq!(fetch(&handle, |_, _| Ok(())), Err(FetchError::Gone));
}
