"""What comes back to the device when idle memory is given back, and what that
costs the program meanwhile."""

import re

from harness import BARE, ORDERED

# Shares of the idle bytes that must be back within 100 ms, in percent.
BACK = {"even": 95, "random": 95}
# How much longer the slowest launch in a hundred may take meanwhile. The best of
# three rounds counts: what a neighbour of this machine does is not the pool's.
SLOWER = 1.2


def numbers(output, name):
    """The `word value` pairs of each line that starts with `name`."""
    lines = [line for line in output.splitlines() if line.startswith(name + " ")]
    return [{word: float(value) for word, value in re.findall(r"(\w+) ([0-9.]+)", line)}
            for line in lines]


def flush(suite):
    """The bytes that come back, and the launches that wait for it."""
    program = [suite.build / "flush"]
    modes = ("auto", "fence") if suite.quick else ORDERED
    runs = [suite.run("flush", program, mode, 60) for mode in (BARE,) + modes]
    suite.check("flush/bare", runs[0].problem() is None, runs[0].problem() or "")
    for name in BACK:
        for trimmed in numbers(runs[0].output, name):
            suite.note(f"flush/{name}: trimming cudaMallocAsync's pool gives "
                       f"{trimmed['percent']:.0f} % back")
    for run in runs[1:]:
        suite.check(f"flush/{run.mode}", run.problem() is None, run.problem() or "")
        for name, least in BACK.items():
            got = numbers(run.output, name)
            percent = got[0]["percent"] if got else 0
            suite.check(f"flush/{run.mode}/{name}", percent >= least,
                        f"{percent:.0f} % of the idle bytes came back, not {least} %")
        quiet, flushing = numbers(run.output, "quiet"), numbers(run.output, "flushing")
        slower = min((b["p99_us"] / a["p99_us"] for a, b in zip(quiet, flushing)), default=99)
        suite.check(f"flush/{run.mode}/launches", slower <= SLOWER,
                    f"the slowest launch in a hundred takes {slower:.2f} times as long")
