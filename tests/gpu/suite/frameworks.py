"""PyTorch, CuPy and JAX, unmodified, with their own caching off and on."""

import importlib.util
import re
import sys

from harness import BARE, WORKLOADS, last_line

DETERMINISTIC = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
UNCACHED = DETERMINISTIC | {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
JAX = {"XLA_PYTHON_CLIENT_ALLOCATOR": "platform", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

# Name, package, script and arguments, environment, orderings to compare.
CASES = (
    ("torch-uncached", "torch", ["torch_train.py"], UNCACHED, ("auto", "fence", "strict", "lazy")),
    ("torch-caching", "torch", ["torch_train.py"], DETERMINISTIC, ("auto",)),
    ("torch-varlen", "torch", ["torch_train.py", "--model", "varlen", "--steps", "20"], UNCACHED,
     ("fence", "lazy")),
    ("cupy-unpooled", "cupy", ["cupy_chain.py"], {}, ("auto", "fence", "lazy")),
    ("cupy-transfers", "cupy", ["cupy_chain.py", "--transfers"], {}, ("auto", "lazy")),
    ("jax-platform", "jax", ["jax_platform.py"], JAX, ("auto", "lazy")),
)
# The cases of `--quick`, in one ordering each.
QUICK = ("torch-uncached", "cupy-unpooled")
# JAX's platform allocator goes through virtual memory management, past the pool.
NOT_SERVED = ("jax-platform",)


def python(script, *arguments):
    return [sys.executable, WORKLOADS / script, *arguments]


def frameworks(suite):
    """Each workload prints the same bare and pooled: numbers to the bit, but for JAX."""
    runs = []
    for name, package, command, environment, modes in CASES:
        if suite.quick and name not in QUICK:
            continue
        if importlib.util.find_spec(package) is None:
            suite.note(f"frameworks/{name}: no {package} here")
            continue
        modes = modes[:1] if suite.quick else modes
        runs += [(name, command, environment, mode) for mode in (BARE,) + modes]

    def run(item):
        name, command, environment, mode = item
        return suite.run(name, python(*command), mode, 150, environment)

    results = {(run.name, run.mode): run for run in suite.each(runs, run, 6)}
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
    if importlib.util.find_spec("torch") is not None:
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
