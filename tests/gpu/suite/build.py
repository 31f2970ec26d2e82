"""Compiles the programs and the victims with nvcc, many at a time."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import PROGRAMS, VICTIMS
import victims

# Where distributions and containers keep the driver.
DRIVER_DIRECTORIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64",
                      "/usr/local/cuda/compat")
# Programs of one source each.
SIMPLE = ("errors", "capture", "semantics", "pointers", "flush", "soak", "bench", "crowd",
          "algorithms", "out_of_bounds")
# Graphs launched from the device need relocatable device code, so the hazard
# program is linked from objects.
HAZARD = ("hazard", "overwrite", "read", "extended", "contexts")


def find_nvcc():
    """The compiler's path, or None."""
    return shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")


def toolkit_directories(nvcc):
    """The toolkit's library directories that exist."""
    home = Path(nvcc).resolve().parent.parent
    names = ("lib64", "lib", "targets/x86_64-linux/lib")
    return [home / name for name in names if (home / name).is_dir()]


def library_flags(nvcc, build):
    """Where the linker finds the runtime and the driver. A toolkit may lack
    the driver's stub, or the runtime's name without a version: then `build`
    gets a link of that name."""
    directories = toolkit_directories(nvcc)
    link(build / "libcuda.so", "libcuda.so.1",
         [Path(path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
         + [Path(path) for path in DRIVER_DIRECTORIES])
    if not any((directory / "libcudart.so").exists() for directory in directories):
        link(build / "libcudart.so", "libcudart.so.*", directories)
    stubs = [directory / "stubs" for directory in directories if (directory / "stubs").is_dir()]
    return [f"-L{directory}" for directory in [build] + directories + stubs]


def link(name, pattern, directories):
    """Makes `name` a link to the first file that matches, if there is one."""
    for directory in directories:
        for found in sorted(directory.glob(pattern)):
            if not name.exists():
                name.symlink_to(found)
            return


def compile_one(command):
    """Runs one command; returns its output if it failed, else None."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    return (done.stdout + done.stderr) if done.returncode else None


def build_programs(suite, only=()):
    """Builds everything, or the simple programs `only`; each failure is a
    failed check. Returns False when there is no compiler at all."""
    nvcc = find_nvcc()
    if not suite.check("build/nvcc", nvcc is not None, "no nvcc on the PATH"):
        return False
    build = suite.build
    flags = library_flags(nvcc, build)
    base = [nvcc, "-std=c++17", "-O2", "-arch=sm_90", "--extended-lambda", "-diag-suppress", "177"]
    jobs = []
    for name in only or SIMPLE:
        jobs.append((name, base + [PROGRAMS / f"{name}.cu", "-o", build / name]
                     + flags + ["-ldl", "-lpthread"]))
    if not only:
        jobs += [(f"{name}.o", base + ["-rdc=true", "-c", PROGRAMS / f"{name}.cu",
                                       "-o", build / f"{name}.o"]) for name in HAZARD]
        jobs += victims.kernel_jobs(nvcc, build)
    outcomes = run_jobs(jobs)
    # These are linked with objects of the first round.
    if not only:
        hazard = [nvcc, "-arch=sm_90", "-rdc=true", "-o", build / "hazard"]
        hazard += [build / f"{name}.o" for name in HAZARD] + flags
        outcomes += run_jobs([("hazard", hazard + ["-lcudadevrt", "-ldl", "-lpthread"])]
                             + victims.build_jobs(nvcc, build, flags, toolkit_directories(nvcc)))
    for name, error in outcomes:
        if error:
            suite.log(f"--- build of {name}\n{error[-4000:]}")
        suite.check(f"build/{name}", error is None, first_error(error))
    return True


def run_jobs(jobs):
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 4) as pool:
        errors = pool.map(compile_one, [command for _, command in jobs])
        return [(name, error) for (name, _), error in zip(jobs, errors)]


def first_error(text):
    for line in (text or "").splitlines():
        if "error:" in line or "cannot find" in line:
            return line.strip()
    return "see the log"
