"""Trains models with fixed seeds; several, each in a process of its own. Prints
each step's loss to the last bit (`loss MODEL HEX`), or with --time

    step-MODEL MS ms          a step
    reserved-MODEL SIZE MiB   the most that PyTorch's allocator, or the pool where
                              there is one, ever took from the driver
    taken-MODEL SIZE MiB      what is taken from the device at the end, by NVML: neither
                              gives anything back before, and what CUDA and its libraries
                              take for themselves is in it
"""

import argparse
import math
import os
import statistics
import sys
import time
import traceback

import torch

import pool
from torch_models import TRAINERS

# Steps between two waits for the device.
SEGMENT = 10

parser = argparse.ArgumentParser()
parser.add_argument("--model", action="append", choices=TRAINERS)
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--warmup", type=int, default=10)
parser.add_argument("--seconds", type=float, default=4, help="of timing, at most, per model")
parser.add_argument("--time", action="store_true")
options = parser.parse_args()


def timed(step, most_seconds):
    """Milliseconds per step, segment by segment."""
    for _ in range(options.warmup):
        step()
    torch.cuda.synchronize()
    times = []
    end = time.perf_counter() + most_seconds
    while len(times) * SEGMENT < options.steps and (not times or time.perf_counter() < end):
        start = time.perf_counter()
        for _ in range(SEGMENT):
            step()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) / SEGMENT * 1e3)
    return times


def train(name):
    step = TRAINERS[name]()
    if not options.time:
        for _ in range(options.steps):
            print("loss", name, step().item().hex(), flush=True)
        return
    if name == "varlen":
        # No step is like another: only all of them together can be compared.
        value = statistics.mean(timed(step, math.inf))
    else:
        value = statistics.median(timed(step, options.seconds))
    print(f"step-{name} {value:.4f} ms")
    reserved = pool.reserved_peak()
    if reserved is None:
        reserved = torch.cuda.max_memory_reserved()
    print(f"reserved-{name} {reserved / 2**20:.1f} MiB")
    print(f"taken-{name} {torch.cuda.device_memory_used() / 2**20:.1f} MiB", flush=True)


def in_a_child(work, *arguments):
    """Calls `work` in a process that has PyTorch loaded, but shares no GPU state."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            work(*arguments)
        except Exception:  # noqa: BLE001 - told, and the next model still runs
            traceback.print_exc()
            status = 1
        sys.exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


torch.set_float32_matmul_precision("high" if options.time else "highest")
if not options.time:
    torch.use_deterministic_algorithms(True)
models = options.model or ["d512"]
if len(models) == 1:
    train(models[0])
else:
    sys.exit(max([abs(in_a_child(train, name)) for name in models]))
