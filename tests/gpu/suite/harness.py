"""What every group of tests shares: how a program is run bare or pooled, and
how results are counted."""

import glob
import json
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PROGRAMS = HERE / "programs"
WORKLOADS = HERE / "workloads"
VICTIMS = HERE.parent / "victims"

BARE = "bare"
# Every ordering that promises something. `unordered` exists for tests alone.
ORDERED = ("auto", "fence", "strict", "lazy")
UNORDERED = "unordered"


# For programs whose timing matters: loading a kernel may wait for the GPU, and
# streams that share a channel wait for each other. Not for frameworks, which
# would load thousands of kernels.
PREPARED = {"CUDA_MODULE_LOADING": "EAGER", "CUDA_DEVICE_MAX_CONNECTIONS": "32"}


@dataclass
class Run:
    """How one process went."""

    name: str
    mode: str
    status: int
    output: str
    errors: str
    seconds: float
    stats: list = field(default_factory=list)

    @property
    def timed_out(self):
        return self.status in (124, 137)

    @property
    def served(self):
        """Allocations that the pool handed out, over all processes' stats files."""
        return sum(
            device.get("hits", 0) + device.get("misses", 0)
            for report in self.stats
            for device in report.get("devices", [])
        )

    @property
    def order(self):
        """The ordering in force at the end, and why it is not another."""
        return next(((report.get("order"), report.get("order_reason") or "")
                     for report in self.stats if "order" in report), (None, ""))

    def problem(self):
        """Why this run proves nothing, or None."""
        if self.timed_out:
            return f"{self.mode}: no end after {self.seconds:.0f} s"
        if self.status != 0:
            return f"{self.mode}: exit status {self.status}: {last_line(self.errors or self.output)}"
        if self.mode != BARE and not self.stats:
            return f"{self.mode}: no stats file"
        retired = next((why for why in (r.get("retired") for r in self.stats) if why), None)
        if retired:
            return f"{self.mode}: the pool retired: {retired}"
        if self.mode != BARE and self.served == 0:
            return f"{self.mode}: no allocation went through the pool"
        return None


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].replace(f"{PROGRAMS}/", "")[:160] if lines else "(no output)"


class Suite:
    """Runs programs, counts checks, prints one line per failure."""

    def __init__(self, library, build, logs, quick, pattern):
        self.library = Path(library)
        self.build = Path(build)
        self.logs = Path(logs)
        self.quick = quick
        self.pattern = pattern
        self.passed = 0
        self.failed = 0
        self.group_counts = {}
        self.lock = threading.Lock()
        self.serial = 0
        self.logs.mkdir(parents=True, exist_ok=True)
        self.log_file = open(self.logs / "log.txt", "w", encoding="utf-8")

    # ---- results ----------------------------------------------------------

    def wanted(self, group):
        """Whether `--only` selects this group."""
        return any(part in group for part in self.pattern.split(","))

    def log(self, text):
        with self.lock:
            self.log_file.write(text.rstrip("\n") + "\n")
            self.log_file.flush()

    def check(self, name, ok, reason=""):
        """Counts one check named `group/...`."""
        group = name.split("/")[0]
        with self.lock:
            passed, failed = self.group_counts.get(group, (0, 0))
            if ok:
                self.passed += 1
                self.group_counts[group] = (passed + 1, failed)
            else:
                self.failed += 1
                self.group_counts[group] = (passed, failed + 1)
                print(f"FAIL {name}: {reason}"[:240], flush=True)
        self.log(f"ok {name}" if ok else f"FAIL {name}: {reason}")
        return ok

    def note(self, text):
        """A finding that is neither a pass nor a failure."""
        print(f"note {text}", flush=True)
        self.log(f"note {text}")

    def end_group(self, group, seconds):
        passed, failed = self.group_counts.get(group, (0, 0))
        print(f"{group}: {passed} passed, {failed} failed ({seconds:.0f} s)", flush=True)

    # ---- processes --------------------------------------------------------

    def environment(self, mode, directory, more):
        """The variables a run adds; a pooled run preloads the library."""
        added = dict(PREPARED if more is None else more)
        if mode != BARE:
            behind = added.get("LD_PRELOAD")
            added["LD_PRELOAD"] = f"{self.library}:{behind}" if behind else str(self.library)
            added["CUPOOL_CONF"] = f"ask_neighbours:off,order:{mode},stats:{directory}/%p.json"
            if mode == UNORDERED:
                added["CUPOOL_TESTING"] = "1"
        return added

    def new_directory(self, name):
        with self.lock:
            self.serial += 1
            serial = self.serial
        directory = self.build / "runs" / f"{serial:04d}-{name.replace('/', '-')}"
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def command(self, command, mode, directory, timeout, environment):
        """`command` under a time limit that is itself not preloaded."""
        settings = self.environment(mode, directory, environment)
        return (
            ["timeout", "-k", "5", str(timeout), "env"]
            + [f"{key}={value}" for key, value in settings.items()]
            + [str(part) for part in command]
        )

    def run(self, name, command, mode, timeout=60, environment=None):
        """Runs `command` in `mode`, with the variables of `environment` or else
        those of `PREPARED`; never raises for what the program does."""
        # The stats file lies there, and no option's value can hold a comma.
        directory = self.new_directory(f"{name}-{mode}".replace(",", "-").replace(":", "-"))
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("CUPOOL_") and key != "LD_PRELOAD"
        }
        started = time.monotonic()
        with open(directory / "stdout", "wb") as out, open(directory / "stderr", "wb") as err:
            try:
                process = subprocess.run(
                    self.command(command, mode, directory, timeout, environment),
                    stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                    cwd=directory, env=clean, timeout=timeout + 20, start_new_session=True,
                )
                status = process.returncode
            except subprocess.TimeoutExpired:
                status = 137
        result = Run(
            name, mode, status,
            read_text(directory / "stdout"), read_text(directory / "stderr"),
            time.monotonic() - started, read_stats(directory),
        )
        self.log(
            f"--- {name} [{mode}] status {status}, {result.seconds:.1f} s, served {result.served}\n"
            + result.output[-6000:] + result.errors[-3000:]
        )
        return result

    def each(self, items, function, jobs):
        """Calls `function` on every item, up to `jobs` at a time, in order."""
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            return list(pool.map(function, items))


def read_text(path):
    return Path(path).read_bytes().decode("utf-8", "replace")


def read_stats(directory):
    """The stats files of a run. One that is not JSON counts as absent."""
    reports = []
    for path in sorted(glob.glob(f"{directory}/*.json")):
        try:
            reports.append(json.loads(read_text(path)))
        except ValueError:
            pass
    return reports
