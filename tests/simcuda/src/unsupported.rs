//! Functions that a driver has and the simulation has not: they exist, so that a library in front
//! of the driver can be seen to notice them, and answer `CUDA_ERROR_NOT_SUPPORTED`.

use crate::context;
use crate::error::{Api, Error};
use crate::state;

/// Any function that needs a context. The parameters do not matter: in the C calling convention,
/// a function may take fewer than it is given.
pub fn in_context() -> Api {
    context::current(&state::lock())?;
    Err(Error::NOT_SUPPORTED)
}
