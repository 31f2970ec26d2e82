"""The native behaviour that programs may rely on, compared line by line."""

from harness import BARE, ORDERED, PREPARED, last_line

SUCCESS = "cudaSuccess"


def lines_of(output):
    """`name: rest` lines as a dictionary."""
    return {
        name: rest.strip()
        for name, separator, rest in (line.partition(": ") for line in output.splitlines())
        if separator
    }


def errors(suite):
    """The table of native errors."""
    program = [suite.build / "errors"]
    modes = (BARE,) + (("auto", "strict") if suite.quick else ORDERED)
    runs = suite.each(modes, lambda mode: suite.run("errors", program, mode), len(modes))
    expected = lines_of(runs[0].output)
    suite.check("errors/bare", runs[0].problem() is None, runs[0].problem() or "")
    for run in runs[1:]:
        suite.check(f"errors/{run.mode}", run.problem() is None, run.problem() or "")
        got = lines_of(run.output)
        for name, line in expected.items():
            suite.check(f"errors/{run.mode}/{name}", got.get(name) == line,
                        f"native `{line}`, pooled `{got.get(name, 'nothing')}`")


# What the driver says of mapped memory, or of a context that is broken: for people.
FOR_PEOPLE = ("sharing-", "vmm-", "width-", "fault-")


def pointers(suite):
    """What is said of pointers, live and freed, whatever the backing."""
    program = [suite.build / "pointers"]
    modes = (BARE, "auto") if suite.quick else (BARE, "auto", "auto,backing:exact", "strict")
    runs = suite.each(modes, lambda mode: suite.run("pointers", program, mode), 1)
    native = lines_of(runs[0].output)
    suite.check("pointers/bare", runs[0].problem() is None, runs[0].problem() or "")
    # Freed memory is told of as an address where nothing can be.
    for name, line in native.items():
        if name.startswith("freed-first-1000-"):
            other = "nowhere-" + name.removeprefix("freed-first-1000-")
            # What is echoed is the start here and any address there.
            alike = native.get(other, "").replace("the address", "the start") == line
            suite.check(f"pointers/bare/{name}", alike,
                        f"`{line}`, but `{native.get(other, 'nothing')}` of nowhere")
    for name, line in native.items():
        if name.startswith("unmap-"):
            suite.check(f"pointers/bare/{name}", line == "unmap 0 release 0 free 0", line)
    for run in runs[1:]:
        suite.check(f"pointers/{run.mode}", run.problem() is None, run.problem() or "")
        got = lines_of(run.output)
        different = [name for name, line in native.items()
                     if not name.startswith(FOR_PEOPLE) and got.get(name) != line]
        for name in different[:20]:
            suite.check(f"pointers/{run.mode}/{name}", False,
                        f"native `{native[name]}`, pooled `{got.get(name, 'nothing')}`")
        suite.check(f"pointers/{run.mode}/alike", not different, f"{len(different)} lines differ")
    suite.run("pointers-fault", program + ["fault"], BARE)


def succeeds(line):
    """Whether every result of a capture line is a success."""
    fields = dict(part.split("=", 1) for part in line.split() if "=" in part)
    results = line.split()[0].split(",")
    return (
        all(result in (SUCCESS, "-") for result in results)
        and fields.get("capture") == "active"
        and fields.get("end") == SUCCESS
    )


def capture(suite):
    """Allocation and free around captures in three modes, and a race."""
    rounds = "100" if suite.quick else "400"
    program = [suite.build / "capture", rounds]
    modes = (BARE,) + (("auto", "fence") if suite.quick else ORDERED)
    runs = suite.each(modes, lambda mode: suite.run("capture", program, mode, 90), 1)
    expected = lines_of(runs[0].output)
    suite.check("capture/bare", runs[0].problem() is None, runs[0].problem() or "")
    for run in runs[1:]:
        suite.check(f"capture/{run.mode}", run.problem() is None, run.problem() or "")
        got = lines_of(run.output)
        for name, line in expected.items():
            pooled = got.get(name, "nothing")
            if name.startswith("race"):
                suite.check(f"capture/{run.mode}/{name}", race_holds(line, pooled),
                            f"native `{line}`, pooled `{pooled}`")
            elif succeeds(line):
                suite.check(f"capture/{run.mode}/{name}", pooled == line,
                            f"native `{line}`, pooled `{pooled}`")
            else:
                # What natively fails may succeed; what is replayed must be right.
                suite.check(f"capture/{run.mode}/{name}",
                            pooled != "nothing" and "replay=wrong" not in pooled, pooled)


