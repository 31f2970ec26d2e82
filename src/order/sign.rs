//! The signs by which `auto` knows that somebody could tell a fence from a wait.

macro_rules! signs {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something a program did through which the host can see what the device has done without
        /// waiting for it, or the device can wait for the host.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Sign {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Sign {
            /// Every sign.
            pub const ALL: &[Sign] = &[$(Sign::$variant),+];

            /// The words in logs and in the stats file.
            pub const fn name(self) -> &'static str {
                match self { $(Sign::$variant => $name),+ }
            }
        }
    };
}

signs! {
    /// Page-locked host memory: kernels write what the host reads without any call.
    PinnedMemory = "pinned memory",
    /// Host memory registered with the driver.
    RegisteredMemory = "registered memory",
    /// Managed memory, `__managed__` variables included.
    ManagedMemory = "managed memory",
    /// Physical memory or a pool located on the host.
    HostLocatedMemory = "host-located memory",
    /// The device reaches any host memory.
    PageableAccess = "pageable memory access",
    /// A host function in a stream or graph.
    HostFunction = "host function",
    /// A stream callback.
    StreamCallback = "stream callback",
    /// A user object: its destructor runs on the host.
    UserObject = "user object",
    /// A graph's copy node, which may have a host operand.
    GraphHostCopy = "graph copy",
    /// A batch copy, which may have a host operand.
    BatchCopy = "batch copy",
    /// Memory or an event shared with another process.
    Ipc = "inter-process communication",
    /// Memory exported by a shareable handle.
    ShareableHandle = "shareable handle",
    /// Memory exported as a dma-buf.
    DmaBuf = "dma-buf",
    /// Memory imported from another API.
    ExternalMemory = "external memory",
    /// A semaphore imported from another API.
    ExternalSemaphore = "external semaphore",
    /// A resource shared with a graphics API.
    GraphicsInterop = "graphics interoperation",
    /// A block whose copies are to be synchronous.
    SyncMemops = "synchronous memory operations",
    /// A peer-to-peer token: another device reads the memory.
    P2pToken = "peer-to-peer token",
    /// A stream that waits for a value in memory.
    StreamWaitValue = "stream wait on a value",
    /// A second context.
    SecondContext = "second context",
    /// A second device.
    SecondDevice = "second device",
    /// A second thread with a current context.
    SecondThread = "second thread",
    /// A green context.
    GreenContext = "green context",
    /// A version of a watched entry point that is not known.
    UnknownVariant = "unknown entry point",
}
