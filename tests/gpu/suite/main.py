"""The GPU suite's command line: builds, runs the groups in order, counts."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import build
import frameworks
import giving_back
import hazards
import native
import policies
import soak
import victims
from harness import HERE, Suite

# In the order in which they run: the cheap and telling first.
GROUPS = (
    ("victims", victims.victims),
    ("overwrite", hazards.overwrite),
    ("read", hazards.read),
    ("extended", hazards.extended),
    ("contexts", hazards.contexts),
    ("errors", native.errors),
    ("pointers", native.pointers),
    ("capture", native.capture),
    ("semantics", native.semantics),
    ("flush", giving_back.flush),
    ("policies", policies.policies),
    ("frameworks", frameworks.frameworks),
    ("soak", soak.soak),
)


def find_library(given):
    """The library to preload: as given, or where cargo puts it."""
    root = HERE.parent.parent
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    candidates = [Path(given)] if given else [
        target / "release" / "libcupool.so", target / "debug" / "libcupool.so"]
    for path in candidates:
        if path.is_file():
            return path.resolve()
    sys.exit(f"no library at {' or '.join(map(str, candidates))}: build it or give --lib")


def log_directory(build_directory, name):
    """Where logs go: beside the build, or under $OUT where that is set."""
    out = os.environ.get("OUT")
    return Path(out) / name if out else build_directory / "logs"


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a subset, in under two minutes")
    parser.add_argument("--only", default="", metavar="PATTERN",
                        help="only groups whose name contains this, or one of several separated by commas")
    parser.add_argument("--lib", metavar="PATH", help="the libcupool.so to preload")
    return parser.parse_args()


def new_suite(options, name):
    build_directory = Path(tempfile.mkdtemp(prefix=f"cupool-{name}-"))
    return Suite(find_library(options.lib), build_directory,
                 log_directory(build_directory, name), options.quick, options.only)


def main():
    options = arguments("Runs the GPU suite, bare and pooled.")
    suite = new_suite(options, "gpu")
    print(f"library {suite.library}\nlogs {suite.logs}", flush=True)
    run_group(suite, "build", build.build_programs)
    if suite.group_counts.get("build", (0, 0))[0] > 0:
        for name, function in GROUPS:
            if suite.wanted(name):
                run_group(suite, name, function)
    print(f"{suite.passed} passed, {suite.failed} failed", flush=True)
    sys.exit(1 if suite.failed else 0)


def run_group(suite, name, function):
    """A group that breaks is a failure of its own and stops no other."""
    started = time.monotonic()
    try:
        function(suite)
    except Exception as error:  # noqa: BLE001 - whatever it is, the rest still runs
        suite.check(f"{name}/suite", False, f"{type(error).__name__}: {error}")
    suite.end_group(name, time.monotonic() - started)


if __name__ == "__main__":
    main()
