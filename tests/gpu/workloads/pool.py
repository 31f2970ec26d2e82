"""What the preloaded library tells of its pools, if there is one."""

import ctypes

# The places of fields in `struct cupool_stats`, and the number of fields.
ACTIVE = 1
RESERVED_BYTES_PEAK = 8
FIELDS = 23


def reserved_peak():
    """The most bytes ever taken from the driver, or None without a pool."""
    try:
        get = ctypes.CDLL(None).cupool_get_stats
    except AttributeError:
        return None
    get.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    stats = (ctypes.c_uint64 * FIELDS)()
    if get(stats, ctypes.sizeof(stats)) != 0 or stats[ACTIVE] != 1:
        raise RuntimeError("the library is loaded, but has no pool")
    return stats[RESERVED_BYTES_PEAK]
