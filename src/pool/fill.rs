//! Overwriting memory that changes hands.

use super::Pool;
use crate::driver::{Current, DevicePtr, Driver, DriverError, Relaxed, Stream};
use crate::order::Captures;

impl<D: Driver> Pool<D> {
    /// Overwrites a block, behind all work that was submitted so far and before all that is from now
    /// on. The host does not wait, but where there are no context events.
    ///
    /// Not during a capture, in which nothing can be ordered behind other work, and not where the
    /// driver refuses: it is an aid to find mistakes, and must not make any.
    pub fn fill(&self, driver: &D, captures: &Captures, ptr: DevicePtr, bytes: u64, byte: u8) {
        if captures.any() || self.is_broken() {
            return;
        }
        if let Err(error) = self.try_fill(driver, captures, ptr, bytes, byte) {
            tracing::debug!("a block was not filled: {error}");
        }
    }

    fn try_fill(
        &self,
        driver: &D,
        captures: &Captures,
        ptr: DevicePtr,
        bytes: u64,
        byte: u8,
    ) -> Result<(), DriverError> {
        let order = || {
            if driver.has_context_events() {
                self.fences.place(driver, captures)
            } else {
                self.fences.synchronize(driver, captures)
            }
        };
        let _relaxed = Relaxed::enter(driver);
        let _current = Current::enter(driver, self.context)?;
        let stream = self.fill_stream(driver)?;
        order()?;
        driver.fill(ptr, byte, bytes, stream)?;
        order().map(drop)
    }

    /// A stream of our own: none of the program's can be captured together with it.
    fn fill_stream(&self, driver: &D) -> Result<Stream, DriverError> {
        if let Some(&stream) = self.fill_stream.get() {
            return Ok(stream);
        }
        let made = driver.create_stream()?;
        // Of two that were made at once, one is never used.
        Ok(*self.fill_stream.get_or_init(|| made))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Options;
    use crate::driver::Stream;
    use crate::fake::FakeDriver;
    use crate::pools::Pools;

    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(conf, false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(FakeDriver::new(1 << 30).with_vmm(), &options)
    }

    #[test]
    fn each_block_is_filled_when_it_comes_and_when_it_goes() {
        for (conf, filled) in [
            ("fill:none", [].as_slice()),
            ("fill:zero", &[(0, 1000), (0, 1000)]),
            ("fill:junk,backing:exact", &[(0xa5, 1000), (0x5a, 1000)]),
            ("fill:junk,order:strict", &[(0xa5, 1000), (0x5a, 1000)]),
        ] {
            let pools = pools(conf);
            let ptr = pools.allocate(1000).unwrap();
            pools.free(ptr).unwrap();
            assert_eq!(pools.driver().filled(), filled, "{conf}");
        }
    }

    #[test]
    fn a_fence_stands_on_either_side() {
        let pools = pools("fill:junk,order:fence");
        pools.allocate(1000).unwrap();
        assert_eq!(pools.driver().count("record_context"), 2);
        assert_eq!(pools.driver().count("context_waits"), 2);
    }

    #[test]
    fn nothing_is_filled_during_a_capture() {
        let pools = pools("fill:junk");
        let stream = Stream(7);
        pools.begin_capture(stream, || pools.driver().start_capture(stream));
        let ptr = pools.allocate(1000).unwrap();
        pools.free(ptr).unwrap();
        assert_eq!(pools.driver().filled(), []);
        assert!(!pools.driver().invalidated());
    }
}
