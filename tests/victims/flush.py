"""empty_cache() from Python: `ctypes.CDLL(None)` finds it because it was preloaded."""

import ctypes

cuda = ctypes.CDLL("libcuda.so.1")


def ok(result):
    assert result == 0, result


context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
ok(cuda.cuInit(0))
ok(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0))
ok(cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(64 << 20)))
ok(cuda.cuMemFree_v2(pointer))

process = ctypes.CDLL(None)
if hasattr(process, "empty_cache"):
    process.empty_cache()
    process.cupool_empty_cache.restype = ctypes.c_size_t
    print("left to release:", process.cupool_empty_cache())
else:
    print("no cupool")
