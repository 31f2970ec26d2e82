"""Processes that use CUDA, as Python starts them: `multiprocessing` by fork, forkserver and spawn
(by fork, the parent must not have used CUDA yet), then `subprocess`."""

import ctypes
import multiprocessing
import subprocess
import sys


def ok(result):
    assert result == 0, result


def work(number):
    cuda = ctypes.CDLL("libcuda.so.1")
    context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
    ok(cuda.cuInit(0))
    ok(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0))
    total = 0
    for value in range(10):
        word = ctypes.c_uint32()
        ok(cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(1 << 20)))
        ok(cuda.cuMemsetD32_v2(pointer, value + number, ctypes.c_size_t(1 << 18)))
        ok(cuda.cuMemcpyDtoH_v2(ctypes.byref(word), pointer, ctypes.c_size_t(4)))
        ok(cuda.cuMemFree_v2(pointer))
        total += word.value
    return total


def failing(_):
    """In a forked child of a process that has used CUDA, the driver refuses."""
    cuda = ctypes.CDLL("libcuda.so.1")
    pointer = ctypes.c_uint64()
    return cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(1 << 20)) != 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print("subprocess", work(int(sys.argv[1])), flush=True)
        sys.exit()
    for method in ["fork", "forkserver", "spawn"]:
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, pool.map(work, range(6)), flush=True)
            pool.close()
            pool.join()
    print("parent", work(100), flush=True)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("fork after CUDA: refused", pool.map(failing, range(2)), flush=True)
    for method in ["forkserver", "spawn"]:
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, "after CUDA:", pool.map(work, range(2)), flush=True)
    for close_fds in [True, False]:
        subprocess.run([sys.executable, __file__, "7"], check=True, close_fds=close_fds)
    print("parent", work(200), flush=True)
