"""Lets PyTorch's or CuPy's own cache hoard 20 GiB beside 1 GiB in use, then gets SIGUSR1 from another
process while it sleeps, or works with --busy. Prints by the account of the driver's management
library what the device lost and got back: `held MIB`, `left MIB`."""

import argparse
import os
import subprocess
import time

import pynvml

parser = argparse.ArgumentParser()
parser.add_argument("framework", choices=("torch", "cupy"))
parser.add_argument("--busy", action="store_true")
options = parser.parse_args()
GIB = 1 << 30


def torch_memory():
    import torch

    def allocate(size):
        return torch.full((size,), 7, dtype=torch.uint8, device="cuda")

    return allocate, torch.cuda.synchronize


def cupy_memory():
    import cupy

    def allocate(size):
        return cupy.full(size, 7, dtype=cupy.uint8)

    return allocate, cupy.cuda.Device().synchronize


allocate, synchronise = torch_memory() if options.framework == "torch" else cupy_memory()
pynvml.nvmlInit()
device = pynvml.nvmlDeviceGetHandleByIndex(0)


def used_mib():
    return pynvml.nvmlDeviceGetMemoryInfo(device).used >> 20


kept = allocate(1024)
synchronise()
before = used_mib()
kept = [allocate(GIB)]
hoarded = [allocate(GIB) for _ in range(20)]
# Small ones among them, some of which stay.
hoarded += [allocate(1 << 12) for _ in range(1000)]
kept += hoarded[20::100]
del hoarded
synchronise()
print("held", used_mib() - before)
killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -USR1 {os.getpid()}"])
if options.busy:
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert int(allocate(1000).sum()) == 7000
else:
    time.sleep(3)
killer.wait()
synchronise()
print("left", used_mib() - before)
assert all(int(block.max()) == 7 == int(block.min()) for block in kept)
