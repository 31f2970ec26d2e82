"""Numba: arrays to and from the device, pinned and mapped memory, kernels compiled at run time."""

import numpy

if not hasattr(numpy, "row_stack"):
    # Gone from NumPy since 2.4, looked for by Numba up to then.
    numpy.row_stack = numpy.vstack

from numba import cuda

import measured


@cuda.jit
def smooth(source, target):
    i, j = cuda.grid(2)
    if 0 < i < source.shape[0] - 1 and 0 < j < source.shape[1] - 1:
        target[i, j] = (source[i - 1, j] + source[i + 1, j] + source[i, j - 1]
                        + source[i, j + 1]) * 0.25


turn = 0


def step():
    global turn
    turn += 1
    size = 256 + 64 * (turn % 5)
    host = numpy.random.default_rng(turn).random((size, size))
    with cuda.pinned(host):
        a = cuda.to_device(host)
    b = cuda.device_array_like(a)
    cuda.to_device(host, to=b)
    blocks = (size // 16, size // 16)
    for _ in range(10):
        smooth[blocks, (16, 16)](a, b)
        smooth[blocks, (16, 16)](b, a)
    return float(a.copy_to_host().sum()), cuda.current_context().get_memory_info().total


measured.main(step, cuda.synchronize)
