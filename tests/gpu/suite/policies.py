"""Memory that goes back by itself or for a neighbour, between real processes."""

import os
import re
import subprocess
import time

from harness import BARE, read_stats

# The victim that does what it is told, line by line; the victims' group leaves it out.
STEPS = "policy_steps"
PATIENCE_S = 60
# What two processes cannot have at the same time, of the device's memory.
SHARE = 0.71
KEEPS = "decay:off,max_idle:none"


class Steps:
    """A running `policy_steps`."""

    def __init__(self, suite, mode):
        # A pattern of the stats file, in which `%` would mean something.
        self.directory = suite.new_directory("policies-" + re.sub(r"\W", "-", mode))
        settings = suite.environment(mode, self.directory, {})
        settings["XDG_RUNTIME_DIR"] = str(suite.build)
        clean = {key: value for key, value in os.environ.items()
                 if not key.startswith("CUPOOL_") and key != "LD_PRELOAD"}
        self.process = subprocess.Popen(
            ["timeout", "-k", "5", str(PATIENCE_S), "env",
             *(f"{key}={value}" for key, value in settings.items()),
             str(suite.build / "victims" / STEPS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean, cwd=self.directory)
        self.process.stdout.readline()

    def say(self, line):
        """What the program answers, and how long that took in seconds."""
        started = time.monotonic()
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip(), time.monotonic() - started

    def has_idle(self, mib):
        self.say(f"alloc {mib}")
        self.say("free")

    def end(self):
        """The stats files."""
        self.process.communicate()
        return read_stats(self.directory)


def device_mib():
    told = subprocess.run(["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
                          capture_output=True, text=True, check=True)
    return int(told.stdout.split()[0])


def policies(suite):
    """An idle process with most of the device cached, and one that wants as much."""
    mib = int(device_mib() * SHARE)
    for name, idle, needy, pause, status in (
        ("alone", f"auto,{KEEPS}", "auto,ask_neighbours:off", 0, 2),
        ("ask", f"auto,{KEEPS}", "auto,ask_neighbours:on", 0, 0),
        ("ask-exact", f"auto,backing:exact,{KEEPS}", "auto,ask_neighbours:on", 0, 0),
        ("min_free", f"auto,{KEEPS},min_free:80%", BARE, 3, 0),
        # Ten seconds, what a sample more takes, and a hundred portions.
        ("decay", "auto,max_idle:none", BARE, 16, 0),
    ):
        holder = Steps(suite, idle)
        holder.has_idle(mib)
        time.sleep(pause)
        wanting = Steps(suite, needy)
        answer, took = wanting.say(f"alloc {mib}")
        suite.check(f"policies/{name}", answer == f"alloc {mib}: {status}",
                    f"a neighbour's allocation of {mib} MiB: `{answer}`")
        suite.note(f"policies/{name}: {mib} MiB beside as many idle: `{answer}`, {took * 1e3:.0f} ms")
        wanting.end()
        flushes = [flush["reason"] for report in holder.end() for flush in report["flushes"]]
        if name in ("ask", "ask-exact", "min_free"):
            reason = "min_free" if name == "min_free" else "neighbour"
            suite.check(f"policies/{name}/record", reason in flushes, f"flushes: {flushes}")
    asking = Steps(suite, BARE)
    asking.say("alloc 1")
    suite.note(f"policies/cost of asking for the free memory: {asking.say('info')[0]}")
    asking.end()
