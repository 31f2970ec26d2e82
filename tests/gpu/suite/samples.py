"""What the measured programs print, by configuration and metric."""

import re
import statistics

LINE = re.compile(r"^(\S+) (-?[0-9.]+) (?:us|ms|MiB|percent)$", re.M)


class Samples:
    """Values by configuration and metric."""

    def __init__(self):
        self.values = {}

    def add(self, configuration, output):
        """Adds every `name value unit` line. Returns whether there was one."""
        lines = LINE.findall(output)
        for name, value in lines:
            self.values.setdefault(configuration, {}).setdefault(name, []).append(float(value))
        return bool(lines)

    def median(self, configuration, name):
        """The median, or None where nothing was measured."""
        values = self.values.get(configuration, {}).get(name)
        return statistics.median(values) if values else None

    def combined(self, configuration, function, *names):
        """The median of `function` of values that the same process printed, or None."""
        of_one = self.values.get(configuration, {})
        values = [function(*values) for values in zip(*(of_one.get(name, []) for name in names))]
        return statistics.median(values) if values else None
