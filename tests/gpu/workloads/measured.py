"""How every workload runs: `main(step)` prints what each step returns, to the last
bit, or with --time the median time of a step (`step MS ms`)."""

import argparse
import statistics
import sys
import time


def shown(value):
    """A number so that no bit is lost."""
    return value.hex() if isinstance(value, float) else str(value)


def main(step, synchronise, steps=5):
    """`step()` returns a number or several; `synchronise()` waits for the device."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--time", action="store_true", help="print the time of a step instead")
    options = parser.parse_args()
    if not options.time:
        for number in range(steps):
            values = step()
            values = values if isinstance(values, (list, tuple)) else [values]
            print("step", number, *map(shown, values), flush=True)
        return
    for _ in range(3):
        step()
    synchronise()
    times, end = [], time.perf_counter() + 2
    while len(times) < 10 or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        synchronise()
        times.append((time.perf_counter() - start) * 1e3)
    print(f"step {statistics.median(times):.4f} ms", file=sys.stdout, flush=True)
