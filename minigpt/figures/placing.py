"""Where labels go so that they can be read: out of each other's way, off the lines, near what they name.

Everything is in px of the plot area, y downwards. The width is that of the narrowest page; on a wider one labels only
move further apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from jaxtyping import Float

LINE_HEIGHT = 17
_CHARACTER = 6.6  # px, of the proportional font at 13 px, on the wide side

# What is worse than what: a label over a label cannot be read, one out of order misleads, one on a line is ugly.
_ON_LABEL, _OUT_OF_ORDER, _ON_LINE, _ON_CURVE = 1000.0, 500.0, 18.0, 2.0


@dataclass(frozen=True)
class Box:
    """One line of text."""

    left: float
    right: float
    middle: float

    @property
    def top(self) -> float:
        return self.middle - LINE_HEIGHT / 2

    @property
    def bottom(self) -> float:
        return self.middle + LINE_HEIGHT / 2

    def covers(self, other: "Box") -> bool:
        # Half a px of grace: labels stacked exactly LINE_HEIGHT apart do not cover each other.
        apart = self.right <= other.left or other.right <= self.left
        return not apart and abs(self.middle - other.middle) < LINE_HEIGHT - 0.5


@dataclass(frozen=True)
class Plot:
    """What already stands on the plot: labels, level lines (their y) and the points of curves."""

    width: float
    height: float
    taken: tuple[Box, ...] = ()
    lines: tuple[float, ...] = ()
    points: Float[np.ndarray, "_ 2"] = field(default_factory=lambda: np.empty((0, 2)))

    def cost(self, box: Box) -> float:
        """How bad it is to write there."""
        outside = max(0.0, -box.top) + max(0.0, box.bottom - self.height)
        labels = sum(box.covers(other) for other in self.taken)
        lines = sum(box.top < line < box.bottom for line in self.lines)
        x, y = self.points.T
        points = np.count_nonzero((box.left <= x) & (x <= box.right) & (box.top <= y) & (y <= box.bottom))
        return _ON_LABEL * (labels + (outside > 1)) + _ON_LINE * lines + _ON_CURVE * int(points)


def text_width(words: str) -> float:
    """About how wide `words` are, in px at 13 px, without their <b> marks."""
    return _CHARACTER * len(words.replace("<b>", "").replace("</b>", ""))


def on_lines(plot: Plot, boxes: Sequence[Box]) -> list[Box]:
    """Labels for level lines, given as boxes whose middle is the line: each just above or below its line if it can be.

    The order of the labels is that of the lines, top first, so that a label that had to move can still be told.
    """
    half = LINE_HEIGHT / 2 + 1
    # (where, price): above is the habit; below, and a line or two further, are for crowds.
    steps = [(-half, 0.0), (half, 6.0)]
    for lines in (1, 2):
        steps += [(-half - lines * LINE_HEIGHT, 20.0 * lines), (half + lines * LINE_HEIGHT, 20.0 * lines + 2)]

    def cost(choice: tuple[tuple[float, float], ...]) -> float:
        placed = [_moved(box, shift) for box, (shift, _) in zip(boxes, choice, strict=True)]
        pairs = [(a, b) for i, a in enumerate(placed) for b in placed[i + 1 :]]
        return (
            sum(plot.cost(box) for box in placed)
            + sum(price for _, price in choice)
            + _ON_LABEL * sum(a.covers(b) for a, b in pairs)
            + _OUT_OF_ORDER * sum(a.middle > b.middle for a, b in pairs)
        )

    best = min(product(steps, repeat=len(boxes)), key=cost)
    return [_moved(box, shift) for box, (shift, _) in zip(boxes, best, strict=True)]


def near(plot: Plot, boxes: Sequence[Box]) -> list[Box]:
    """The boxes, top first and pushed at least a line apart, moved up or down together to the best place near by."""
    stack = _apart(boxes)

    def cost(shift: float) -> float:
        return sum(plot.cost(_moved(box, shift)) for box in stack) + abs(shift)

    best = min(_shifts(plot.height), key=cost)
    return [_moved(box, best) for box in stack]


def _moved(box: Box, shift: float) -> Box:
    return Box(box.left, box.right, box.middle + shift)


def _apart(boxes: Sequence[Box]) -> list[Box]:
    """Boxes at least a line apart, around where they were."""
    middles = [box.middle for box in boxes]
    for i in range(1, len(middles)):
        missing = LINE_HEIGHT - (middles[i] - middles[i - 1])
        if missing > 0:
            middles[i - 1] -= missing / 2
            middles[i] += missing / 2
    return [Box(box.left, box.right, middle) for box, middle in zip(boxes, middles, strict=True)]


def _shifts(height: float) -> Iterator[float]:
    for distance in range(0, int(height), 3):
        yield from (-float(distance), float(distance))
