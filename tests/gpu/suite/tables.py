"""The benchmark's samples as Markdown tables, and what they say of the targets."""

from harness import BARE, ORDERED

# As in programs/bench.cu.
SIZES = (256, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20, 1 << 30)
# What malloc and free may cost together beside the call they cannot do without.
OWN_TIME_US = 0.15


def pairs(samples):
    """malloc + free by size, in microseconds."""
    get = samples.median
    rows = [["malloc + free, idle", "native", *ORDERED, "cudaMallocAsync",
             "record + wait", "synchronise"]]
    for size in SIZES:
        rows.append(
            [size_name(size)]
            + [shown(get(f"calls {mode}", f"pair-{size}")) for mode in (BARE,) + ORDERED]
            + [shown(get(f"calls {BARE}", f"async-pair-{size}")),
               shown(get("calls fence", f"record+wait-{size}")),
               shown(get("calls strict", f"synchronise-{size}"))])
    return markdown(rows)


def work(samples):
    """Whole programs and the like, against what they would use without cupool."""
    rows = [["work", "reference", "native", *ORDERED, "auto / reference", "fence / reference"]]

    def row(name, reference, values):
        ratios = [f"{values[mode] / reference:.2f}" if reference and values.get(mode) else "–"
                  for mode in ("auto", "fence")]
        rows.append([name, shown(reference)]
                    + [shown(values.get(mode)) for mode in (BARE,) + ORDERED] + ratios)

    def calls(metric):
        return {mode: samples.median(f"calls {mode}", metric) for mode in (BARE,) + ORDERED}

    def program(name, metric):
        values = {mode: samples.median(f"{name} {mode}", metric) for mode in ORDERED}
        return values | {BARE: samples.median(f"{name} native", metric)}

    row("malloc + small kernel + free, 1 MiB, µs (kernel alone)",
        samples.median("calls auto", "kernel-alone"), calls("malloc-kernel-free"))
    row("64 KiB pairs from 16 threads, aggregate, µs", None, calls("threads-16-65536"))
    for width in (512, 2048):
        row(f"PyTorch transformer d{width} uncached, ms (PyTorch's allocator)",
            samples.median("torch own", f"step-d{width}"), program("torch", f"step-d{width}"))
    row("CuPy chain unpooled, µs (CuPy's pool)",
        samples.median("cupy own", "chain"), program("cupy", "chain"))
    row("the same with host transfers, µs (CuPy's pool)",
        samples.median("cupy-transfers own", "chain"), program("cupy-transfers", "chain"))
    return markdown(rows)


def targets(samples):
    """Each target with the worst figure measured for it."""
    get = samples.median
    rows = [["target", "measured", "limit", "met"]]

    def row(name, values, limit, at_least=False):
        values = [value for value in values if value is not None]
        if not values:
            return
        worst = min(values) if at_least else max(values)
        met = worst >= limit if at_least else worst <= limit
        rows.append([name, f"{worst:.3f}", f"{'≥' if at_least else '≤'} {limit:g}",
                     "yes" if met else "**no**"])

    for mode, primitive in (("auto", "record+wait"), ("fence", "record+wait"),
                            ("strict", "synchronise")):
        pair = [get(f"calls {mode}", f"pair-{size}") for size in SIZES]
        row(f"{mode} pair less {primitive} in the same process, µs",
            [combined(a, get(f"calls {mode}", f"{primitive}-{size}"), lambda a, b: a - b)
             for a, size in zip(pair, SIZES)],
            OWN_TIME_US)
        native = [get(f"calls {BARE}", f"pair-{size}") for size in SIZES]
        row(f"native pair / {mode} pair",
            [combined(a, b, lambda a, b: b / a) for a, b in zip(pair, native)], 100, True)
        stream = [get(f"calls {BARE}", f"async-pair-{size}") for size in SIZES]
        row(f"{mode} pair / cudaMallocAsync pair",
            [combined(a, b, lambda a, b: a / b) for a, b in zip(pair, stream)], 1)

    def ratio(name, measured, reference, limit):
        row(name, [combined(get(*measured), get(*reference), lambda a, b: a / b)], limit)

    ratio("malloc + kernel + free, auto / kernel alone",
          ("calls auto", "malloc-kernel-free"), ("calls auto", "kernel-alone"), 1.35)
    for width in (512, 2048):
        ratio(f"PyTorch d{width}, fence / its own allocator",
              ("torch fence", f"step-d{width}"), ("torch own", f"step-d{width}"), 1.05)
    ratio("CuPy, fence / its own pool", ("cupy fence", "chain"), ("cupy own", "chain"), 1.05)
    return markdown(rows)


def combined(a, b, function):
    """`function` of both, or None where either was not measured."""
    return None if a is None or b is None else function(a, b)


def size_name(size):
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B"


def shown(value):
    """At least three significant digits."""
    if value is None:
        return "–"
    return f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def markdown(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)
