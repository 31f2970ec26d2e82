"""Victims that live with SIGUSR1: what they print once they got one, pooled.
Bare, most of them would die of it, so the expected text stands here."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass

from harness import last_line, read_stats, read_text

TIME_LIMIT_S = 60


@dataclass(frozen=True)
class Case:
    """`prompt` is the line after which the signal is sent, if there is one."""

    victim: str
    arguments: tuple
    prompt: str
    said: str
    expected: str


CASES = (
    Case("signal_read", (), "ready", "hello\n", "ready\nread 6 bytes: hello\n"),
    Case("signal_poll", (), "polling", "go\n", "polling\nsleeping\nwoken\n"),
    Case("signal_own", (), "ready", "go\n", "my handler is installed\nready\nheard 1\n"),
    Case("signal_own", ("late",), "ready", "go\n", "my handler is installed\nready\nheard 1\n"),
    Case("signal_early", (), "", "\n", "alive\nready\n"),
    Case("signal_storm", (), "", "", "10000 signals, 0 wrong words\n"),
)
NAMES = {case.victim for case in CASES}


def run_case(suite, case):
    """Starts the victim, signals it, speaks to it and judges what it printed."""
    name = "-".join((case.victim,) + case.arguments)
    directory = suite.new_directory(name)
    environment = os.environ | suite.environment("auto", directory, {})
    command = [suite.build / "victims" / case.victim, *case.arguments]
    with open(directory / "stdout", "wb") as out, open(directory / "stderr", "wb") as err:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=err,
                                   cwd=directory, env=environment, text=True)
        try:
            reason = converse(process, case, directory)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
        finally:
            process.kill()
            process.wait()
    output = read_text(directory / "stdout")
    flushes = [flush for report in read_stats(directory) for flush in report.get("flushes", [])]
    suite.log(f"--- {name} status {process.returncode}\n{output}{read_text(directory / 'stderr')}")
    if not reason and output != case.expected:
        reason = f"expected `{last_line(case.expected)}`, got `{last_line(output)}`"
    suite.check(f"victims/auto/{name}", not reason, reason)
    suite.check(f"victims/auto/{name}/flush", bool(flushes), "no flush in the stats file")


def converse(process, case, directory):
    """Returns what went wrong, or ""."""
    if case.prompt:
        end = time.monotonic() + TIME_LIMIT_S
        while f"{case.prompt}\n" not in read_text(directory / "stdout"):
            if process.poll() is not None or time.monotonic() > end:
                return f"never printed `{case.prompt}`"
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
    process.communicate(case.said, timeout=TIME_LIMIT_S)
    return "" if process.returncode == 0 else f"exit status {process.returncode}"
