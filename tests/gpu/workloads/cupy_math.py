"""CuPy over CUDA's libraries and kernels of its own making, sizes changing from step to
step. CUPY_POOL=0 turns CuPy's pool off."""

import os

import cupy
import cupyx.scipy.sparse

import measured

if os.environ.get("CUPY_POOL") == "0":
    cupy.cuda.set_allocator(None)
scale = cupy.ElementwiseKernel("float64 x, float64 y", "float64 z", "z = x * y + 1", "scale")
turn = 0


def step():
    global turn
    turn += 1
    random = cupy.random.RandomState(turn)
    size = 300 + 37 * (turn % 7)
    matrix = random.standard_normal((size, size)) + size * cupy.eye(size)
    solved = cupy.linalg.solve(matrix, scale(matrix, matrix.T))
    spectrum = cupy.fft.rfft2(matrix)
    # Whole numbers: cuSPARSE does not promise to add in the same order each time.
    whole = cupy.rint(matrix)
    sparse = cupyx.scipy.sparse.csr_matrix(cupy.where(whole > 1, whole, 0.0))
    product = sparse @ whole[:, :32]
    ordered = cupy.sort(matrix.ravel())
    return (float(solved[3].sum()), float(cupy.abs(spectrum).max()),
            float(product[5].sum()), float(ordered[size]))


measured.main(step, cupy.cuda.Device().synchronize, steps=12)
