"""The unmodified programs of tests/victims, bare and pooled.

`victims.txt` there lists them, `NAME KIND SOURCE [FLAGS]` a line, and says
what each kind means. A victim's output must be equal bare and pooled, and its
allocations must have gone through the pool, but for the few named below."""

import sys
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import policies
import signals
from harness import BARE, HERE, PREPARED, VICTIMS

# Where cupool.h is, for the victims that know cupool.
HEADERS = HERE.parent.parent / "shim" / "include"

# How nvcc links each kind. `cxx` is `static` in C++.
LINKING = {
    "static": ["-cudart", "static"],
    "cxx": ["-cudart", "static"],
    "shared": ["-cudart", "shared"],
    "driver": ["-cudart", "none", "-lcuda"],
    "dlopen": ["-cudart", "none"],
    "preload": ["-cudart", "none", "-shared", "-Xcompiler", "-fPIC"],
}
WITH_KERNELS = ("static", "cxx", "shared")

# Another preloaded library that a victim wants between itself and CUDA.
PRELOADED = {
    "between_runtime": "between.so",
    "between_driver": "between.so",
    "ompt_main": "ompt.so",
    "primary_kept": "retain.so",
}
# Arguments to run a victim with besides none.
VARIANTS = {
    "dlopen": (("dlvsym",),),
    "share": (("handle",),),
    "captures": (("elsewhere",), ("spoilt",), ("graphs",), ("quiet",)),
    "comm_direct": (("cufile",),),
    "fault_known": (("stream",), ("event",), ("copy",), ("query",), ("done",)),
    "ipc_share": (("reuse",), ("pieces",), ("twice",), ("killed",), ("left",)),
}
# Only `strict` reports a device fault at the free, as native does.
STRICT = ("fault",)
# These print what fails natively inside a capture and may succeed pooled (the
# group `capture` compares more closely), or times. The run must still succeed.
OUTPUT_DIFFERS = ("capture", "demo")
# What `who` must find in cupool by each way of looking.
SUBSTITUTED = {
    f"{way} {function}{version}"
    for function in ("cuMemAlloc", "cuMemFree")
    for way, version in (("linked", "_v2"), ("handle", "_v2"), ("default", "_v2"), ("query", ""))
}
# These allocate nothing through today's entry points.
PAST_THE_POOL = ("driver_pools", "unsuffixed", "ompt_main", "who", "cancel", "fork_look_up",
                 "look_up_errors")
# These use cupool where it is there, so that bare and pooled differ.
POOLED_OUTPUT = {
    "example": f"{64 << 20} bytes reserved, {64 << 20} of them idle\n"
               f"{64 << 20} bytes given back\n",
    "flush": "released all\nthen 0\nfree memory does not shrink\nget_stats 0\n"
             "size known, active 1, pools 1, allocations 1 of 4\n"
             "requested 1048576, peak 68157440\nget_stats of nothing fails\n"
             "a caller with an older header: intact\npeak then 1048576\ndump 0\n"
             "dump to nowhere fails\nfile written\nlive data 0x7070707\n",
    "driver_pools": "before: all\nafter: what is in use\nin use: 7\nagain: 10\n",
    "full_disk": "dumps fail, 3 counted\nthen one succeeds, 3 counted\n",
    "flush.py": "left to release: 0\n",
}
# Natively these may die at exit, where the driver is torn down under running threads.
MAY_CRASH = ("exit_running",)
# What a quick run is content with: the ways in, the order, the errors.
QUICK = ("runtime_static", "runtime_shared", "driver", "get_proc_address", "threads", "unsuffixed",
         "between_driver", "reuse", "order_streams", "errors_driver", "capture", "signs")
# These look at how much memory the device has free, or take all of it.
ALONE = ("captures", "capture_reset", "driver_pools", "flush", "flush.py", "oom", "oom_others",
         "oom_vmm", "primary_kept", "sizes_itself")
# So many of the others run at the same time.
AT_ONCE = 4
# Many hardware queues make a context slow to come and go, so only these have them, whose kernels wait
# for each other.
MANY_QUEUES = ("exit_", "flush_spin", "free_async", "order_", "reuse")
# These wait for a signal, a word or a test's arguments, or are no programs by themselves.
NOT_ALONE = ("api", "cuda-gdb", "framework_caches", "host_", "policy_", "steer")
# These are about the process alone and are tested where there is no GPU.
NEED_NO_GPU = ("idle", "setuid")


@dataclass(frozen=True)
class Victim:
    """One line of the list."""

    name: str
    kind: str
    source: str
    flags: tuple

    def path(self, build):
        return Path(build) / "victims" / self.name


def listed():
    """The victims of the list, scripts included."""
    found = []
    for line in (VICTIMS / "victims.txt").read_text().splitlines():
        fields = line.split("#")[0].split()
        if fields:
            found.append(Victim(fields[0], fields[1], fields[2], tuple(fields[3:])))
    for script in sorted(VICTIMS.glob("*.py")):
        found.append(Victim(script.name, "script", script.name, ()))
    return found


