//! The state of the whole simulation, behind one lock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::capture::Capture;
use crate::context::Context;
use crate::device::Device;
use crate::engine;
use crate::error::{Api, Error};
use crate::event::Event;
use crate::graph::{Executable, Graph};
use crate::hazard::Shadow;
use crate::kernels::Program;
use crate::memory::Memory;
use crate::settings::SETTINGS;
use crate::stream::Stream;
use crate::timeline::Engine;
use crate::vmm::Physical;

/// Everything.
#[derive(Default)]
pub struct Sim {
    /// By ordinal.
    pub devices: Vec<Device>,
    /// Those that exist; a primary context between its release and the next retain does not.
    pub contexts: BTreeMap<usize, Context>,
    /// How often each device's primary context is retained.
    pub retained: BTreeMap<usize, u32>,
    /// All streams, default streams included.
    pub streams: BTreeMap<usize, Stream>,
    /// All events.
    pub events: BTreeMap<usize, Event>,
    /// Captures that have begun and not ended.
    pub captures: BTreeMap<u64, Capture>,
    /// Graphs.
    pub graphs: BTreeMap<usize, Graph>,
    /// Instantiated graphs.
    pub executables: BTreeMap<usize, Executable>,
    /// Loaded modules: the context of each.
    pub modules: BTreeMap<usize, usize>,
    /// The functions that programs hold.
    pub functions: BTreeMap<usize, Program>,
    /// Physical memory of `cuMemCreate`.
    pub physical: BTreeMap<u64, Physical>,
    /// Reserved address ranges: bytes by start.
    pub reservations: BTreeMap<u64, u64>,
    /// Address spaces.
    pub memory: Memory,
    /// Who uses what.
    pub shadow: Shadow,
    /// What runs.
    pub engine: Engine,
    handles: usize,
}

impl Sim {
    /// A handle that nothing else has or had, shaped like an address.
    pub fn new_handle(&mut self) -> usize {
        self.handles += 1;
        0x0c00_0000_0000 + self.handles * 0x40
    }
}

static SIM: Mutex<Option<Sim>> = Mutex::new(None);
/// The process that called `cuInit`; 0 before.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// The process is past `exit`.
static ENDED: AtomicU32 = AtomicU32::new(0);

/// Locks the state.
pub fn lock() -> Locked {
    Locked(SIM.lock())
}

/// The state, locked. Dereferences to [`Sim`].
pub struct Locked(MutexGuard<'static, Option<Sim>>);

impl Locked {
    /// The underlying guard, for condition variables.
    pub fn guard(&mut self) -> &mut MutexGuard<'static, Option<Sim>> {
        &mut self.0
    }
}

impl std::ops::Deref for Locked {
    type Target = Sim;
    fn deref(&self) -> &Sim {
        self.0.as_ref().expect("dispatch lets no call through before cuInit")
    }
}

impl std::ops::DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Sim {
        self.0.as_mut().expect("dispatch lets no call through before cuInit")
    }
}

/// Makes the state, once in a process.
pub fn initialise() -> Api {
    // A forked child must not even try the lock: another thread may have held it.
    if OWNER.load(Ordering::Acquire) != 0 {
        return check_initialised();
    }
    let mut sim = SIM.lock();
    if sim.is_some() {
        return Ok(());
    }
    let devices = (0..SETTINGS.devices).map(Device::new).collect::<Result<_, _>>()?;
    *sim = Some(Sim { devices, ..Sim::default() });
    OWNER.store(process(), Ordering::Release);
    // SAFETY: `end` is an `extern "C"` function without arguments, as `atexit` wants it.
    unsafe { libc::atexit(end) };
    drop(sim);
    engine::start();
    Ok(())
}

/// `cuInit` has been called, in this very process, and the process is not ending.
pub fn check_initialised() -> Api {
    if ENDED.load(Ordering::Acquire) != 0 {
        return Err(Error::DEINITIALIZED);
    }
    if OWNER.load(Ordering::Acquire) == process() { Ok(()) } else { Err(Error::NOT_INITIALIZED) }
}

extern "C" fn end() {
    if OWNER.load(Ordering::Acquire) == process() {
        ENDED.store(1, Ordering::Release);
        crate::dispatch::write_counts();
        crate::dispatch::write_left();
    }
}

fn process() -> i32 {
    // SAFETY: no preconditions.
    unsafe { libc::getpid() }
}

/// The calling thread, as the kernel numbers it.
pub fn thread() -> i32 {
    // SAFETY: no preconditions.
    unsafe { libc::gettid() }
}