def race_holds(native, pooled):
    """No more captures spoilt and no more calls failed than natively."""
    def numbers(line):
        fields = dict(part.split("=") for part in line.split() if "=" in part)
        return int(fields.get("spoilt", 10**9)), int(fields.get("failed", 10**9))

    spoilt, failed = numbers(native)
    pooled_spoilt, pooled_failed = numbers(pooled)
    return (pooled_spoilt <= spoilt and pooled_failed <= failed
            and "counted=right" in pooled)


# Case -> the orderings in which the output must be native's. `fence` by choice
# delays other threads' submissions, so a kernel that waits for one hangs there;
# `lazy` orders nothing but memory.
SEMANTICS = {
    "spin-copy": ("auto", "strict", "lazy"),
    "spin-kernel": ("auto", "strict", "lazy"),
    "streams": ("auto", "fence", "strict"),
    "events": ("auto", "fence", "strict"),
    "queries": ("auto", "fence", "strict"),
    "print": ORDERED,
}
# Nothing in these could tell a fence from a wait, so `auto` must not wait.
NO_SIGN = ("streams", "events", "queries", "print")


def semantics(suite):
    """What programs get from cudaFree beside the memory."""
    program = suite.build / "semantics"

    def run(case_and_mode):
        case, mode = case_and_mode
        return suite.run(f"semantics-{case}", [program, case], mode, 30)

    # Natively the kernels that wait for another thread only run into their own limit.
    pairs = [(case, mode) for case, modes in SEMANTICS.items()
             for mode in (BARE,) + (modes[:1] if suite.quick else modes)
             if not (suite.quick and mode == BARE and case.startswith("spin"))]
    results = dict(zip(pairs, suite.each(pairs, run, 1)))
    for (case, mode), result in results.items():
        problem = result.problem()
        if case.startswith("spin"):
            # Native holds up another thread's work during a free, so it may fail here.
            if mode == BARE:
                suite.note(f"semantics/{mode}/{case}: {last_line(result.output)}")
            else:
                suite.check(f"semantics/{mode}/{case}", problem is None
                            and last_line(result.output) == "spin: the kernel was released",
                            problem or last_line(result.output))
            continue
        bare = results[case, BARE]
        # What a kernel prints may come before or after the host's own line.
        same = sorted(result.output.splitlines()) == sorted(bare.output.splitlines())
        suite.check(f"semantics/{mode}/{case}", problem is None and same,
                    problem or f"native `{last_line(bare.output)}`, "
                    f"pooled `{last_line(result.output)}`")
        if mode == "auto" and case in NO_SIGN and problem is None:
            suite.check(f"semantics/auto/{case}/fences", result.order[0] == "fence",
                        f"{result.order[0]}: {result.order[1]}")
    disabled(suite, results["streams", BARE])
    fault(suite, run)
    late = run(("spin-late-thread", "auto"))
    suite.note(f"semantics/auto/spin-late-thread: {last_line(late.output)} "
               "(a thread's first CUDA call comes after the free)")


def disabled(suite, bare):
    """`CUPOOL_DISABLE=1` leaves the program as it is, without a trace."""
    run = suite.run("semantics-disabled", [suite.build / "semantics", "streams"], "auto", 30,
                    PREPARED | {"CUPOOL_DISABLE": "1"})
    suite.check("semantics/disabled", run.status == 0 and run.output == bare.output
                and not run.stats and not run.errors,
                f"status {run.status}, {len(run.stats)} stats files, {last_line(run.output)}")


def fault(suite, run):
    """`strict` reports a device fault at the free as native does, the other
    orderings at the next call that waits."""
    def fields(output):
        return dict(part.split("=") for part in output.split() if "=" in part)

    bare = fields(run(("fault", BARE)).output)
    suite.check("semantics/bare/fault", len(bare) == 3, "no result")
    for mode in ("auto", "strict") if suite.quick else ORDERED:
        result = run(("fault", mode))
        got = fields(result.output)
        keys = ("free", "wait", "malloc") if mode == "strict" else ("wait",)
        ok = all(key in bare and got.get(key) == bare[key] for key in keys)
        suite.check(f"semantics/{mode}/fault", ok,
                    f"native {bare}, pooled {got or last_line(result.errors)}")
