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
    """`dialogue` is a list of (line to wait for, whether to signal then, what to
    say on standard input after that)."""

    victim: str
    arguments: tuple
    dialogue: tuple
    expected: str


OWN_HANDLER = "my handler is installed\nready\nheard 1\n"
CASES = (
    Case("signal_read", (), (("ready", True, "hello\n"),), "ready\nread 6 bytes: hello\n"),
    Case("signal_poll", (), (("polling", True, "go\n"), ("sleeping", True, "")),
         "polling\nsleeping\nwoken\n"),
    Case("signal_own", (), (("ready", True, "go\n"),), OWN_HANDLER),
    Case("signal_own", ("late",), (("ready", True, "go\n"),), OWN_HANDLER),
    # These signal themselves.
    Case("signal_early", (), (("ready", False, ""),), "alive\nready\n"),
    Case("signal_storm", (), (), "10000 signals, 0 wrong words\n"),
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
    end = time.monotonic() + TIME_LIMIT_S
    for prompt, signalled, said in case.dialogue:
        while f"{prompt}\n" not in read_text(directory / "stdout"):
            if process.poll() is not None or time.monotonic() > end:
                return f"never printed `{prompt}`"
            time.sleep(0.02)
        if signalled:
            process.send_signal(signal.SIGUSR1)
        # The flush is another thread's work.
        time.sleep(0.5)
        process.stdin.write(said)
        process.stdin.flush()
    process.communicate(timeout=TIME_LIMIT_S)
    return "" if process.returncode == 0 else f"exit status {process.returncode}"
