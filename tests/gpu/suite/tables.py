"""The benchmark's samples as Markdown tables, and what they say of the targets."""

import operator

from harness import BARE, ORDERED

# As in programs/bench.cu.
SIZES = (256, 4 << 10, 64 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20, 1 << 30, 4 << 30, 8 << 30)
# As in programs/crowd.cu.
CROWDS = ("64KiB", "1MiB", "4MiB", "mixed")
BLOCKS = ("few", "many", "holes")
# What malloc and free may cost together beside the calls they cannot do without, in
# microseconds.
OWN_TIME_US = {"auto": 0.1, "fence": 0.15, "strict": 0.15}
# What they may cost in all where nothing is waited for at the free.
LAZY_US = 0.25
# The same of sixteen threads, wall time over all their pairs.
THREADS_US = {"fence": 0.5, "lazy": 0.15}
# How much more a pair may cost among many blocks: as much as two readings differ.
FLAT = 1.25


def pairs(samples):
    """malloc + free by size, in microseconds."""
    get = samples.median
    rows = [["malloc + free, idle", "native", *ORDERED, "cudaMallocAsync",
             "record + wait", "synchronise", "libcudart's part"]]
    for size in SIZES:
        rows.append(
            [size_name(size)]
            + [shown(get(f"calls {mode}", f"pair-{size}")) for mode in (BARE,) + ORDERED]
            + [shown(get(f"calls {BARE}", f"async-pair-{size}")),
               shown(get("calls fence", f"record+wait-{size}")),
               shown(get("calls strict", f"synchronise-{size}")),
               shown(samples.combined("calls fence", operator.sub, f"pair-{size}",
                                      f"driver-pair-{size}"))])
    return rows if samples.values.get(f"calls {BARE}") else rows[:1]


def threads(samples):
    """Pairs of sixteen threads, aggregate, in microseconds."""
    def row(name, metric):
        return [name] + [shown(samples.median(f"threads {mode}", metric))
                         for mode in (BARE,) + ORDERED]

    rows = [["16 threads, aggregate", "native", *ORDERED, "cudaMallocAsync"]]
    if not any(name.startswith("threads ") for name in samples.values):
        return rows
    for crowd in CROWDS:
        rows.append(row(crowd, f"threads-{crowd}")
                    + [shown(samples.median("threads async", f"async-threads-{crowd}"))])
    return rows + [row("record + wait alone", "threads-record+wait") + ["–"]]


def flat(samples):
    """Pairs of 64 KiB among live blocks and holes, in microseconds."""
    rows = [["64 KiB among", "mode", "malloc + free", "64 frees, 64 mallocs, a pair",
             "record + wait"]]
    names = {"few": "100 live blocks", "many": "100 000 live blocks",
             "holes": "65 536 live blocks and as many holes"}
    for mode in ("auto", "fence", "lazy"):
        if f"flat {mode}" not in samples.values:
            continue
        for blocks in BLOCKS:
            rows.append([names[blocks], mode]
                        + [shown(samples.median(f"flat {mode}", f"flat-{what}-{blocks}"))
                           for what in ("pair", "swap", "record+wait")])
    return rows


def work(samples):
    """Whole programs and the like, against what they would use without cupool."""
    rows = [["work", "reference", "native", *ORDERED, "auto / reference", "fence / reference"]]

    def row(name, reference, values):
        if not any(values.values()):
            return
        ratios = [f"{values[mode] / reference:.2f}" if reference and values.get(mode) else "–"
                  for mode in ("auto", "fence")]
        rows.append([name, shown(reference)]
                    + [shown(values.get(mode)) for mode in (BARE,) + ORDERED] + ratios)

    def program(name, metric):
        values = {mode: samples.median(f"{name} {mode}", metric) for mode in ORDERED}
        return values | {BARE: samples.median(f"{name} native", metric)}

    row("malloc + small kernel + free, 1 MiB, µs (kernel alone)",
        samples.median("calls auto", "kernel-alone"),
        {mode: samples.median(f"calls {mode}", "malloc-kernel-free") for mode in (BARE,) + ORDERED})
    for model in ("d512", "d2048"):
        row(f"PyTorch transformer {model} uncached, ms (PyTorch's allocator)",
            samples.median("torch own", f"step-{model}"), program("torch", f"step-{model}"))
    row("CuPy chain unpooled, µs (CuPy's pool)",
        samples.median("cupy own", "chain"), program("cupy", "chain"))
    row("the same with host transfers, µs (CuPy's pool)",
        samples.median("cupy-transfers own", "chain"), program("cupy-transfers", "chain"))
    return rows


