"""NVIDIA's own Python binding of the driver: allocations, copies, a kernel compiled by NVRTC, streams."""

import ctypes
import struct

from cuda.bindings import driver, nvrtc

import measured

SOURCE = b"""
extern "C" __global__ void add(unsigned *words, unsigned count, unsigned value) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) words[i] += value * i;
}
"""


def call(result):
    """The values of a call that must succeed."""
    if int(result[0]) != 0:
        raise RuntimeError(result[0])
    return result[1] if len(result) == 2 else result[1:]


call(driver.cuInit(0))
device = call(driver.cuDeviceGet(0))
context = call(driver.cuDevicePrimaryCtxRetain(device))
call(driver.cuCtxSetCurrent(context))
program = call(nvrtc.nvrtcCreateProgram(SOURCE, b"add.cu", 0, [], []))
call(nvrtc.nvrtcCompileProgram(program, 1, [b"--gpu-architecture=sm_90"]))
image = b" " * call(nvrtc.nvrtcGetCUBINSize(program))
call(nvrtc.nvrtcGetCUBIN(program, image))
module = call(driver.cuModuleLoadData(image))
kernel = call(driver.cuModuleGetFunction(module, b"add"))
stream = call(driver.cuStreamCreate(int(driver.CUstream_flags.CU_STREAM_NON_BLOCKING)))
turn = 0


def step():
    global turn
    turn += 1
    count = 1000 * turn % 300_000 + 7
    block = call(driver.cuMemAlloc(count * 4))
    other = call(driver.cuMemAlloc(count * 64))
    call(driver.cuMemsetD32Async(block, 5, count, stream))
    arguments = ((int(block), count, turn), (ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint))
    call(driver.cuLaunchKernel(kernel, count // 256 + 1, 1, 1, 256, 1, 1, 0, stream, arguments, 0))
    host = bytearray(count * 4)
    call(driver.cuMemcpyDtoHAsync(host, block, count * 4, stream))
    call(driver.cuStreamSynchronize(stream))
    base, size = call(driver.cuMemGetAddressRange(int(block) + 4))
    call(driver.cuMemFree(other))
    call(driver.cuMemFree(block))
    return sum(struct.unpack(f"{count}I", host)), int(base) == int(block), size


measured.main(step, lambda: call(driver.cuCtxSynchronize()))
