"""Every function of cupool.h at every time of a process, by ctypes; what api.c does in C."""

import ctypes
import errno
import os

WORDS = """size active pools allocated_bytes allocated_bytes_peak requested_bytes
requested_bytes_peak reserved_bytes reserved_bytes_peak idle_bytes allocations allocations_total
frees_total segments hits misses num_alloc_retries num_ooms num_device_alloc num_device_free fences
host_syncs dump_failures num_device_move""".split()


class Stats(ctypes.Structure):
    _fields_ = [(word, ctypes.c_uint64) for word in WORDS]


process = ctypes.CDLL(None, use_errno=True)


def ok(result):
    assert result == 0, result


def dump(path):
    ctypes.set_errno(0)
    if process.cupool_stats_dump(path) == 0:
        return "written"
    return errno.errorcode[ctypes.get_errno()]


def stats():
    words = Stats()
    ok(process.cupool_get_stats(ctypes.byref(words), ctypes.c_size_t(ctypes.sizeof(words))))
    assert words.size == ctypes.sizeof(words)
    return words


def at(when, path):
    given_back = "some" if process.cupool_empty_cache() else "none"
    process.empty_cache()
    now = stats()
    assert now.reserved_bytes == now.allocated_bytes + now.idle_bytes
    process.cupool_reset_peak_stats()
    assert stats().requested_bytes_peak == now.requested_bytes
    print(
        f"{when}: given back {given_back}, active {now.active}, pools {now.pools}, "
        f"blocks {now.allocations} of {now.allocations_total}, dump {dump(path)}, "
        f"to the configured place {dump(None)}",
        flush=True,
    )
    assert b"." in process.cupool_version()


def sizes():
    whole = bytes(stats())
    for size in (0, 1, 7, 8, 100, len(whole), len(whole) + 1, len(whole) + 64):
        some = ctypes.create_string_buffer(b"\xa5" * 300, 300)
        ok(process.cupool_get_stats(some, ctypes.c_size_t(size)))
        known = min(size, len(whole))
        expected = whole[:known] + b"\0" * (size - known) + b"\xa5" * (300 - size)
        assert some.raw == expected, size
    assert process.cupool_get_stats(None, ctypes.c_size_t(8)) == -1
    assert ctypes.get_errno() == errno.EINVAL
    print("every size", flush=True)


def paths():
    os.mkdir("everybodys")
    os.chmod("everybodys", 0o777)
    os.mkdir("directory", 0o700)
    for what, path in (
        ("nowhere", b"no/such/place.json"),
        ("below a file", b"/dev/null/x.json"),
        ("in a directory that is everybody's", b"everybodys/x.json"),
        ("over a directory", b"directory"),
        ("with too long a name", b"x" * 4999),
        ("with a name that is no text", b"\xff.json"),
        ("with no name", b""),
    ):
        print(what, dump(path), flush=True)


def main():
    process.cupool_empty_cache.restype = ctypes.c_size_t
    process.cupool_version.restype = ctypes.c_char_p
    process.cupool_stats_dump.argtypes = [ctypes.c_char_p]
    cuda = ctypes.CDLL("libcuda.so.1")
    at("before", b"before.json")
    sizes()
    context, live, freed = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_uint64()
    ok(cuda.cuInit(0))
    at("initialised", b"initialised.json")
    ok(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0))
    ok(cuda.cuMemAlloc_v2(ctypes.byref(live), ctypes.c_size_t(4 << 20)))
    ok(cuda.cuMemAlloc_v2(ctypes.byref(freed), ctypes.c_size_t(64 << 20)))
    ok(cuda.cuMemFree_v2(freed))
    at("in use", b"in-use-%p.json")
    sizes()
    paths()
    child = os.fork()
    if child == 0:
        at("in a child", b"child.json")
        sizes()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    ok(cuda.cuCtxDestroy_v2(context))
    at("after its end", b"after.json")
    sizes()


if hasattr(process, "cupool_version"):
    main()
else:
    print("no cupool")
