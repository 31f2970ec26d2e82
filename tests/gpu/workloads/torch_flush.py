"""Trains the wide transformer in turns of about a second, every other one of
which gets SIGUSR1 from another process. Prints the median times of a step
(`quiet MS ms`, `flushed MS ms`) and the median of what a turn with a flush took
longer than its neighbour without (`flush-cost PERCENT percent`)."""

import argparse
import os
import statistics
import subprocess
import time

import torch

from torch_models import TRAINERS

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="d2048", choices=TRAINERS)
parser.add_argument("--turns", type=int, default=6, help="of each kind")
options = parser.parse_args()

# Tells nobody but the process it was made for, a fifth of a second after it was asked.
KILLER = 'while read -r line; do sleep 0.2; kill -USR1 "$1"; done'
killer = subprocess.Popen(["sh", "-c", KILLER, "sh", str(os.getpid())],
                          stdin=subprocess.PIPE, text=True)


def turn(steps, flushed):
    """Milliseconds per step."""
    if flushed:
        killer.stdin.write("\n")
        killer.stdin.flush()
    start = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps * 1e3


torch.set_float32_matmul_precision("high")
step = TRAINERS[options.model]()
turn(5, False)
# A flush before anything is measured: what it is the first to do is not its cost.
steps = max(int(1000 / turn(10, False)), 5)
turn(steps, True)
turn(steps, False)
quiet, flushed = [], []
for number in range(options.turns):
    # In either order, so that what drifts falls on both alike.
    for with_flush in (False, True) if number % 2 else (True, False):
        (flushed if with_flush else quiet).append(turn(steps, with_flush))
killer.stdin.close()
killer.wait()
cost = statistics.median(b / a - 1 for a, b in zip(quiet, flushed)) * 100
print(f"quiet {statistics.median(quiet):.4f} ms")
print(f"flushed {statistics.median(flushed):.4f} ms")
print(f"flush-cost {cost:.3f} percent")
