"""Measures bare and pooled processes of the same programs alternately and
prints the medians as Markdown tables; every sample goes into a JSON file."""

import importlib.util
import json
import re
import statistics
import sys
import time

import build
import main
from frameworks import python
import tables
from harness import BARE, ORDERED

# No new process is started after this many seconds, so that a slow machine
# ends with fewer rounds and not with none.
BUDGET_S = 270
CACHED = {}
UNCACHED = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}


class Samples:
    """Values by configuration and metric."""

    def __init__(self):
        self.values = {}

    def add(self, configuration, output):
        for name, value in re.findall(r"^(\S+) ([0-9.]+) (?:us|ms)$", output, re.M):
            self.values.setdefault(configuration, {}).setdefault(name, []).append(float(value))

    def median(self, configuration, name):
        """The median, or None where nothing was measured."""
        values = self.values.get(configuration, {}).get(name)
        return statistics.median(values) if values else None


class Bench:
    def __init__(self, suite):
        self.suite = suite
        self.samples = Samples()
        self.rounds = 1 if suite.quick else 3
        self.deadline = time.monotonic() + (50 if suite.quick else BUDGET_S)
        self.problems = []
        self.commands = {}

    def measure(self, configuration, command, mode, environment=None, timeout=90):
        """One process; what it prints is added to the samples."""
        if time.monotonic() > self.deadline:
            self.problems.append(f"{configuration}: not run, out of time")
            return
        run = self.suite.run(configuration.replace(" ", "-"), command, mode, timeout, environment)
        self.commands[configuration] = " ".join(str(part) for part in command)
        if run.problem():
            self.problems.append(f"{configuration}: {run.problem()}")
        self.samples.add(configuration, run.output)

    # ---- what is measured -------------------------------------------------

    def calls(self):
        program = self.suite.build / "bench"
        for _ in range(self.rounds):
            for mode in (BARE,) + ORDERED:
                self.measure(f"calls {mode}", [program], mode)

    def torch(self):
        widths = ["--width", "512"] + ([] if self.suite.quick else ["--width", "2048"])
        command = python("torch_train.py", "--time", "--steps", "40", *widths)
        for round_ in range(self.rounds):
            self.measure("torch own", command, BARE, CACHED)
            self.measure("torch fence", command, "fence", UNCACHED)
            self.measure("torch auto", command, "auto", UNCACHED)
            if round_ == 0 and not self.suite.quick:
                self.measure("torch lazy", command, "lazy", UNCACHED)
                self.measure("torch native", command, BARE, UNCACHED)

    def cupy(self):
        command = python("cupy_chain.py", "--time", "--rounds", "40")
        for round_ in range(self.rounds):
            self.measure("cupy own", command + ["--pool"], BARE, {})
            self.measure("cupy fence", command, "fence", {})
            self.measure("cupy auto", command, "auto", {})
            if self.suite.quick:
                continue
            self.measure("cupy-transfers own", command + ["--pool", "--transfers"], BARE, {})
            self.measure("cupy-transfers auto", command + ["--transfers"], "auto", {})
            if round_ == 0:
                self.measure("cupy lazy", command, "lazy", {})
                self.measure("cupy native", command, BARE, {})
                self.measure("cupy-transfers native", command + ["--transfers"], BARE, {})

    def write_json(self):
        path = self.suite.logs / "bench.json"
        path.write_text(json.dumps({
            "samples": self.samples.values,
            "commands": self.commands,
            "problems": self.problems,
        }, indent=1))
        return path


def run():
    options = main.arguments("Measures bare and pooled alternately.")
    suite = main.new_suite(options, "bench")
    if not build.build_programs(suite, only=("bench",)):
        sys.exit(1)
    bench = Bench(suite)
    if suite.wanted("calls"):
        bench.calls()
    for package, measure in (("torch", bench.torch), ("cupy", bench.cupy)):
        if suite.wanted(package) and importlib.util.find_spec(package):
            measure()
    print(f"\nMedians of {bench.rounds} alternating runs; pairs in µs.\n")
    for table in (tables.pairs, tables.work, tables.targets):
        print(table(bench.samples) + "\n")
    for problem in bench.problems:
        print(f"problem {problem}")
    print(f"samples in {bench.write_json()}")
    sys.exit(1 if bench.problems or suite.failed else 0)


if __name__ == "__main__":
    run()
