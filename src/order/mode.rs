//! The order in force, and how `auto` leaves `fence` for `strict`.

use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use super::Sign;
use crate::config::Order;

/// What a free does to keep later work behind earlier work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mode {
    /// The host waits for the device, as natively.
    Strict,
    /// A context fence; the host's wait is owed.
    Fence,
    /// Nothing; a fence goes before reuse.
    Lazy,
    /// Nothing at all. Only for showing that the hazard tests see a missing fence.
    Unordered,
}

impl Mode {
    /// The word in the stats file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Fence => "fence",
            Self::Lazy => "lazy",
            Self::Unordered => "unordered",
        }
    }

    const fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Fence,
            2 => Self::Lazy,
            3 => Self::Unordered,
            _ => Self::Strict,
        }
    }
}

/// The order configured and the one in force.
pub struct ModeSwitch {
    configured: Order,
    mode: AtomicU8,
    /// Why the mode is not the configured one.
    reason: Mutex<&'static str>,
}

impl ModeSwitch {
    /// `has_fence`: whether the driver has context events; without them only `strict` is left.
    pub fn new(configured: Order, has_fence: bool) -> Self {
        let wanted = match configured {
            Order::Strict => Mode::Strict,
            Order::Fence | Order::Auto => Mode::Fence,
            Order::Lazy => Mode::Lazy,
            Order::Unordered => Mode::Unordered,
        };
        let (mode, reason) = match wanted {
            Mode::Fence | Mode::Lazy if !has_fence => {
                (Mode::Strict, "the driver has no context events (12.5 and later have them)")
            }
            mode => (mode, ""),
        };
        Self { configured, mode: AtomicU8::new(mode as u8), reason: Mutex::new(reason) }
    }

    /// The order in force.
    pub fn mode(&self) -> Mode {
        Mode::from_u8(self.mode.load(Ordering::Acquire))
    }

    /// The order asked for.
    pub fn configured(&self) -> Order {
        self.configured
    }

    /// Why the order in force is not what it was at first; empty if it is.
    pub fn reason(&self) -> &'static str {
        *self.reason.lock()
    }

    /// Whether a sign would change anything.
    pub fn watches(&self) -> bool {
        self.configured == Order::Auto && self.mode() == Mode::Fence
    }

    /// `sign` was seen. True for the one call that went over to `strict`.
    pub fn see(&self, sign: Sign) -> bool {
        if !self.watches() {
            return false;
        }
        let mut reason = self.reason.lock();
        if !self.watches() {
            return false;
        }
        *reason = sign.name();
        self.mode.store(Mode::Strict as u8, Ordering::Release);
        true
    }
}
