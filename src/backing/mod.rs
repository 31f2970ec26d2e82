//! Where the pool's physical memory comes from.
//!
//! A backing owns the memory of one context: what is in the program's hands and what is idle. It
//! keeps its own lock, and never holds it across a driver call: it decides under the lock, calls
//! without it, and enters the outcome under it again. The pool's figures are kept under the same
//! lock, since every change of theirs is a change of the books too.

mod arena;
mod choice;
mod exact;
mod map;
mod sizes;

pub use arena::{Arena, Policy};
pub use choice::{
    FOREIGN_HANDLE, Kind, Surroundings, choose, launcher, shares_memory, wants_native,
};
pub use exact::Exact;
pub use map::{Holder, Piece, Segment};
pub use sizes::{GRANULE, round_up};

use crate::driver::{Device, DevicePtr, Driver, DriverError, Memory};
use crate::order::Stamp;
use crate::stats::{Counters, Kept};

/// Why idle memory stays where it is.
const REFUSED: &str = "the driver refused to take it back";
const MOVING: &str = "another thread moves it or gives it back";

/// Names a block within its backing while the program holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(pub u32);

/// A block about to go to the program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Where it begins.
    pub ptr: DevicePtr,
    /// Its size in bytes, at least what was asked for.
    pub bytes: u64,
    /// Its name.
    pub token: Token,
    /// The fence that must be in place before it is used.
    pub stamp: Stamp,
}

/// How far a context's fences have come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// What was freed before this fence may be handed out again.
    pub ordered: Stamp,
    /// What was freed before this fence is known to be done.
    pub quiesced: Stamp,
}

/// The physical memory behind a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// Each with its size in bytes, one behind the other.
    pub memory: Vec<(Memory, u64)>,
    /// Where in them the block begins, in bytes.
    pub offset: u64,
}

/// A moment in the life of a backing: memory that becomes idle is the more recent the more had done
/// so before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(pub u64);

impl Moment {
    /// After everything.
    pub const LAST: Self = Self(u64::MAX);
}

/// What a trim may take, least recently used first. Sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Take {
    /// So much stays idle.
    pub keep: u64,
    /// No more than this goes, but for the last piece, which goes as a whole.
    pub at_most: u64,
    /// What was used after this stays.
    pub unused_since: Moment,
    /// What was freed before this fence is known to be done; where giving back does not wait for the
    /// device, nothing else goes.
    pub quiesced: Stamp,
}

impl Take {
    /// Everything that the device is known to be done with at fence `quiesced`.
    pub const fn all(quiesced: Stamp) -> Self {
        Self { keep: 0, at_most: u64::MAX, unused_since: Moment::LAST, quiesced }
    }
}

/// What a trim did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Bytes given back to the driver.
    pub released: u64,
    /// Bytes that could go too, if the host had seen the work before their free done.
    pub pending: u64,
    /// What stayed although it was to go, and why.
    pub kept: Vec<Kept>,
}

/// Where physical memory comes from. Sizes are in bytes.
pub trait Backing<D: Driver>: Send + Sync {
    /// The word in the stats file.
    fn name(&self) -> &'static str;

    /// Whether each block is an allocation of the driver's own, which its free takes.
    fn is_native(&self) -> bool;

    /// Idle memory for `bytes`, whose stamp is not after `horizon`. Calls no driver.
    fn reuse(&self, bytes: u64, horizon: Stamp) -> Option<Block>;

    /// Memory for `bytes` with the driver's help, in the current context, and the program's blocks
    /// whose records turned out to be stale: they stood where the driver put it.
    ///
    /// # Errors
    /// Those of the driver, `OUT_OF_MEMORY` above all.
    fn grow(
        &self,
        driver: &D,
        bytes: u64,
        progress: Progress,
    ) -> Result<(Block, Vec<DevicePtr>), DriverError>;

    /// Takes a block back; idle from now on, to be used again behind fence `stamp`. Gives how many
    /// bytes are idle now.
    fn give(&self, token: Token, stamp: Stamp) -> u64;

    /// Takes a block back that is not idle before it is [given](Self::give), too. Gives its size.
    fn set_aside(&self, token: Token) -> u64;

    /// Gives idle memory back, in the current context.
    fn release(&self, driver: &D, take: Take) -> Trimmed;

    /// Gives idle memory back until at most `keep` bytes are idle.
    fn trim(&self, driver: &D, keep: u64, quiesced: Stamp) -> Trimmed {
        self.release(driver, Take { keep, ..Take::all(quiesced) })
    }

    /// This moment: what becomes idle from now on does so after it.
    fn moment(&self) -> Moment;

    /// Whether anything is idle that a [release](Self::release) could give back and that was not used
    /// after `unused_since`.
    fn has_unused(&self, unused_since: Moment) -> bool;

    /// Gives a block that is in the program's hands or [set aside](Self::set_aside) straight back
    /// to the driver by `free`, which waits as natively. Gives its size in bytes. Only for a backing
    /// that [is native](Self::is_native).
    ///
    /// # Errors
    /// Those of the driver.
    fn dispose(
        &self,
        token: Token,
        free: &mut dyn FnMut(DevicePtr) -> Result<(), DriverError>,
    ) -> Result<u64, DriverError>;

    /// Others than the program may reach the block, which it holds: once it is given, its memory goes
    /// back to the driver and is handed out to nobody. A native block is disposed of instead by who
    /// frees it.
    fn pin(&self, _token: Token) {}

    /// The physical memory behind a block that the program holds and that is [pinned](Self::pin). It
    /// stays behind it until the block is [let go](Self::let_go), even if it is given meanwhile.
    /// `None` if it cannot be shared by descriptor.
    fn hold(&self, _token: Token) -> Option<Pieces> {
        None
    }

    /// Undoes a [hold](Self::hold).
    fn let_go(&self, _token: Token) {}

    /// From now on `device`, too, may use all memory of the backing. What is native the driver itself
    /// opens.
    ///
    /// # Errors
    /// Those of the driver.
    fn open_to(&self, _driver: &D, _device: Device) -> Result<(), DriverError> {
        Ok(())
    }

    /// Start and requested size of the block in the program's hands that holds `ptr`.
    fn find(&self, ptr: DevicePtr) -> Option<(DevicePtr, u64)>;

    /// Whether `ptr` lies in any block of ours, whoever holds it.
    fn owns(&self, ptr: DevicePtr) -> bool;

    /// The driver handed `bytes` at `ptr` out to somebody else: whatever stood there for us is no
    /// more. Gives the starts of those blocks that the program held.
    fn evict(&self, ptr: DevicePtr, bytes: u64) -> Vec<DevicePtr>;

    /// Idle bytes: those that no block has.
    fn idle(&self) -> u64;

    /// Idle bytes that a trim gives back once the device is done with them.
    fn returnable(&self) -> u64 {
        self.idle()
    }

    /// Bytes that a trim is giving back at this moment.
    fn leaving(&self) -> u64;

    /// Bytes [set aside](Self::set_aside) and not given yet.
    fn aside(&self) -> u64;

    /// Changes the figures.
    fn count(&self, change: &mut dyn FnMut(&mut Counters));

    /// What is taken from the driver, by address. Holds up everybody meanwhile.
    fn segments(&self) -> Vec<Segment>;

    /// The context has ended, and the driver's allocations in it: empties the books, and gives back
    /// what outlives a context. Gives the starts of the blocks that the program held, and the last
    /// figures.
    fn end(&self, driver: &D) -> (Vec<DevicePtr>, Counters);
}
