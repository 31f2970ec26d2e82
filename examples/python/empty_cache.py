"""Gives idle GPU memory back from Python: cupool's, and PyTorch's own if PyTorch is there.

    LD_PRELOAD=libcupool.so PYTORCH_NO_CUDA_MEMORY_CACHING=1 python3 empty_cache.py

With PyTorch's own cache switched off, its allocations are cudaMalloc's, and so cupool's. Without
PyTorch, or with the argument --driver, the script uses the driver directly.
"""

import ctypes
import sys


def use_torch():
    import torch

    for size in (1 << 20, 16 << 20, 64 << 20):
        torch.empty(size, dtype=torch.uint8, device="cuda").zero_()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()


def use_driver():
    cuda = ctypes.CDLL("libcuda.so.1")

    def check(result):
        if result != 0:
            raise RuntimeError(f"CUDA error {result}")

    context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
    check(cuda.cuInit(0))
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
    check(cuda.cuCtxSetCurrent(context))
    for size in (1 << 20, 16 << 20, 64 << 20):
        check(cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(size)))
        check(cuda.cuMemFree_v2(pointer))


def give_back():
    """Returns the bytes given back, or None if this process runs without cupool."""
    process = ctypes.CDLL(None)
    if not hasattr(process, "cupool_empty_cache"):
        return None
    process.cupool_empty_cache.restype = ctypes.c_size_t
    return process.cupool_empty_cache()


if "--driver" in sys.argv:
    use_driver()
else:
    try:
        use_torch()
    except ImportError:
        use_driver()
given = give_back()
if given is None:
    print("without cupool there is nothing to give back")
else:
    print(f"{given} bytes given back")
