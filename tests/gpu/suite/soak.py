"""Many threads, streams and sizes: every block keeps its own words."""

from harness import BARE, UNORDERED

# MiB of the device that a tight run has, its blocks being up to 256 MiB each.
TIGHT = 1024
# Blocks of the tight runs, a million together.
TIGHT_BLOCKS = {"auto": 200_000, "fence": 300_000, "lazy": 500_000}
QUICK_TIGHT_BLOCKS = {"fence": 15_000, "lazy": 15_000}
# A tight run takes no new block after so many seconds.
SECONDS = 50
# In so many of the allocations, memory must at least have been moved or made anew.
# One in five asks for a megabyte or more.
MOVED = 1 / 200

# What a kernel's access to memory that is gone ends in.
FAULTS = ("cudaErrorIllegalAddress", "cudaErrorLaunchFailure", "CUresult 700", "CUresult 719")


def soak(suite):
    """A million blocks in each ordering that reuses memory early, then a million
    with hardly any memory, and idle memory given back at random."""
    program = suite.build / "soak"
    # Bare is the test of the test, so a small one will do.
    bare = suite.run("soak", [program, "--blocks", 3000], BARE, 60)
    judge(suite, bare, "soak/bare", 3000)
    blocks = 30_000 if suite.quick else 1_000_000
    for mode in ("auto",) if suite.quick else ("auto", "fence", "lazy"):
        arguments = ["--blocks", blocks, "--threads", 8, "--streams", 4, "--flush-ms", 50]
        run = suite.run("soak", [program] + arguments, mode, 100)
        if judge(suite, run, f"soak/{mode}", blocks):
            suite.note(f"soak/{mode}: {blocks} blocks in {run.seconds:.1f} s")
    control(suite, "soak/control", [])
    tight = ["--tight", TIGHT]
    if not suite.quick:
        bare = suite.run("soak-tight", [program, "--blocks", 2000] + tight, BARE, 60)
        judge(suite, bare, "soak/bare/tight", 2000)
        control(suite, "soak/control/tight", tight)
    for mode, blocks in (QUICK_TIGHT_BLOCKS if suite.quick else TIGHT_BLOCKS).items():
        arguments = ["--blocks", blocks, "--threads", 8, "--streams", 4, "--flush-ms", 20,
                     "--seconds", 15 if suite.quick else SECONDS]
        run = suite.run("soak-tight", [program] + arguments + tight, mode, SECONDS + 20)
        judge(suite, run, f"soak/{mode}/tight", blocks)
        moved(suite, run, blocks)


def judge(suite, run, name, blocks):
    """No word is wrong, and no block is missing."""
    ok = run.problem() is None and run.output.endswith(f"\nblocks={blocks} wrong words=0\n")
    last = " ".join(run.output.splitlines())
    return suite.check(name, ok, run.problem() or f"{last}, not {blocks} after {run.seconds:.0f} s")


def control(suite, name, more):
    """Without order a word must be wrong: or a kernel finds its memory gone, and
    that ends the program."""
    # Few threads with many streams each: a thread mostly gets back what it freed itself.
    arguments = ["--blocks", 20_000, "--threads", 2, "--streams", 8, "--late", 300,
                 "--seconds", 15]
    run = suite.run("soak", [suite.build / "soak"] + arguments + more, UNORDERED, 60)
    # A run that hangs, or ends for another reason, has seen nothing.
    fault = run.status != 0 and any(name in run.errors for name in FAULTS)
    wrong = "wrong words=" in run.output and not run.output.endswith("wrong words=0\n")
    suite.check(name, fault or wrong, "no wrong word seen without order")


def moved(suite, run, blocks):
    """How often memory was moved, made and given back. A miss carries out one plan,
    of handles that move and handles that are made, so those of the former kind
    alone are at least the misses less the handles made."""
    devices = [device for report in run.stats for device in report.get("devices", [])]
    misses, made, returned, retries = (
        sum(device.get(key, 0) for device in devices)
        for key in ("misses", "num_device_alloc", "num_device_free", "num_alloc_retries"))
    flushes = run.output.splitlines()[0] if run.output else "no figures"
    suite.check(f"soak/{run.mode}/tight/moved", misses >= blocks * MOVED,
                f"only {misses} of {blocks} allocations moved or made memory")
    suite.note(f"soak/{run.mode}/tight: {blocks} blocks in {run.seconds:.1f} s; {misses} plans, "
               f"{made} handles made, {returned} given back, {retries} retries; {flushes}")
