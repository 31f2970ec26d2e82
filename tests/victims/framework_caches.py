"""A Python process with frameworks that cache device memory: modules of the names and with the
functions that PyTorch and CuPy have. Says whether somebody has emptied them, and how."""

import ctypes
import sys
import threading
import time
import types

BLOCKS, BYTES = 4, 64 << 20
PATIENCE_S = 10
# What code that runs here without being asked could overwrite.
empty, name, loaded, bits, device = "mine", "mine", "mine", "mine", "mine"

cuda = ctypes.CDLL("libcuda.so.1")
context, stream = ctypes.c_void_p(), ctypes.c_void_p()


def ok(result):
    if result != 0:
        raise RuntimeError(f"CUresult {result}")


def allocate():
    pointer = ctypes.c_uint64()
    ok(cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(BYTES)))
    return pointer


class Cache:
    """What a framework keeps. `emptied_by` are the threads that emptied it."""

    def __init__(self):
        self.fill()
        self.emptied_by = []

    def fill(self):
        self.blocks = [allocate() for _ in range(BLOCKS)]

    def free(self):
        self.emptied_by.append(threading.get_ident())
        while self.blocks:
            ok(cuda.cuMemFree_v2(self.blocks.pop()))

    # Of CuPy's pools.
    free_all_blocks = free


class Device:
    """CuPy's, with `with`."""

    def __init__(self, number):
        assert number == 0, number

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def torch(cache):
    module = types.ModuleType("torch")
    module.cuda = types.SimpleNamespace(is_initialized=lambda: True, empty_cache=cache.free)
    return module


def cupy(cache, own):
    module = types.ModuleType("cupy")
    module.get_default_memory_pool = lambda: cache
    module.cuda = types.SimpleNamespace(Device=Device, get_allocator=lambda: own.free)
    return module


def fails():
    raise SystemExit("from within")


def slowly(cache):
    cache.emptied_by.append(threading.get_ident())
    time.sleep(0.3)
    cache.free()
    print("emptied", flush=True)


def wait_for(what):
    end = time.monotonic() + PATIENCE_S
    while not what() and time.monotonic() < end:
        pass


def main(mode):
    ok(cuda.cuInit(0))
    ok(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0))
    caches = [Cache(), Cache(), Cache()]
    sys.modules["torch"] = torch(caches[0])
    sys.modules["cupy"] = cupy(caches[1], caches[2])
    if mode == "fails":
        sys.modules["torch"].cuda.empty_cache = fails
    if mode == "exits":
        sys.modules["torch"].cuda.empty_cache = lambda: slowly(caches[0])
    if mode == "absent":
        del sys.modules["torch"], sys.modules["cupy"]
    if mode == "capture":
        ok(cuda.cuStreamCreate(ctypes.byref(stream), 1))
        ok(cuda.cuStreamBeginCapture_v2(stream, 1))
    if mode == "idle_and_locked":
        for block in [allocate(), allocate()]:
            ok(cuda.cuMemFree_v2(block))
    print("ready", flush=True)
    if mode == "busy":
        # Python code without end.
        wait_for(lambda: not any(cache.blocks for cache in caches))
        sys.stdin.readline()
    elif mode in ("locked", "idle_and_locked"):
        # A second or two without a moment at which Python would hand its lock on.
        sum(range(50_000_000))
        wait_for(lambda: not any(cache.blocks for cache in caches))
        sys.stdin.readline()
    elif mode == "exits":
        wait_for(lambda: caches[0].emptied_by)
        # In the middle of it.
        return
    else:
        sys.stdin.readline()
    if mode == "refills":
        for cache in caches:
            cache.fill()
        print("again", flush=True)
        sys.stdin.readline()
    if mode == "capture":
        graph = ctypes.c_void_p()
        ok(cuda.cuStreamEndCapture(stream, ctypes.byref(graph)))
        print("the capture ended well")
    for cache in caches:
        mine = threading.get_ident() in cache.emptied_by
        print(len(cache.blocks), "blocks left, emptied", len(cache.emptied_by), "times",
              "by the main thread" if mine else "")
    assert {empty, name, loaded, bits, device} == {"mine"}
    assert "empty" in globals() and "sys" in globals()


main(sys.argv[1])
