//! A device: its memory, its addresses, and what it says about itself.

use std::collections::BTreeMap;
use std::ffi::c_char;

use crate::abi::{Out, Text, Uuid};
use crate::backing;
use crate::error::{Api, Error};
use crate::hazard::Range;
use crate::ledger::Ledger;
use crate::memory_pool::Pool;
use crate::settings::SETTINGS;
use crate::state;

/// The device's addresses are sought from here, far from where the host's heap and stacks are.
const FIRST_ADDRESS: u64 = 0x1000_0000_0000;
/// Addresses of a device: many times its memory, as on a real one, for programs that reserve much.
const ADDRESSES: u64 = 4 << 40;
const NAME: &str = "Simulated GPU";

/// One simulated device.
pub struct Device {
    /// Bytes of memory.
    pub capacity: u64,
    used: u64,
    /// What other processes have taken.
    ledger: Option<Ledger>,
    /// Where stream-ordered memory comes from.
    pub pool: Pool,
    addresses: Range,
    /// Free addresses: length by start; neighbours are joined.
    holes: BTreeMap<u64, u64>,
}

impl Device {
    /// Device number `ordinal`.
    pub fn new(ordinal: usize) -> Result<Self, Error> {
        let capacity = SETTINGS.memory;
        let addresses = backing::reserve(FIRST_ADDRESS + ordinal as u64 * ADDRESSES, ADDRESSES)?;
        let aligned = addresses.start.next_multiple_of(1 << 21);
        Ok(Self {
            capacity,
            used: 0,
            ledger: SETTINGS.shared.as_deref().map(|path| Ledger::open(path, ordinal)),
            pool: Pool::default(),
            addresses,
            holes: BTreeMap::from([(aligned, addresses.end - aligned)]),
        })
    }

    /// Bytes not taken.
    pub fn free(&self) -> u64 {
        let others = self.ledger.as_ref().map_or(0, Ledger::others);
        self.capacity.saturating_sub(self.used + others)
    }

    /// The address is one of this device.
    pub fn owns(&self, address: u64) -> bool {
        (self.addresses.start..self.addresses.end).contains(&address)
    }

    /// Takes memory.
    pub fn take(&mut self, bytes: u64) -> Api {
        let used = self.used + bytes;
        let fits = match &self.ledger {
            Some(ledger) => ledger.enter_if(used, |others| used + others <= self.capacity),
            None => used <= self.capacity,
        };
        if !fits {
            return Err(Error::OUT_OF_MEMORY);
        }
        self.used = used;
        Ok(())
    }

    /// Gives memory back.
    pub fn give(&mut self, bytes: u64) {
        self.used -= bytes;
        if let Some(ledger) = &self.ledger {
            ledger.enter_if(self.used, |_| true);
        }
    }

    /// Finds addresses: the lowest that are free, so that freed ones soon come again.
    pub fn place(&mut self, bytes: u64, alignment: u64) -> Api<u64> {
        let fitting = self.holes.iter().find_map(|(&start, &length)| {
            let at = start.next_multiple_of(alignment);
            (at + bytes <= start + length).then_some((start, length, at))
        });
        let (start, length, at) = fitting.ok_or(Error::OUT_OF_MEMORY)?;
        self.carve(start, length, at, bytes);
        Ok(at)
    }

    /// Takes the addresses from `at` on, if they are free.
    pub fn place_at(&mut self, at: u64, bytes: u64) -> bool {
        let Some((&start, &length)) = self.holes.range(..=at).next_back() else { return false };
        let fits = at + bytes <= start + length;
        if fits {
            self.carve(start, length, at, bytes);
        }
        fits
    }

    fn carve(&mut self, start: u64, length: u64, at: u64, bytes: u64) {
        self.holes.remove(&start);
        if at > start {
            self.holes.insert(start, at - start);
        }
        if at + bytes < start + length {
            self.holes.insert(at + bytes, start + length - at - bytes);
        }
    }

    /// Gives addresses back.
    pub fn displace(&mut self, mut start: u64, mut bytes: u64) {
        if let Some(after) = self.holes.remove(&(start + bytes)) {
            bytes += after;
        }
        if let Some((&before, &length)) = self.holes.range(..start).next_back()
            && before + length == start
        {
            self.holes.remove(&before);
            start = before;
            bytes += length;
        }
        self.holes.insert(start, bytes);
    }
}

/// A device ordinal that exists.
pub fn check(device: i32) -> Api<usize> {
    let ordinal = usize::try_from(device).map_err(|_| Error::INVALID_DEVICE)?;
    if ordinal < SETTINGS.devices { Ok(ordinal) } else { Err(Error::INVALID_DEVICE) }
}

