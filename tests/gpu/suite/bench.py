"""Measures bare and pooled processes of the same programs alternately and
prints the medians as Markdown tables; every sample goes into a JSON file."""

import importlib.util
import json
import sys
import time

import build
import main
from frameworks import PROGRAMS, present, python
import tables
import torch_tables
from harness import BARE, ORDERED
from samples import Samples

# A part starts no process after so many seconds, so that a slow machine ends with
# fewer rounds and not with none: in all, and with --quick.
BUDGET_S = {"calls": (115, 45), "flat": (25, 10), "torch": (160, 50), "cost": (45, 15),
            "decay": (130, 60), "cupy": (75, 15), "programs": (170, 60)}
CACHED = {}
# Either name, for older and newer versions.
EXPANDABLE = {name: "expandable_segments:True"
              for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")}
UNCACHED = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}


class Bench:
    def __init__(self, suite):
        self.suite = suite
        self.samples = Samples()
        self.rounds = 1 if suite.quick else 3
        self.deadline = 0
        self.problems = []
        self.commands = {}

    def begin(self, part):
        """The part's time starts."""
        whole, quick = BUDGET_S[part]
        self.deadline = time.monotonic() + (quick if self.suite.quick else whole)

    def measure(self, configuration, command, mode, environment=None, timeout=60):
        """One process; what it prints is added to the samples. Returns how it went."""
        if time.monotonic() > self.deadline:
            if configuration not in self.samples.values:
                self.problems.append(f"{configuration}: not run, out of time")
            return None
        run = self.suite.run(configuration.replace(" ", "-"), command, mode, timeout, environment)
        self.commands[configuration] = " ".join(str(part) for part in command)
        measured = self.samples.add(configuration, run.output)
        problem = run.problem() or (None if measured else f"{mode}: printed no figure")
        if problem:
            self.problems.append(f"{configuration}: {problem}")
        return run

    # ---- what is measured -------------------------------------------------

    def calls(self):
        """Pairs idle, with a kernel, and among sixteen threads."""
        self.begin("calls")
        program, crowd = self.suite.build / "bench", self.suite.build / "crowd"
        for _ in range(self.rounds):
            for mode in (BARE,) + ORDERED:
                self.measure(f"calls {mode}", [program], mode)
                self.measure(f"threads {mode}", [crowd, "threads"], mode)
            self.measure("threads async", [crowd, "async-threads"], BARE)

    def flat(self):
        """Pairs among few and many blocks and holes; natively, that takes too long."""
        self.begin("flat")
        for _ in range(self.rounds):
            for mode in ("auto", "lazy", "fence"):
                self.measure(f"flat {mode}", [self.suite.build / "crowd", "flat"], mode)

    def torch(self):
        """Time and memory beside PyTorch's own allocator, without and with expandable
        segments."""
        self.begin("torch")
        models = torch_tables.QUICK_MODELS if self.suite.quick else torch_tables.MODELS
        names = [part for model in models for part in ("--model", model)]
        command = python("torch_train.py", "--time", "--steps", "40" if self.suite.quick else "60",
                         "--seconds", "2", *names)
        for round_ in range(self.rounds):
            self.measure("torch own", command, BARE, CACHED, 90)
            self.measure("torch fence", command, "fence", UNCACHED, 90)
            if round_ == 0:
                # For its memory, which is the same every time.
                self.measure("torch expandable", command, BARE, EXPANDABLE, 90)
            self.measure("torch lazy", command, "lazy", UNCACHED, 90)
            if round_ == 0 and not self.suite.quick:
                few = python("torch_train.py", "--time", "--steps", "20", "--seconds", "2",
                             "--model", "d512", "--model", "d2048")
                self.measure("torch auto", few, "auto", UNCACHED)
                self.measure("torch native", few, BARE, UNCACHED)

    def cost_of_flushes(self):
        """What a flush every second costs a training loop, compared with itself."""
        self.begin("cost")
        turns = 3 if self.suite.quick else 6
        for mode in ("fence",) if self.suite.quick else ("fence", "lazy"):
            run = self.measure(f"flushes {mode}",
                               python("torch_flush.py", "--turns", str(turns)), mode, UNCACHED)
            flushes = [flush for report in (run.stats if run else [])
                       for flush in report.get("flushes", []) if flush.get("reason") == "signal"]
            released = sum(flush.get("released_bytes", 0) + flush.get("released_later_bytes", 0)
                           for flush in flushes)
            if run and (len(flushes) < turns or not released):
                self.problems.append(f"flushes {mode}: {len(flushes)}, {released} bytes released")

    def decay(self):
        """What giving back what was not used for ten seconds costs training that lasts longer."""
        self.begin("decay")
        command = python("torch_train.py", "--time", "--steps", "100000", "--seconds", "25",
                         "--model", "d512")
        for _ in range(1 if self.suite.quick else 2):
            for name, mode in (("on", "lazy"), ("off", "lazy,decay:off")):
                self.measure(f"decay {name}", command, mode, UNCACHED, 90)
        on, off = (self.samples.median(f"decay {name}", "step-d512") for name in ("on", "off"))
        if on and off:
            print(f"a step with decay at its default: {on:.2f} ms, without {off:.2f} ms, "
                  f"{(on / off - 1) * 100:+.2f} % (at most +1 %)", flush=True)

    def cupy(self):
        """A chain of operations beside CuPy's own pool."""
        self.begin("cupy")
        command = python("cupy_chain.py", "--time", "--rounds", "40")
        for round_ in range(self.rounds):
            self.measure("cupy own", command + ["--pool"], BARE, {})
            self.measure("cupy fence", command, "fence", {})
            self.measure("cupy lazy", command, "lazy", {})
            if self.suite.quick:
                continue
            self.measure("cupy auto", command, "auto", {})
            if round_ == 0:
                self.measure("cupy-transfers own", command + ["--pool", "--transfers"], BARE, {})
                self.measure("cupy-transfers auto", command + ["--transfers"], "auto", {})
                self.measure("cupy-transfers lazy", command + ["--transfers"], "lazy", {})
                self.measure("cupy native", command, BARE, {})
                self.measure("cupy-transfers native", command + ["--transfers"], BARE, {})

    def programs(self):
        """What real programs gain without being told of cupool: a step, bare and pooled."""
        self.begin("programs")
        for name, package, command, environment in PROGRAMS:
            if not present(package):
                continue
            command = [self.suite.build / command[0]] if package is None else python(*command)
            for mode in (BARE, "auto"):
                self.measure(f"{name} {mode}", command + ["--time"], mode, environment)

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
    if not build.build_programs(suite, only=("bench", "crowd", "algorithms")):
        sys.exit(1)
    bench = Bench(suite)
    # The part that `--only` selects by, the package it needs, and what it is.
    parts = (("calls", None, bench.calls), ("flat", None, bench.flat),
             ("torch", "torch", bench.torch), ("cost", "torch", bench.cost_of_flushes),
             ("decay", "torch", bench.decay),
             ("cupy", "cupy", bench.cupy), ("programs", None, bench.programs))
    for part, package, measure in parts:
        if suite.wanted(part) and (package is None or importlib.util.find_spec(package)):
            started = time.monotonic()
            measure()
            suite.log(f"{part}: {time.monotonic() - started:.0f} s")
    print(f"\nMedians of up to {bench.rounds} alternating runs; pairs in µs.")
    for table in (tables.pairs, tables.threads, tables.flat, tables.work, torch_tables.training,
                  lambda samples: tables.programs(samples, [name for name, *_ in PROGRAMS]),
                  lambda samples: tables.targets(samples) + torch_tables.targets(samples)):
        rows = table(bench.samples)
        if len(rows) > 1:
            print("\n" + tables.markdown(rows))
    for problem in bench.problems:
        print(f"problem {problem}"[:240])
    print(f"samples in {bench.write_json()}")
    sys.exit(1 if bench.problems or suite.failed else 0)


if __name__ == "__main__":
    run()
