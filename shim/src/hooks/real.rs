//! A hook's way to the function it stands for, and the macro that makes hooks.

use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{libcuda, thunk};

/// The driver's function behind one hook.
pub struct Real {
    symbol: &'static CStr,
    /// 0 until it is first needed or looked up.
    found: AtomicUsize,
}

impl Real {
    pub(super) const fn new(symbol: &'static CStr) -> Self {
        Self { symbol, found: AtomicUsize::new(0) }
    }

    /// A look-up by the program found the function at `address`. The first finding stays: where the
    /// driver has two addresses for the same variant, each is as good.
    pub fn set(&self, address: usize) {
        let _ = self.found.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Its address, or that of a function that returns the error for its absence.
    #[inline]
    pub(super) fn address(&self) -> usize {
        match self.found.load(Ordering::Relaxed) {
            0 => self.find(),
            found => found,
        }
    }

    #[cold]
    fn find(&self) -> usize {
        let Some(driver) = libcuda::get() else { return libcuda::not_loaded as *const () as usize };
        match driver.symbol(self.symbol) {
            0 => thunk::missing as *const () as usize,
            found => {
                self.set(found);
                found
            }
        }
    }
}

/// Makes hooks, and the rows of the table for them. First `NAME of kind, abi;` for the rows, then
/// for each function `symbol since version (arguments) = module::function(what it needs of them);`:
/// the exported function calls that one, with the real call as a closure in front.
///
/// The ABI is `"C"`, or `"C-unwind"` for functions that may block while nothing of ours is held: a
/// thread that is cancelled there is unwound through the hook as it would be without it.
macro_rules! hooks {
    ($rows:ident of $what:path, $abi:literal;
     $($symbol:ident since $since:literal ($($argument:ident: $type:ty),*)
        = $module:ident::$function:ident($($pass:expr),*);)+) => {
        /// The rows of the functions here.
        pub static $rows: &[$crate::table::Row] = &[$({
            static REAL: Real = Real::new($crate::ffi::symbol!($symbol));
            /// Stands for the driver's function of that name.
            ///
            /// # Safety
            /// As for that function.
            #[unsafe(no_mangle)]
            #[allow(non_snake_case)]
            unsafe extern $abi fn $symbol($($argument: $type),*) -> Status {
                let real = || {
                    // SAFETY: the address is that of the driver's function, or of one that takes
                    // nothing and returns an error.
                    unsafe {
                        let real: unsafe extern $abi fn($($type),*) -> Status =
                            std::mem::transmute(REAL.address());
                        real($($argument),*)
                    }
                };
                // SAFETY: the program calls as the driver's function wants it.
                unsafe { $module::$function(real $(, $pass)*) }
            }
            $crate::table::Row::new(
                $crate::ffi::symbol!($symbol),
                $since,
                $what($crate::table::Code($symbol as *const ()), &REAL),
            )
        }),+];
    };
}
pub(super) use hooks;
