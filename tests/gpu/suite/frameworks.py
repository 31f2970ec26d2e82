"""Real programs, unmodified, with their own caching off and on."""

import importlib.util
import re
import shutil
import sys

from harness import BARE, WORKLOADS, last_line

DETERMINISTIC = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
UNCACHED = DETERMINISTIC | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
JAX = {"XLA_PYTHON_CLIENT_ALLOCATOR": "platform", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

CUDA_MALLOC_ASYNC = DETERMINISTIC | {
    name: "backend:cudaMallocAsync" for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")}
JAX_BFC = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

# Name, package, script and arguments, environment, orderings to compare.
CASES = (
    ("torch-uncached", "torch", ["torch_train.py"], UNCACHED, ("auto", "fence", "strict", "lazy")),
    ("torch-caching", "torch", ["torch_train.py"], DETERMINISTIC, ("auto",)),
    ("torch-cudaMallocAsync", "torch", ["torch_train.py"], CUDA_MALLOC_ASYNC, ("auto",)),
    ("torch-varlen", "torch", ["torch_train.py", "--model", "varlen", "--steps", "20"], UNCACHED,
     ("fence", "lazy")),
    ("torch-graphs", "torch", ["torch_graphs.py"], DETERMINISTIC, ("auto", "lazy")),
    ("torch-compile", "torch", ["torch_compile.py"], UNCACHED, ("auto",)),
    ("torch-loader", "torch", ["torch_loader.py"], UNCACHED, ("auto", "lazy")),
    ("torch-libraries", "torch", ["torch_math.py"], UNCACHED, ("auto", "lazy")),
    ("torch-generate", "transformers", ["torch_generate.py"], UNCACHED, ("auto", "lazy")),
    ("torch-nccl", "torch", ["torch_nccl.py"], UNCACHED, ("auto",)),
    ("torch-share", "torch", ["torch_share.py"], DETERMINISTIC, ("auto",)),
    ("cupy-unpooled", "cupy", ["cupy_chain.py"], {}, ("auto", "fence", "lazy")),
    ("cupy-transfers", "cupy", ["cupy_chain.py", "--transfers"], {}, ("auto", "lazy")),
    ("cupy-libraries", "cupy", ["cupy_math.py"], {}, ("auto",)),
    ("cupy-libraries-unpooled", "cupy", ["cupy_math.py"], {"CUPY_POOL": "0"}, ("auto", "lazy")),
    ("jax-platform", "jax", ["jax_platform.py"], JAX, ("auto", "lazy")),
    ("jax-bfc", "jax", ["jax_train.py"], JAX_BFC, ("auto",)),
    ("numba", "numba", ["numba_stencil.py"], {}, ("auto", "lazy")),
    ("cuda-python", "cuda.bindings", ["cuda_python.py"], {}, ("auto", "lazy")),
    ("thrust-cub", None, ["algorithms"], {}, ("auto", "strict", "lazy")),
)
# The same as a benchmark, for those that measure a step: bare and in `auto`.
PROGRAMS = tuple(
    (name, package, command, environment)
    for name, package, command, environment, _ in CASES
    if command[0] not in ("torch_train.py", "torch_share.py", "cupy_chain.py", "jax_platform.py"))
# The cases of `--quick`, in one ordering each.
QUICK = ("torch-uncached", "cupy-unpooled", "thrust-cub")
# JAX allocates by virtual memory management or the stream-ordered allocator, past the pool.
NOT_SERVED = ("jax-platform", "jax-bfc")


def present(package):
    """Whether this machine has the Python package that a case needs, if it needs one."""
    try:
        return package is None or importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def python(script, *arguments):
    return [sys.executable, WORKLOADS / script, *arguments]


def frameworks(suite):
    """Each workload prints the same bare and pooled, numbers to the bit."""
    runs = []
    for name, package, command, environment, modes in CASES:
        if suite.quick and name not in QUICK:
            continue
        if not present(package):
            suite.note(f"frameworks/{name}: no {package} here")
            continue
        modes = modes[:1] if suite.quick else modes
        command = [suite.build / command[0]] if package is None else python(*command)
        runs += [(name, command, environment, mode) for mode in (BARE,) + modes]

    def run(item):
        name, command, environment, mode = item
        return suite.run(name, command, mode, 150, environment)

    results = {(run.name, run.mode): run for run in suite.each(runs, run, 8)}
    for (name, mode), result in results.items():
        problem = result.problem()
        if name in NOT_SERVED and result.status == 0:
            problem = None
        if mode == BARE:
            suite.check(f"frameworks/bare/{name}", problem is None, problem or "")
            continue
        native = results[name, BARE]
        suite.check(f"frameworks/{mode}/{name}",
                    problem is None and result.output == native.output,
                    problem or f"native `{last_line(native.output)}`, "
                    f"pooled `{last_line(result.output)}`")
    under_a_checker(suite)
    reach_caches(suite)
    if present("torch"):
        flush_by_signal(suite)


def flush_by_signal(suite):
    """A PyTorch process that gets SIGUSR1 flushes, says so and goes on."""
    run = suite.run("torch-signal", python("torch_signal.py"), "auto", 60, UNCACHED)
    given_back = re.search(r"given back (\d+)", run.output)
    suite.check("frameworks/signal/given-back",
                given_back is not None and int(given_back[1]) >= 900,
                given_back[0] + " MiB" if given_back else "no figure")
    flushes = [flush for report in run.stats for flush in report.get("flushes", [])]
    suite.check("frameworks/signal/runs-on",
                run.problem() is None and "went on: True" in run.output,
                run.problem() or last_line(run.output))
    released = max((flush.get("released_bytes", 0) for flush in flushes), default=0)
    suite.check("frameworks/signal/flush", released >= 900 << 20,
                f"{len(flushes)} flushes in the stats file, the largest of {released} bytes")


def under_a_checker(suite):
    """Under compute-sanitizer cupool steps aside: it finds what it finds natively, and no more."""
    if shutil.which("compute-sanitizer") is None:
        suite.note("frameworks/checker: no compute-sanitizer here")
        return
    for program, errors in (("out_of_bounds", 1), ("algorithms", 0)):
        if suite.quick and not errors:
            continue
        command = ["compute-sanitizer", "--tool", "memcheck", suite.build / program]
        for mode in (BARE, "auto"):
            run = suite.run(f"checker-{program}", command, mode, 120)
            summary = re.search(r"ERROR SUMMARY: (\d+) error", run.output)
            found = int(summary[1]) > 0 if summary else None
            suite.check(f"frameworks/checker/{mode}/{program}", found == (errors > 0),
                        summary[0] if summary else last_line(run.output + run.errors))


# What a framework's process may keep beside what it uses: kernels, workspaces.
LEFT_MIB = 1024 + 512


def reach_caches(suite):
    """SIGUSR1 empties the cache of an unmodified PyTorch or CuPy process."""
    for framework in ("torch", "cupy"):
        for more in ([], ["--busy"]):
            if suite.quick and (more or framework != "torch") or not present(framework):
                continue
            command = python("framework_hoard.py", framework, *more)
            name = "-".join([framework, "busy" if more else "asleep"])
            run = suite.run(f"hoard-{name}", command, "auto", 60, {})
            figures = dict(re.findall(r"(held|left) (\d+)", run.output))
            held, left = int(figures.get("held", 0)), int(figures.get("left", 1 << 20))
            suite.check(f"frameworks/hoard/{name}",
                        run.problem() is None and held >= 21 << 10 and left <= LEFT_MIB,
                        run.problem() or f"held {held} MiB, {left} MiB left")
            suite.note(f"frameworks/hoard/{name}: {held} MiB held, {left} left after SIGUSR1")
