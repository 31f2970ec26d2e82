"""Frees a GiB, signals itself SIGUSR1 and goes on using PyTorch. Prints what
came back by the account of the driver's management library, which no
preloaded library can colour: `given back MIB`."""

import os
import signal
import time

import pynvml
import torch

CHUNK_MIB, CHUNKS = 64, 16

pynvml.nvmlInit()
device = pynvml.nvmlDeviceGetHandleByIndex(0)


def used_mib():
    return pynvml.nvmlDeviceGetMemoryInfo(device).used >> 20


tensors = [torch.ones(CHUNK_MIB << 20, dtype=torch.uint8, device="cuda") for _ in range(CHUNKS)]
torch.cuda.synchronize()
del tensors
torch.cuda.synchronize()
before = used_mib()
os.kill(os.getpid(), signal.SIGUSR1)
# The flush is another thread's work; this one keeps the GPU busy meanwhile.
end = time.monotonic() + 2
total = 0.0
while time.monotonic() < end:
    total += torch.ones(1000, device="cuda").sum().item()
    time.sleep(0.01)
print("given back", before - used_mib())
print("went on:", total > 0)
