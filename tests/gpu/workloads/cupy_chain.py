"""A chain of elementwise operations in CuPy. Prints a checksum, and with
--time the time per round of the chain."""

import argparse
import time

import cupy

parser = argparse.ArgumentParser()
parser.add_argument("--pool", action="store_true", help="keep CuPy's own pool")
parser.add_argument("--transfers", action="store_true", help="copy to and from the host each round")
parser.add_argument("--time", action="store_true")
parser.add_argument("--rounds", type=int, default=50)
options = parser.parse_args()

if not options.pool:
    cupy.cuda.set_allocator(None)
    cupy.cuda.set_pinned_memory_allocator(None)

host = cupy.asnumpy(cupy.arange(1 << 20, dtype=cupy.float32) % 1000)
values = cupy.asarray(host)


def chain():
    start = cupy.asarray(host) if options.transfers else values
    a = start * 2 + 1
    b = cupy.sqrt(a) - start / 3
    c = a * b + cupy.abs(b)
    d = cupy.maximum(c, a) - cupy.minimum(c, b)
    result = d * 0.5 + 1
    if options.transfers:
        return cupy.asnumpy(result)
    return result


def timed():
    for _ in range(20):
        chain()
    cupy.cuda.Device().synchronize()
    times = []
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(options.rounds):
            chain()
        cupy.cuda.Device().synchronize()
        times.append((time.perf_counter() - start) / options.rounds * 1e6)
    return sorted(times)[len(times) // 2]


if options.time:
    print(f"chain {timed():.3f} us")
else:
    for number in range(options.rounds):
        result = cupy.asarray(chain())
        # Sorting, scanning and transforming allocate sizes of their own.
        piece = cupy.sort(result[: 1000 * (number + 1)])
        # Of whole numbers: a parallel scan of floats need not add in the same order each time.
        scanned = cupy.cumsum(piece.astype(cupy.int64))[-1]
        transformed = cupy.abs(cupy.fft.fft(piece[:997])).max()
        print("round", number, int(scanned), float(transformed).hex(), float(result.sum()).hex())
