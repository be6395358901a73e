"""Timing: several ways to do one thing take turns in one process, and only their ratios are believed."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of one round of work: the median, the least and the most over the rounds."""

    median: float
    least: float
    most: float


def interleaved(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Every way once to warm up, then all in turn, so many rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    return {name: Timing(statistics.median(taken), min(taken), max(taken)) for name, taken in seconds.items()}


@dataclass(frozen=True)
class Line:
    """One line of a table: what was measured, what it is a ratio to, and the ratio that is asked for.

    unit: of `ratio`, which need not be a ratio: a promise in seconds is kept in seconds. asked: None where nothing is.
    """

    what: str
    ratio: float
    asked: float | None
    detail: str
    at_most: bool = False
    unit: str = "×"

    @property
    def holds(self) -> bool:
        """Whether the ratio is as good as asked."""
        if self.asked is None:
            return True
        return self.ratio <= self.asked if self.at_most else self.ratio >= self.asked


def table(lines: list[Line]) -> str:
    """The lines in Markdown."""
    rows = ["| | measured | asked | | |", "|---|---|---|---|---|"]
    for line in lines:
        measured, asked, verdict = f"{line.ratio:.2f} {line.unit}", "", ""
        if line.asked is not None:
            asked = f"{'≤' if line.at_most else '≥'} {line.asked:g} {line.unit}"
            verdict = "holds" if line.holds else "**short**"
        rows.append(f"| {line.what} | {measured} | {asked} | {verdict} | {line.detail} |")
    return "\n".join(rows)
