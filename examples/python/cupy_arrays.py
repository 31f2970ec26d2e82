"""CuPy without its own pool: its arrays are cudaMalloc's, and so cupool's, which keeps what they
leave where CuPy, PyTorch and every other library of the process can take it.

    LD_PRELOAD=libcupool.so python3 cupy_arrays.py

No test runs this where there is no GPU: CuPy compiles its kernels for one. That it is Python, and
what it says without CuPy, is tested; CuPy in front of cupool is part of tests/gpu.
"""

import ctypes
import sys

try:
    import cupy
except ImportError:
    sys.exit("this example needs CuPy")

cupy.cuda.set_allocator(None)
cupy.cuda.set_pinned_memory_allocator(None)

x = cupy.arange(1 << 24, dtype=cupy.float32)
for _ in range(100):
    # Each operator allocates an array, and the one before is freed.
    x = cupy.sqrt(x * 2 + 1)
print(f"sum {float(x.sum()):.1f}")

process = ctypes.CDLL(None)
if hasattr(process, "cupool_empty_cache"):
    del x
    process.cupool_empty_cache.restype = ctypes.c_size_t
    print(f"{process.cupool_empty_cache()} bytes given back")
