"""The unmodified programs of tests/victims, bare and pooled.

`victims.txt` there lists them, `NAME KIND SOURCE [FLAGS]` a line, and says
what each kind means. A victim's output and exit status must be equal bare and
pooled, and its allocations must have gone through the pool unless a flag says
otherwise."""

import sys
from dataclasses import dataclass
from pathlib import Path

from harness import BARE, VICTIMS, last_line

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


@dataclass(frozen=True)
class Victim:
    """One line of the list."""

    name: str
    kind: str
    source: str
    flags: tuple

    def path(self, build):
        suffix = ".so" if self.kind == "preload" else ""
        return Path(build) / "victims" / (self.name + suffix)


def listed():
    """The victims of the list, scripts included."""
    found = []
    for line in (VICTIMS / "victims.txt").read_text().splitlines():
        fields = line.split("#")[0].split()
        if fields:
            found.append(Victim(fields[0], fields[1], fields[2], tuple(fields[3:])))
    for script in sorted(VICTIMS.glob("*.py")):
        found.append(Victim(script.stem, "script", script.name, ()))
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
        command = [nvcc, "-arch=sm_90", "-O2", f"-I{VICTIMS}", VICTIMS / victim.source]
        if victim.kind in WITH_KERNELS:
            command.append(Path(build) / "kernels.o")
        command += ["-o", victim.path(build)] + list(library_flags) + LINKING[victim.kind]
        command += ["-Xcompiler", "-pthread", "-ldl"]
        for directory in runtime_directories:
            command += ["-Xlinker", f"-rpath,{directory}"]
        jobs.append((f"victims/{victim.name}", command))
    return jobs


def victims(suite):
    """Every victim, bare and pooled."""
    suite.each([v for v in listed() if v.kind != "preload"],
               lambda victim: compare(suite, victim), 6)


def compare(suite, victim):
    if victim.kind == "script":
        command = [sys.executable, VICTIMS / victim.source]
    else:
        command = [victim.path(suite.build)]
    environment = {"VICTIM_KERNELS": str(suite.build / "kernels.cubin")}

    def run(mode):
        return suite.run(victim.name, command, mode, 60, environment)

    bare, pooled = run(BARE), run("auto")
    problem = bare.problem()
    if not suite.check(f"victims/bare/{victim.name}", problem is None, problem or ""):
        return
    problem = pooled.problem()
    suite.check(f"victims/pooled/{victim.name}",
                problem is None and pooled.output == bare.output,
                problem or f"native `{last_line(bare.output)}`, pooled `{last_line(pooled.output)}`")