/// `cuInit`
pub fn init(flags: u32) -> Api {
    if flags != 0 {
        return Err(Error::INVALID_VALUE);
    }
    if SETTINGS.devices == 0 {
        return Err(Error::NO_DEVICE);
    }
    state::initialise()
}

/// `cuDriverGetVersion`
pub fn driver_get_version(version: Out<i32>) -> Api {
    version.set(SETTINGS.driver_version)
}

/// `cuDeviceGet`
pub fn get(device: Out<i32>, ordinal: i32) -> Api {
    check(ordinal)?;
    device.set(ordinal)
}

/// `cuDeviceGetCount`
pub fn get_count(count: Out<i32>) -> Api {
    count.set(SETTINGS.devices as i32)
}

/// `cuDeviceGetName`
pub fn get_name(name: Out<c_char>, size: i32, device: i32) -> Api {
    check(device)?;
    name.set_text(NAME, usize::try_from(size).map_err(|_| Error::INVALID_VALUE)?)
}

/// `cuDeviceTotalMem_v2`
pub fn total_mem(bytes: Out<usize>, device: i32) -> Api {
    check(device)?;
    bytes.set(SETTINGS.memory as usize)
}

/// `cuDeviceGetUuid`, `cuDeviceGetUuid_v2`
pub fn get_uuid(uuid: Out<Uuid>, device: i32) -> Api {
    let mut bytes = *b"simulated-gpu-00";
    bytes[15] += check(device)? as u8;
    uuid.set(Uuid(bytes))
}

/// `cuDeviceGetPCIBusId`
pub fn get_pci_bus_id(text: Out<c_char>, size: i32, device: i32) -> Api {
    let bus = check(device)? + 1;
    let size = usize::try_from(size).map_err(|_| Error::INVALID_VALUE)?;
    text.set_text(&format!("0000:{bus:02X}:00.0"), size)
}

/// `cuDeviceGetByPCIBusId`
pub fn get_by_pci_bus_id(device: Out<i32>, text: Text) -> Api {
    let text = text.get()?;
    let bus = text.split(':').nth_back(1).and_then(|bus| i32::from_str_radix(bus, 16).ok());
    let ordinal = bus.ok_or(Error::INVALID_VALUE)? - 1;
    check(ordinal)?;
    device.set(ordinal)
}

/// `cuDeviceGetAttribute`: those that programs ask for; others are 0.
pub fn get_attribute(value: Out<i32>, attribute: i32, device: i32) -> Api {
    check(device)?;
    let vmm = i32::from(!SETTINGS.no_vmm);
    let linux = i32::from(!SETTINGS.wsl);
    value.set(match attribute {
        1 => 1024,                          // MAX_THREADS_PER_BLOCK
        2..=4 => 1024,                      // MAX_BLOCK_DIM_X, _Y, _Z
        5..=7 => 65535,                     // MAX_GRID_DIM_X, _Y, _Z
        8 => 48 << 10,                      // MAX_SHARED_MEMORY_PER_BLOCK
        10 => 32,                           // WARP_SIZE
        16 => 132,                          // MULTIPROCESSOR_COUNT
        19 => 1,                            // CAN_MAP_HOST_MEMORY
        31 => 1,                            // CONCURRENT_KERNELS
        33 => device + 1,                   // PCI_BUS_ID
        41 => 1,                            // UNIFIED_ADDRESSING
        75 => 9,                            // COMPUTE_CAPABILITY_MAJOR
        78 => 1,                            // STREAM_PRIORITIES_SUPPORTED
        83 => 1,                            // MANAGED_MEMORY
        88 => i32::from(SETTINGS.pageable), // PAGEABLE_MEMORY_ACCESS
        89 => linux,                        // CONCURRENT_MANAGED_ACCESS
        92 | 93 => 1,                       // CAN_USE_STREAM_MEM_OPS_V1, 64_BIT
        // VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, POSIX_FILE_DESCRIPTOR handles, RDMA with it
        102 => vmm,
        103 | 110 => vmm & linux,
        115 => 1,     // MEMORY_POOLS_SUPPORTED
        116 => linux, // GPU_DIRECT_RDMA_SUPPORTED
        124 => linux, // DMA_BUF_SUPPORTED
        _ => 0,
    })
}

/// `cuDeviceCanAccessPeer`
pub fn can_access_peer(able: Out<i32>, device: i32, peer: i32) -> Api {
    able.set(i32::from(check(device)? != check(peer)? && SETTINGS.peers))
}
