//! What is kept about few blocks, apart from the records of all: a block is *marked* in the map of
//! pointers when there is something here, so that the free of any other does not look.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::driver::DevicePtr;
use crate::ptrmap::{Entry, PtrMap};

/// What is kept about a block.
#[derive(Clone, Copy, Default)]
pub(super) struct Mark {
    /// Its buffer id; 0 as long as nobody has asked.
    buffer_id: u64,
    /// Somebody may reach it by other means than its address, even after its free.
    pub(super) pinned: bool,
}

/// Buffer ids begin here: far from those of the driver, which counts from 1.
const FIRST_BUFFER_ID: u64 = 1 << 62;

/// The marks of all blocks that the program holds, by start.
#[derive(Default)]
pub(super) struct Marks {
    marks: Mutex<HashMap<u64, Mark>>,
    identified: AtomicU64,
}

impl Marks {
    /// Changes the mark of the block that starts at `ptr`, and gives its entry; `None` if there is
    /// none.
    fn change(
        &self,
        blocks: &PtrMap,
        ptr: DevicePtr,
        act: impl FnOnce(&mut Mark),
    ) -> Option<Entry> {
        // Locked first: a free that finds the block marked waits for what is kept about it.
        let mut marks = self.marks.lock();
        let entry = blocks.mark(ptr)?;
        let mark = marks.entry(ptr.0).or_default();
        if !entry.is_marked() {
            // Left by a block that went without a free, with its context.
            *mark = Mark::default();
        }
        act(mark);
        Some(entry)
    }

    /// The buffer id of the block that starts at `ptr`: no other block has or had it.
    pub(super) fn buffer_id(&self, blocks: &PtrMap, ptr: DevicePtr) -> Option<u64> {
        let mut id = 0;
        self.change(blocks, ptr, |mark| {
            if mark.buffer_id == 0 {
                let earlier = self.identified.fetch_add(1, Ordering::Relaxed);
                mark.buffer_id = FIRST_BUFFER_ID + earlier;
            }
            id = mark.buffer_id;
        })?;
        Some(id)
    }

    /// The block that starts at `ptr` is not to be recycled.
    pub(super) fn pin(&self, blocks: &PtrMap, ptr: DevicePtr) -> Option<Entry> {
        self.change(blocks, ptr, |mark| mark.pinned = true)
    }

    /// What was kept about a block that was marked and is free now.
    #[cold]
    pub(super) fn take(&self, ptr: DevicePtr) -> Mark {
        self.marks.lock().remove(&ptr.0).unwrap_or_default()
    }

    /// The block was not freed after all.
    pub(super) fn restore(&self, ptr: DevicePtr, mark: Mark) {
        self.marks.lock().insert(ptr.0, mark);
    }
}
