"""The driver API through ctypes, on a handle: what numba and many scripts do."""

import ctypes

cuda = ctypes.CDLL("libcuda.so.1")


def ok(result):
    assert result == 0, result


device, context = ctypes.c_int(), ctypes.c_void_p()
ok(cuda.cuInit(0))
ok(cuda.cuDeviceGet(ctypes.byref(device), 0))
ok(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, device))
total = 0
for number in range(50):
    pointer, word = ctypes.c_uint64(), ctypes.c_uint32()
    ok(cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(1 << 20)))
    ok(cuda.cuMemsetD32_v2(pointer, ctypes.c_uint32(number), ctypes.c_size_t(1 << 18)))
    ok(cuda.cuMemcpyDtoH_v2(ctypes.byref(word), pointer, ctypes.c_size_t(4)))
    assert word.value == number
    total += word.value
    ok(cuda.cuMemFree_v2(pointer))
print("sum", total)
ok(cuda.cuCtxDestroy_v2(context))