def programs(samples, names):
    """A step of real programs, bare and in `auto`, in milliseconds."""
    rows = [["program", "bare, ms", "pooled, ms", "bare / pooled"]]
    for name in names:
        bare = samples.median(f"{name} {BARE}", "step")
        pooled = samples.median(f"{name} auto", "step")
        if bare and pooled:
            rows.append([name, shown(bare), shown(pooled), f"{bare / pooled:.2f}"])
    return rows


def targets(samples):
    """Each target with the worst figure measured for it."""
    get = samples.median
    rows = [["target", "measured", "limit", "met"]]

    def row(name, values, limit, at_least=False):
        target(rows, name, values, limit, at_least)

    for mode, primitive in (("auto", "record+wait"), ("fence", "record+wait"),
                            ("strict", "synchronise")):
        pair = [get(f"calls {mode}", f"pair-{size}") for size in SIZES]
        row(f"{mode} pair less {primitive} in the same process, µs",
            [samples.combined(f"calls {mode}", operator.sub, f"pair-{size}",
                              f"{primitive}-{size}") for size in SIZES],
            OWN_TIME_US[mode])
        native = [get(f"calls {BARE}", f"pair-{size}") for size in SIZES]
        row(f"native pair / {mode} pair",
            [combined(a, b, lambda a, b: b / a) for a, b in zip(pair, native)], 100, True)
        stream = [get(f"calls {BARE}", f"async-pair-{size}") for size in SIZES]
        row(f"{mode} pair / cudaMallocAsync pair",
            [combined(a, b, operator.truediv) for a, b in zip(pair, stream)], 1)
    row("lazy pair, µs", [get("calls lazy", f"pair-{size}") for size in SIZES], LAZY_US)
    for mode, limit in THREADS_US.items():
        for crowd in CROWDS:
            row(f"16 threads, {crowd}, {mode}, µs",
                [get(f"threads {mode}", f"threads-{crowd}")], limit)
    for mode in ("auto", "fence", "lazy"):
        # Both by the fence, which shows the machine's clock at that time.
        few, *more = (samples.combined(f"flat {mode}", operator.truediv, f"flat-pair-{blocks}",
                                       f"flat-record+wait-{blocks}") for blocks in BLOCKS)
        row(f"pair among many blocks or holes / among few, {mode}",
            [combined(many, few, operator.truediv) for many in more], FLAT)
    row("malloc + kernel + free, auto / kernel alone",
        [combined(get("calls auto", "malloc-kernel-free"), get("calls auto", "kernel-alone"),
                  operator.truediv)], 1.35)
    row("CuPy, fence / its own pool",
        [combined(get("cupy fence", "chain"), get("cupy own", "chain"), operator.truediv)], 1.02)
    return rows


def target(rows, name, values, limit, at_least=False):
    """Adds the worst of the values that were measured, if any was."""
    values = [value for value in values if value is not None]
    if not values:
        return
    worst = min(values) if at_least else max(values)
    met = worst >= limit if at_least else worst <= limit
    rows.append([name, f"{worst:.3f}", f"{'≥' if at_least else '≤'} {limit:g}",
                 "yes" if met else "**no**"])


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
    """The rows, the first of which is the head."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)
