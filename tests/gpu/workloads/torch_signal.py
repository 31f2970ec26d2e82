"""Signals itself SIGUSR1 while it uses PyTorch, and goes on. Prints how much
of the device's memory came back, in whole MiB."""

import os
import signal
import time

import torch

CHUNK_MIB, CHUNKS = 64, 16

tensors = [torch.ones(CHUNK_MIB << 20, dtype=torch.uint8, device="cuda") for _ in range(CHUNKS)]
torch.cuda.synchronize()
del tensors
torch.cuda.synchronize()
os.kill(os.getpid(), signal.SIGUSR1)
# The flush is another thread's work; this one keeps the GPU busy meanwhile.
end = time.monotonic() + 2
total = 0.0
while time.monotonic() < end:
    total += torch.ones(1000, device="cuda").sum().item()
    time.sleep(0.01)
print("went on:", total > 0)
