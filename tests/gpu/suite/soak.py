"""Many threads, streams and sizes: every block keeps its own words."""

from harness import BARE, UNORDERED


def soak(suite):
    """One million blocks in each ordering that reuses memory early."""
    blocks = 30_000 if suite.quick else 1_000_000
    program = suite.build / "soak"
    # Bare is the test of the test, so a small one will do.
    bare = suite.run("soak", [program, "--blocks", 3000], BARE, 60)
    suite.check("soak/bare", bare.problem() is None and bare.output.endswith("wrong words=0\n"),
                bare.problem() or bare.output.strip())
    for mode in ("auto", "fence", "lazy"):
        arguments = ["--blocks", blocks, "--threads", 8, "--streams", 4]
        run = suite.run("soak", [program] + arguments, mode, 100)
        ok = run.problem() is None and run.output == f"blocks={blocks} wrong words=0\n"
        if suite.check(f"soak/{mode}", ok, run.problem() or run.output.strip()):
            suite.note(f"soak/{mode}: {blocks} blocks in {run.seconds:.1f} s")
    arguments = ["--blocks", 20_000, "--threads", 8, "--late", 300]
    control = suite.run("soak", [program] + arguments, UNORDERED, 60)
    # Without order a kernel may also find its memory gone, and that ends the program.
    seen = control.problem() is not None or not control.output.endswith("wrong words=0\n")
    suite.check("soak/control", seen, "no wrong word seen without order")