def kernel_jobs(nvcc, build):
    """The victims' kernels: an object to link and a cubin to load."""
    kernels = VICTIMS / "kernels.cu"
    base = [nvcc, "-arch=sm_90", "-O2"]
    return [
        ("victims/kernels.o", base + ["-c", kernels, "-o", Path(build) / "kernels.o"]),
        ("victims/kernels.cubin", base + ["-cubin", kernels, "-o", Path(build) / "kernels.cubin"]),
    ]


def build_jobs(nvcc, build, library_flags, runtime_directories):
    """One command per victim, to run once the kernels are there."""
    (Path(build) / "victims").mkdir(exist_ok=True)
    jobs = []
    for victim in listed():
        if victim.kind == "script":
            continue
        command = [nvcc, "-arch=sm_90", "-O2", f"-I{VICTIMS}", f"-I{HEADERS}",
                   VICTIMS / victim.source]
        if victim.kind in WITH_KERNELS:
            command.append(Path(build) / "kernels.o")
        command += ["-o", victim.path(build)] + list(library_flags) + LINKING[victim.kind]
        command += ["-Xcompiler", "-pthread", "-ldl", *map(host_flag, victim.flags)]
        for directory in runtime_directories:
            command += ["-Xlinker", f"-rpath,{directory}"]
        jobs.append((f"victims/{victim.name}", command))
    return jobs


def host_flag(flag):
    """The flag as nvcc takes it: some are its host compiler's alone."""
    return f"-Xcompiler={flag}" if flag.startswith(("-f", "-rdynamic")) else flag


def victims(suite):
    """Every victim, bare and pooled."""
    elsewhere = signals.NAMES.union(NEED_NO_GPU, [policies.STEPS])
    chosen = [victim for victim in listed()
              if victim.kind != "preload" and victim.name not in elsewhere
              and not victim.name.startswith(NOT_ALONE)
              and (not suite.quick or victim.name in QUICK)]
    def run(victim):
        for arguments in ((),) + VARIANTS.get(victim.name, ()):
            compare(suite, victim, arguments)

    suite.each([victim for victim in chosen if victim.name in ALONE], run, 1)
    suite.each([victim for victim in chosen if victim.name not in ALONE], run, AT_ONCE)
    suite.each(signals.CASES, lambda case: signals.run_case(suite, case), 3)


def compare(suite, victim, arguments):
    if victim.kind == "script":
        command = [sys.executable, VICTIMS / victim.source]
    else:
        command = [victim.path(suite.build)]
    command += arguments
    name = "-".join((victim.name,) + arguments)
    environment = dict(PREPARED)
    if not victim.name.startswith(MANY_QUEUES):
        del environment["CUDA_DEVICE_MAX_CONNECTIONS"]
    environment |= {"VICTIM_KERNELS": str(suite.build / "kernels.cubin"), "VICTIM_REAL_DRIVER": "1"}
    if victim.name in PRELOADED:
        environment["LD_PRELOAD"] = str(suite.build / "victims" / PRELOADED[victim.name])
    bare = suite.run(name, command, BARE, 60, environment)
    may_crash = victim.name in MAY_CRASH
    if may_crash and bare.status < 0:
        suite.note(f"victims/bare/{name}: dies of signal {-bare.status}")
        return
    if not suite.check(f"victims/bare/{name}", bare.problem() is None, bare.problem() or ""):
        return
    for mode in ("auto",) if suite.quick else ("auto", "strict"):
        if mode != "strict" and victim.name in STRICT:
            continue
        pooled = suite.run(name, command, mode, 60, environment)
        problem = pooled.problem()
        # A process that was killed leaves no stats file.
        if (victim.name in PAST_THE_POOL or "killed" in arguments) and pooled.status == 0:
            problem = None
        if may_crash and not pooled.timed_out and pooled.status < 0:
            suite.note(f"victims/{mode}/{name}: status {pooled.status}")
            continue
        expected = expected_output(victim, bare.output, pooled.output)
        # What a kernel prints may come before or after the host's own lines.
        same = sorted(pooled.output.splitlines()) == sorted(expected.splitlines())
        suite.check(f"victims/{mode}/{name}", problem is None and same,
                    problem or difference(expected, pooled.output))


def expected_output(victim, bare, pooled):
    """What the victim should print pooled: what it prints bare, but for a few."""
    if victim.name in POOLED_OUTPUT:
        return POOLED_OUTPUT[victim.name]
    if victim.name in OUTPUT_DIFFERS:
        return pooled
    if victim.name == "who":
        # `next` is whatever comes behind the program, preloaded libraries first.
        return "".join(
            got if line.startswith("next ") else supplied(line)
            for line, got in zip_longest(bare.splitlines(True), pooled.splitlines(True),
                                         fillvalue=""))
    return bare


def supplied(line):
    """A line of `who`, with the object that supplies the symbol when pooled."""
    symbol, _, _ = line.rpartition(" ")
    return f"{symbol} libcupool.so\n" if symbol in SUBSTITUTED else line


def difference(expected, got):
    """The first lines that differ."""
    for a, b in zip_longest(expected.splitlines(), got.splitlines(), fillvalue="nothing"):
        if a != b:
            return f"expected `{a}`, got `{b}`"
    return "the output differs"
