"""Medians, their 95 % intervals, and the tables that show them."""

import math
import statistics
from dataclasses import dataclass

# Two-sided 95 % quantiles of Student's t, by degrees of freedom.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}


@dataclass
class Spread:
    """A median and its 95 % interval, absent for a single value."""

    median: float
    low: float | None = None
    high: float | None = None

    def show(self, digits):
        if self.low is None:
            return f"{self.median:,.{digits}f}"
        return f"{self.median:,.{digits}f} [{self.low:,.{digits}f}, {self.high:,.{digits}f}]"


def spread(values):
    """The interval is that of order statistics; below six values these cannot reach 95 %, and
    Student's t on the logarithms stands in (all that is measured here is positive)."""
    values = sorted(values)
    n, median = len(values), statistics.median(values)
    if n < 2:
        return Spread(median)
    if n < 6:
        logs = [math.log(v) for v in values]
        half = STUDENT[n - 1] * statistics.stdev(logs) / math.sqrt(n)
        middle = statistics.mean(logs)
        return Spread(median, math.exp(middle - half), math.exp(middle + half))
    # The k-th value from either end leaves out the median with 2·P(Bin(n, ½) < k).
    k, tail = 0, 0.0
    while (tail := tail + math.comb(n, k) / 2**n) * 2 <= 0.05:
        k += 1
    return Spread(median, values[k - 1], values[n - k])


@dataclass
class Figure:
    """One figure of a comparison: ours and theirs, trial by trial, measured one after the other."""

    name: str
    unit: str
    ours: list
    theirs: list
    digits: int = 2
    goal: str = ""

    def ratio(self):
        """Ours ÷ theirs in each trial, so that what drifts over the run cancels out."""
        return spread([a / b for a, b in zip(self.ours, self.theirs)])


def table(title, theirs, figures, notes=()):
    """A comparison as Markdown."""
    lines = [f"### {title}", "", f"| | ours | {theirs} | ours ÷ theirs | goal |", "|---|---|---|---|---|"]
    for figure in figures:
        name = f"{figure.name}, {figure.unit}" if figure.unit else figure.name
        ours, other = (spread(v).show(figure.digits) for v in (figure.ours, figure.theirs))
        lines.append(f"| {name} | {ours} | {other} | {figure.ratio().show(3)} | {figure.goal} |")
    lines.append("")
    lines += [f"- {note}" for note in notes]
    return "\n".join(lines) + "\n"


class Comparison:
    """A table and the raw figures that it was made of."""

    def __init__(self, title, theirs, figures, notes, raw):
        self.title, self.raw = title, raw
        self.text = table(title, theirs, figures, notes)


def in_turn(trial, first, second):
    """Both, and in every second trial the other way round, so that neither always goes first."""
    if trial % 2 == 0:
        a = first()
        return a, second()
    b = second()
    return first(), b


def percentile(ordered, share):
    """The smallest value that at least this share of the values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
