"""Training with PyTorch, beside its own allocator, as a Markdown table and targets."""

import operator

from tables import combined, shown, target

MODELS = ("d512", "d2048", "resnet50", "varlen")
QUICK_MODELS = ("d512", "varlen")
POOLED = ("fence", "lazy")
# Of the time per step with PyTorch's own allocator.
SLOWER = 1.02
# Of what expandable segments reserve at most.
RESERVED = 1.05
# Of the time per step, in percent, for a flush every second.
FLUSH_COST = 1.0


def training(samples):
    """Time and memory by model. `reserved` has what cuBLAS and cuDNN allocate in the pool's
    case alone, `taken` all that is taken, of all."""
    def row(name, metric, reference):
        values = {who: samples.median(f"torch {who}", metric)
                  for who in ("own", "expandable") + POOLED}
        ratios = [combined(values[mode], values[reference], lambda a, b: f"{a / b:.3f}") or "–"
                  for mode in POOLED]
        return [name] + [shown(value) for value in values.values()] + ratios

    rows = [["PyTorch, uncached", "its allocator", "expandable segments", *POOLED,
             *(f"{mode} / reference" for mode in POOLED)]]
    if "torch own" not in samples.values:
        return rows
    for model in MODELS:
        if samples.median("torch own", f"step-{model}") is None:
            continue
        rows.append(row(f"{model}, ms a step (reference: its allocator)",
                        f"step-{model}", "own"))
        rows.append(row("peak reserved, MiB (expandable segments)",
                        f"reserved-{model}", "expandable"))
        rows.append(row("taken from the device, CUDA's own included, MiB (expandable segments)",
                        f"taken-{model}", "expandable"))
    return rows


def targets(samples):
    """Rows for the table of targets."""
    get = samples.median
    rows = []
    for mode in POOLED:
        for model in MODELS:
            target(rows, f"PyTorch {model}, {mode} / its own allocator, time",
                   [combined(get(f"torch {mode}", f"step-{model}"),
                             get("torch own", f"step-{model}"), operator.truediv)], SLOWER)
            target(rows, f"PyTorch {model}, {mode} / expandable segments, peak reserved",
                   [combined(get(f"torch {mode}", f"reserved-{model}"),
                             get("torch expandable", f"reserved-{model}"), operator.truediv)],
                   RESERVED)
        target(rows, f"a flush every second, d2048, {mode}, % of a step's time",
               [get(f"flushes {mode}", "flush-cost")], FLUSH_COST)
    return rows
