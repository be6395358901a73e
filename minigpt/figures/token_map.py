"""Tokens as points on a plane, with as many names as there is room for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float, Int

from minigpt.figures import labels, style
from minigpt.figures.placing import LINE_HEIGHT, Box
from minigpt.figures.view import count

MOST_DRAWN = 2000
_ALL_NAMED = 60  # tokens that are all named, and how many of more
_SHAPE = 0.75  # height by width of the plot area
_WIDTHS = (300, 400, 520, 660)  # px of the plot area, from a phone to half a screen
_CHARACTER = 7.2  # px, of the fixed-width font at 12 px
_DOT, _OTHER_DOT = 8, 5  # px across
_OFF = _DOT / 2 / 0.8 + 1  # px between a point and its name, as Plotly keeps them
# From the habit to the last resort.
_SIDES = ("middle right", "middle left", "top center", "bottom center", "top right", "bottom right", "top left",
          "bottom left")  # fmt: skip


@dataclass(frozen=True)
class TokenMap:
    """Where tokens lie on a plane.

    tokens: by id. places: of each. counts: how often each stands in the training text. here: whether it stands in the
    text that is looked at.
    """

    tokens: Sequence[str]
    places: Float[np.ndarray, "d_vocab 2"]
    counts: Int[np.ndarray, " d_vocab"]
    here: Bool[np.ndarray, " d_vocab"]

    @property
    def middle(self) -> Float[np.ndarray, " 2"]:
        """Of the part of the plane that holds what is drawn."""
        places = self.places[drawn(self)]
        return (places.min(axis=0) + places.max(axis=0)) / 2

    @property
    def reach(self) -> float:
        """How far a plane as wide as the figure must go to the left and right of the middle."""
        x, y = np.abs(self.places[drawn(self)] - self.middle).max(axis=0)
        return float(max(x, y / _SHAPE)) or 1.0


def drawn(tokens: TokenMap) -> Int[np.ndarray, " drawn"]:
    """The ids of the tokens on the map: those that are looked at, then the most frequent, at most MOST_DRAWN."""
    return np.lexsort((-tokens.counts, ~tokens.here))[:MOST_DRAWN]


def token_map(tokens: TokenMap, reach: float | None = None, *, label: str = "Map of the tokens") -> go.Figure:
    """Each token as a point. Those of the text that is looked at are dark, with their names in bold.

    reach: from the middle to the left and right edge, in units of `places`; what the tokens need if None. The two axes
    have one scale. Up to 60 tokens are all named where no name covers another; of more, those of the text and 60 of the
    most frequent. Every token says its name on hover. Raises ValueError where there is no token.
    """
    if not len(tokens.tokens):
        raise ValueError("There is no token to draw: write at least one.")
    reach = 1.08 * (tokens.reach if reach is None else reach)
    every = drawn(tokens)
    n_named = len(every) if len(tokens.tokens) <= _ALL_NAMED else _ALL_NAMED + int(tokens.here[every].sum())
    named, others = every[:n_named], every[n_named:]
    middle, here = tokens.middle, tokens.here[named]
    points = (tokens.places[np.concatenate([named, others])] - middle) / reach
    plain = [labels.for_page(tokens.tokens[i]) for i in named]
    places = [_placed(points, plain, here, width) for width in _WIDTHS]
    sides = places[-1]["sides"]
    names = [labels.for_plotly(tokens.tokens[i]) for i in named]
    names = [f"<b>{name}</b>" if mark else name for name, mark in zip(names, here, strict=True)]
    shown = go.Scatter(
        **_points(tokens, named),
        mode="markers+text",
        marker={"size": _DOT, "color": [style.INK if mark else style.INK_3 for mark in here], "line": {"width": 0}},
        text=[name if side else "" for name, side in zip(names, sides, strict=True)],
        textposition=[side or _SIDES[0] for side in sides],
        textfont={**style.text(12, style.INK, style.MONO), "color": [style.INK if m else style.INK_2 for m in here]},
        cliponaxis=False,
        meta={"places": places},
    )
    rest = go.Scatter(
        **_points(tokens, others),
        mode="markers",
        marker={"size": _OTHER_DOT, "color": style.INK_3, "opacity": 0.5, "line": {"width": 0}},
    )
    height = _WIDTHS[-1] * _SHAPE
    return go.Figure(
        [rest, shown],
        style.layout(
            height=height + 2,
            width=_WIDTHS[-1] + 2,
            margin=(1, 1, 1, 1),
            xaxis=_axis(middle[0], reach),
            yaxis=_axis(middle[1], reach * _SHAPE),
            meta={"label": f"{label}: {count(len(every), 'token')}", "ratio": _SHAPE, "max": 600},
        ),
    )


def _points(tokens: TokenMap, ids: Int[np.ndarray, " drawn"]) -> dict[str, Any]:
    """Where tokens are, and what hovering over each says."""

    def often(n: int) -> str:
        return {0: "never", 1: "once"}.get(n, f"{n:,} times")

    return {
        "x": tokens.places[ids, 0].astype(np.float32),
        "y": tokens.places[ids, 1].astype(np.float32),
        "customdata": [
            f"{labels.quoted(tokens.tokens[i])}: {often(int(tokens.counts[i]))} in the training text"
            + (", and stands in yours" if tokens.here[i] else "")
            for i in ids
        ],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _axis(middle: float, reach: float) -> dict[str, Any]:
    """Without numbers: the directions of the plane mean nothing. With its other half it is a frame."""
    frame = {"showline": True, "mirror": True, "linecolor": style.LINE, "linewidth": 1}
    return style.axis(range=[middle - reach, middle + reach], showticklabels=False, **frame)


def _placed(
    points: Float[np.ndarray, "point 2"], names: Sequence[str], here: Bool[np.ndarray, " name"], width: int
) -> dict[str, Any]:
    """On which side of its point each name has room, the first names first, on a plot area of this width; "" for none.

    points: in half widths from the middle; the first ones have names. A name of the text that is looked at may cover
    other points, any other name one at most.
    """
    dots = points * [1, -1] * width / 2 + [width / 2, width * _SHAPE / 2]
    taken: list[Box] = []
    sides = []
    for (x, y), name, must in zip(dots.tolist(), names, here, strict=False):
        best, least = None, math.inf if must else 2
        for side in _SIDES:
            box = _box(x, y, _CHARACTER * labels.width(name), side)
            inside = box.left >= 0 and box.right <= width and box.top >= 0 and box.bottom <= width * _SHAPE
            if not inside or any(box.covers(other) for other in taken):
                continue
            # Its own point is not under it.
            under = ((dots > (box.left, box.top)) & (dots < (box.right, box.bottom))).all(axis=1).sum()
            if under < least:
                best, least = (side, box), under
        if best:
            taken.append(best[1])
        sides.append(best[0] if best else "")
    return {"width": width, "sides": sides}


def _box(x: float, y: float, wide: float, side: str) -> Box:
    """Where Plotly writes a name of this width beside the point."""
    down, across = side.split()
    left = {"right": x + _OFF, "center": x - wide / 2, "left": x - _OFF - wide}[across]
    off = _OFF + LINE_HEIGHT / 2
    return Box(left, left + wide, y + {"middle": 0, "top": -off, "bottom": off}[down])
