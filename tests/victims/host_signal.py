"""Wants SIGUSR1 for itself: by `signal.signal`, or by `faulthandler.register` with and without
`chain`; before or after CUDA is first used. Tells what it heard when a line comes in."""

import ctypes
import faulthandler
import os
import signal
import sys

way, when = sys.argv[1:]
heard = 0


def handler(number, frame):
    global heard
    assert number == signal.SIGUSR1 and frame is not None
    heard += 1


def take():
    if way == "signal":
        assert signal.signal(signal.SIGUSR1, handler) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGUSR1) is handler
    else:
        if way == "chain":
            # What comes next in the chain: the default would end the process.
            signal.signal(signal.SIGUSR1, handler)
        faulthandler.register(signal.SIGUSR1, file=open("tracebacks", "w"), chain=way == "chain")


def ok(result):
    assert result == 0, result


if when == "before":
    take()
cuda = ctypes.CDLL("libcuda.so.1")
context, pointer = ctypes.c_void_p(), ctypes.c_uint64()
ok(cuda.cuInit(0))
ok(cuda.cuCtxCreate_v2(ctypes.byref(context), 0, 0))
ok(cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(64 << 20)))
ok(cuda.cuMemFree_v2(pointer))
if when == "after":
    take()
print("ready", flush=True)
while os.read(0, 8):
    tracebacks = 0
    if way != "signal":
        tracebacks = open("tracebacks").read().count("most recent call first")
    print("heard", heard, "and wrote", tracebacks, flush=True)
