"""Both hazard matrices and their extensions, in every ordering.

A kind that is safe bare must be safe pooled, and must show its hazard when
ordering is switched off: a matrix that cannot fail proves nothing."""

from harness import BARE, ORDERED, UNORDERED

# Matrix -> the orderings that do not promise it. A fence before reuse does
# not order a read of something else.
NOT_PROMISED = {"read": ("lazy",)}
# Of several contexts the design promises `strict` alone, which `auto` becomes.
ONE_CONTEXT_ONLY = ("second-context", "second-context-frees")
# Reads and other memory in the last two matrices, which `lazy` does not promise either.
OTHER_MEMORY = ("malloc-async-is-read", "batch-read", "green-writes-late",
                "malloc-async-is-overwritten")


def parse(output):
    """`name verdict` lines as a dictionary, and whether the end was reached."""
    verdicts, ended = {}, False
    for line in output.splitlines():
        name, _, verdict = line.partition(" ")
        if name == "end":
            ended = True
        elif verdict:
            verdicts[name] = verdict
    return verdicts, ended


def promised(matrix, kind, mode):
    if mode in NOT_PROMISED.get(matrix, ()):
        return False
    if mode == "lazy" and kind in OTHER_MEMORY:
        return False
    return not (kind in ONE_CONTEXT_ONLY and mode in ("fence", "lazy"))


def run_matrix(suite, matrix):
    program = suite.build / "hazard"
    bare = suite.run(f"hazard-{matrix}", [program, matrix], BARE, 90)
    expected, ended = parse(bare.output)
    suite.check(f"{matrix}/bare", bare.problem() is None and ended,
                bare.problem() or "ended early")
    for kind, verdict in expected.items():
        if verdict.startswith(("unsupported", "error")):
            suite.note(f"{matrix}/{kind}: {verdict}")
        elif verdict == "hazard":
            suite.note(f"{matrix}/{kind}: not safe natively either")
    kinds = [kind for kind, verdict in expected.items() if verdict in ("safe", "moved")]
    modes = ("auto",) if suite.quick else ORDERED
    for mode in modes + (UNORDERED,):
        run = suite.run(f"hazard-{matrix}", [program, matrix], mode, 90)
        verdicts, ended = parse(run.output)
        problem = run.problem() or (None if ended else "ended early")
        suite.check(f"{matrix}/{mode}", problem is None, problem or "")
        if mode == UNORDERED:
            judge_control(suite, matrix, kinds, verdicts)
        else:
            judge_ordered(suite, matrix, mode, kinds, verdicts)


def judge_ordered(suite, matrix, mode, kinds, verdicts):
    failing, moved = [], 0
    for kind in kinds:
        verdict = verdicts.get(kind, "no verdict")
        moved += verdict == "moved"
        if promised(matrix, kind, mode):
            suite.check(f"{matrix}/{mode}/{kind}", verdict in ("safe", "moved"), verdict)
        elif verdict != "safe":
            failing.append(f"{kind} ({verdict})")
    if moved:
        suite.note(f"{matrix}/{mode}: {moved} of {len(kinds)} not exercised, another address")
    if failing:
        suite.note(f"{matrix}/{mode}: not promised and not held: {', '.join(failing)}")


def judge_control(suite, matrix, kinds, verdicts):
    for kind in kinds:
        verdict = verdicts.get(kind, "no verdict")
        reason = "not exercised: another address" if verdict == "moved" else (
            f"no hazard seen without order ({verdict})")
        suite.check(f"{matrix}/control/{kind}", verdict == "hazard", reason)


def overwrite(suite):
    """A block freed, had again and overwritten while a late kernel reads it."""
    run_matrix(suite, "overwrite")


def read(suite):
    """A buffer read after a free of something else while a late kernel writes it."""
    run_matrix(suite, "read")


def extended(suite):
    """Batch copies, dependent launch, device graphs, stream-ordered memory."""
    run_matrix(suite, "extended")


def contexts(suite):
    """Green contexts and a second context."""
    run_matrix(suite, "contexts")
