//! Contexts that a fault of the device has broken.
//!
//! Once the host knows of a fault, the driver answers nearly every call in that context with it,
//! allocations and frees among them. The pools would serve those without asking; so they look at what
//! the driver answers to the program and to themselves, and leave a broken context to the driver.

use std::sync::atomic::{AtomicBool, Ordering};

use super::Pools;
use crate::driver::{Current, Driver, DriverError};
use crate::pool::Pool;

/// Whether a `CUresult` may be that of a broken context, for good.
const fn is_fatal(code: i32) -> bool {
    matches!(
        code,
        214 // ECC_UNCORRECTABLE
        | 220 // NVLINK_UNCORRECTABLE
        | 226 // CONTAINED
        | 700 // ILLEGAL_ADDRESS
        | 702 // LAUNCH_TIMEOUT
        | 710 // ASSERT
        | 714 // HARDWARE_STACK_ERROR
        | 715 // ILLEGAL_INSTRUCTION
        | 716 // MISALIGNED_ADDRESS
        | 717 // INVALID_ADDRESS_SPACE
        | 718 // INVALID_PC
        | 719 // LAUNCH_FAILED
        | 721 // TENSOR_MEMORY_LEAK
        | 999 // UNKNOWN
    )
}

/// Whether there is any broken context. Looked at in every allocation and free.
#[derive(Default)]
pub(super) struct Faults(AtomicBool);

impl<D: Driver> Pools<D> {
    /// The driver has answered a call with `code`. If that is a fault's, each context is asked.
    #[cold]
    pub fn answered(&self, code: i32) {
        if !is_fatal(code) {
            return;
        }
        for pool in self.table.all() {
            // Another thread may be destroying the context of this one.
            let Some(_held) = pool.lease.hold() else { continue };
            if !pool.is_broken() && self.is_faulty(&pool) {
                tracing::info!("a fault ({code}): the driver answers for its context from now on");
                pool.break_down();
                self.faults.0.store(true, Ordering::Release);
            }
        }
    }

    fn is_faulty(&self, pool: &Pool<D>) -> bool {
        let asked = Current::enter(&self.driver, pool.context)
            .and_then(|_current| pool.fences.check(&self.driver));
        asked.is_err_and(|error: DriverError| is_fatal(error.code()))
    }

    /// Whether `pool` is of a broken context.
    #[inline]
    pub(super) fn is_broken(&self, pool: &Pool<D>) -> bool {
        self.faults.0.load(Ordering::Acquire) && pool.is_broken()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::fake::FakeDriver;

    const MIB: u64 = 1 << 20;
    const ILLEGAL_ADDRESS: DriverError = match DriverError::from_code(700) {
        Some(error) => error,
        None => panic!("not success"),
    };

    fn pools(conf: &str) -> Pools<FakeDriver> {
        let (options, warnings) = Options::parse(conf, false);
        assert!(warnings.is_empty(), "{warnings:?}");
        Pools::new(FakeDriver::new(1024 * MIB).with_vmm(), &options)
    }

    #[test]
    fn a_broken_context_is_the_drivers() {
        for conf in ["order:lazy", "order:fence", "order:fence,backing:exact"] {
            let pools = pools(conf);
            let (a, b) = (pools.allocate(MIB).unwrap(), pools.allocate(MIB).unwrap());
            pools.free(a).unwrap();
            pools.driver().fail_next("event_done", ILLEGAL_ADDRESS);
            pools.answered(700);
            pools.driver().fail_next("allocate", ILLEGAL_ADDRESS);
            assert_eq!(pools.allocate(MIB), Err(ILLEGAL_ADDRESS), "{conf}");
            // How a free asks: by the driver's own, or where there is none, by an allocation.
            pools.driver().fail_next("allocate", ILLEGAL_ADDRESS);
            pools.driver().fail_next("free", ILLEGAL_ADDRESS);
            assert_eq!(pools.free(b), Err(ILLEGAL_ADDRESS), "{conf}");
        }
    }

    #[test]
    fn an_error_of_one_call_breaks_nothing() {
        for code in [1, 2, 600, 701, 719] {
            let pools = pools("");
            let ptr = pools.allocate(MIB).unwrap();
            pools.free(ptr).unwrap();
            pools.answered(code);
            assert_eq!(pools.allocate(MIB), Ok(ptr), "{code}: the context answers as ever");
        }
    }

    #[test]
    fn a_context_that_comes_after_is_sound() {
        let pools = pools("");
        pools.allocate(MIB).unwrap();
        pools.driver().fail_next("event_done", ILLEGAL_ADDRESS);
        pools.answered(700);
        let context = pools.driver().current_context().unwrap().unwrap();
        pools.context_ended(context);
        let again = pools.allocate(MIB).unwrap();
        pools.free(again).unwrap();
        assert_eq!(pools.allocate(MIB), Ok(again));
    }
}
