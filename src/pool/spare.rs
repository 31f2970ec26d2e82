//! What of a pool's memory is as good as free.

use super::Pool;
use crate::driver::Driver;

impl<D: Driver> Pool<D> {
    /// Bytes that a flush would give back, now or as soon as the device is done with them.
    pub fn returnable(&self, driver: &D) -> u64 {
        // A fault shows in the program's own next call.
        let _ = self.collect(driver);
        if self.backing.is_native() {
            return self.front.idle() + self.backing.returnable() + self.backing.aside();
        }
        // What is free in front of the backing may make whole handles free there.
        self.drain();
        self.backing.returnable()
    }

    /// The same at most, without disturbing anybody: what is free in front of the backing may lie
    /// beside blocks in use.
    pub fn returnable_at_most(&self) -> u64 {
        self.front.idle() + self.backing.returnable() + self.backing.aside()
    }
}
