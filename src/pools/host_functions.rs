//! Host functions: CUDA permits none of its calls there, and a free that asks nobody would succeed.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Pools;
use crate::driver::Driver;
use crate::order::Sign;

/// Whether the program has host functions. Looked at in every free.
#[derive(Default)]
pub(super) struct HostFunctions(AtomicBool);

impl HostFunctions {
    /// A call gave `sign`.
    pub(super) fn see(&self, sign: Sign) {
        if matches!(sign, Sign::HostFunction | Sign::StreamCallback | Sign::UserObject) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl<D: Driver> Pools<D> {
    /// Whether the driver is to say if the calling thread may free: it may be in a host function.
    #[inline]
    pub(super) fn may_be_host_function(&self) -> bool {
        // The driver's own threads have no context of the program's, or cannot even ask for it.
        self.host_functions.0.load(Ordering::Relaxed)
            && !matches!(self.driver.current_context(), Ok(Some(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::driver::DriverError;
    use crate::fake::FakeDriver;

    const MIB: u64 = 1 << 20;
    const NOT_PERMITTED: DriverError = match DriverError::from_code(800) {
        Some(error) => error,
        None => panic!("not success"),
    };

    #[test]
    fn a_free_that_the_driver_would_refuse_is_refused() {
        for conf in ["order:lazy", "order:fence", "order:strict", "order:lazy,backing:exact"] {
            let (options, _) = Options::parse(conf, false);
            let pools = Pools::new(FakeDriver::new(1024 * MIB).with_vmm(), &options);
            let ptr = pools.allocate(MIB).unwrap();
            pools.sign(Sign::HostFunction);
            pools.driver().fail_next("current_context", NOT_PERMITTED);
            // How the driver is asked: by the free itself, or where there is none, by an allocation.
            pools.driver().fail_next("free", NOT_PERMITTED);
            pools.driver().fail_next("allocate", NOT_PERMITTED);
            assert_eq!(pools.free(ptr), Err(NOT_PERMITTED), "{conf}");
            pools.driver().forget_faults();
            assert_eq!(pools.free(ptr), Ok(()), "{conf}: it stayed the program's");
        }
    }
}
