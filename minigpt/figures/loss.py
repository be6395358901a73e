"""The loss curve against the lines that make its numbers mean something."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from minigpt.figures import placing, style
from minigpt.history import History, ReferenceLosses

_MARGIN = (24, 14, 8, 26)
_HEIGHT = 286
_PLOT_HEIGHT = _HEIGHT - _MARGIN[2] - _MARGIN[3]
_PLOT_WIDTH = 290.0  # px on the narrowest page; labels must not meet even there
_MOST_POINTS = 400
_MOST_MARKERS = 60

Points = Float[np.ndarray, "_ 2"]


@dataclass(frozen=True)
class _Frame:
    """The ranges of both axes, and the way from data to px and back."""

    last_step: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return step / self.last_step * _PLOT_WIDTH

    def y(self, loss: float) -> float:
        return (self.high - loss) / (self.high - self.low) * _PLOT_HEIGHT

    def loss(self, y: float) -> float:
        return self.high - y / _PLOT_HEIGHT * (self.high - self.low)


def loss_curve(
    history: History, step: int | None = None, n_steps: int | None = None, twin: History | None = None
) -> go.Figure:
    """Losses in nats a token by step, with the reference losses as level lines, which stand there before any training.

    step: the step being looked at, marked on the curve.
    n_steps: the length of the x axis, where it is not that of the history.
    twin: another history of the same plan, whose curves are dashed.
    """
    train, validation = _points(history.train), _points(history.validation)
    named = _named(train, validation)
    if twin:
        other = _named(_points(twin.train), _points(twin.validation))
        beside = [(f"twin {name}", points, colour) for name, points, colour in other]
        named = [*((f"run {name}", points, colour) for name, points, colour in named), *beside]
    frame = _frame(history, n_steps or history.n_steps, *(points for _, points, _ in named))
    # Before a run moves its labels stand where they always will; two runs that are done may claim any place.
    drawn = [_path(points, frame, _PLOT_WIDTH / 3) for _, points, _ in named if len(points)] if twin else []
    plot, references = _reference_labels(history.references, frame, np.concatenate([np.empty((0, 2)), *drawn]))
    curves = [_curve(*curve) for curve in named]
    marker, stem = _lollipop(step, train if len(train) else validation, frame)
    ends = [(name, p, c) for name, p, c in named if len(p)]
    words = [] if ends else [_invitation(plot, frame)]
    for group in _groups(ends, frame):
        notes, plot = _end_labels(group, plot, frame)
        words += notes
    newest = ", ".join(f"{name} {_value(points[-1, 1])}" for name, points, _ in ends) or "nothing trained yet"
    until = f" up to step {max(points[-1, 0] for _, points, _ in ends):.0f}" if ends else ""
    return go.Figure(
        [*curves, *marker],
        style.layout(
            height=_HEIGHT,
            margin=_MARGIN,
            hovermode="x unified",
            xaxis=style.axis(
                range=[0, frame.last_step],
                showline=True,
                linecolor=style.LINE,
                **_ticks(0, frame.last_step, most=5),
                unifiedhovertitle={"text": "step %{x:.0f}"},
                showspikes=True,
                spikethickness=1,
                spikecolor=style.INK_3,
                spikedash="solid",
                spikemode="across",
            ),
            yaxis=style.axis(range=[frame.low, frame.high], **_ticks(frame.low, frame.high, most=6)),
            shapes=[*_reference_lines(history.references), *stem],
            annotations=[*references, *words],
            meta={"label": f"Loss in nats a token, by step{until}: {newest}"},
        ),
    )


# ---- data ----


def _points(pairs: Sequence[tuple[int, float]]) -> Points:
    """(step, loss) rows in order, without what is not finite, at most _MOST_POINTS: each the mean of its neighbours."""
    points = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) <= _MOST_POINTS:
        return points
    return np.array([part.mean(axis=0) for part in np.array_split(points, _MOST_POINTS)])


def _levels(known: ReferenceLosses) -> list[float]:
    return [level for level in (known.uniform, known.unigram, known.bigram, known.floor) if level is not None]


def _named(train: Points, validation: Points) -> list[tuple[str, Points, str]]:
    return [("train", train, style.TRAIN), ("validation", validation, style.VALIDATION)]


def _frame(history: History, n_steps: int, *curves: Points) -> _Frame:
    """Ranges in which every reference fits, and the curves too unless one has run away."""
    losses = np.concatenate([_levels(history.references), *(points[:, 1] for points in curves)])
    # A run that fell apart reaches thousands; the lines must stay readable beside it.
    low, high = float(losses.min()), min(float(losses.max()), 2 * history.references.uniform + 2)
    span = max(high - low, 0.3)
    # Below the lowest line a little air; a loss cannot be negative, so near zero none is needed but the line's own.
    bottom = low - 0.13 * span if low - 0.13 * span > 0 or low < 0 else -0.04 * span
    steps = [float(points[-1, 0]) for points in curves if len(points)]
    return _Frame(max([float(n_steps), 1.0, *steps]), bottom, low + 1.155 * span)


def _ticks(low: float, high: float, most: int) -> dict[str, Any]:
    """At most `most` + 1 round numbers from `low` to `high`, short enough for the margin."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    values = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return {"tickvals": [round(value, 6) for value in values], "ticktext": [_short(value) for value in values]}


def _value(loss: float) -> str:
    return f"{loss:.2f}" if loss < 100 else f"{loss:,.0f}"


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:.6g}"


# ---- curves ----


def _curve(name: str, points: Points, colour: str) -> go.Scatter:
    train = name.endswith("train")
    line = {"color": colour, "width": 1.75 if train else 2.5, "dash": "dash" if name.startswith("twin") else "solid"}
    # More markers than this would hide the line they stand on.
    mode = "lines+markers" if (not train and len(points) <= _MOST_MARKERS) or len(points) == 1 else "lines"
    return go.Scatter(
        x=points[:, 0].round(1).tolist(),
        y=points[:, 1].round(4).tolist(),
        name=name,
        mode=mode,
        line=line,
        marker={"size": 5, "color": colour},
        hovertemplate=f"{name} %{{y:.2f}}<extra></extra>",
    )


def _lollipop(step: int | None, points: Points, frame: _Frame) -> tuple[list[go.Scatter], list[dict[str, Any]]]:
    """The mark of the chosen step: a stem from the axis up to the curve; a full line would cut through labels."""
    if step is None or not len(points):
        return [], []
    x = float(np.clip(step, points[0, 0], points[-1, 0]))
    y = min(float(np.interp(x, points[:, 0], points[:, 1])), frame.high)
    dot = {"size": 9, "color": style.PANEL, "line": {"color": style.INK, "width": 2}}
    stem = {"type": "line", "x0": x, "x1": x, "y0": frame.low, "y1": y, "line": {"color": style.INK, "width": 1.5}}
    return [go.Scatter(x=[x], y=[y], mode="markers", marker=dot, hoverinfo="skip", cliponaxis=False)], [stem]


# ---- words ----


def _reference_lines(known: ReferenceLosses) -> list[dict[str, Any]]:
    dotted = {"color": style.INK_3, "width": 1, "dash": "dot"}
    lines = [(known.uniform, dotted), (known.unigram, dotted), (known.bigram, dotted)]
    if known.floor is not None:
        lines.append((known.floor, {"color": style.FLOOR, "width": 1.5, "dash": "solid"}))
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    return [{**across, "y0": level, "y1": level, "line": line} for level, line in lines]


def _reference_labels(
    known: ReferenceLosses, frame: _Frame, points: Points
) -> tuple[placing.Plot, list[dict[str, Any]]]:
    """The names of the level lines, and the plot with them on it; off the points, of which a run alone gives none:
    the same whatever its curve does, so that nothing jumps."""
    named = [("even guess, ln V", known.uniform), (f"{known.unit} counts (unigram)", known.unigram)]
    named.append((f"{known.unit} pairs (bigram)", known.bigram))
    groups: dict[str, list[tuple[str, float]]] = {}
    for name, level in sorted(named, key=lambda pair: -pair[1]):
        groups.setdefault(f"{level:.2f}", []).append((name, level))
    texts, boxes = [], []
    for value, group in groups.items():
        # Lines that coincide share a label, with short names.
        names = group[0][0] if len(group) == 1 else ", ".join(name.split(" (")[0].split(", ")[0] for name, _ in group)
        texts.append(f"{names} <b>{value}</b>")
        left = _PLOT_WIDTH - placing.text_width(texts[-1])
        boxes.append(placing.Box(left, _PLOT_WIDTH, frame.y(group[0][1])))
    plot = placing.Plot(_PLOT_WIDTH, _PLOT_HEIGHT, (), tuple(frame.y(level) for level in _levels(known)), points)
    placed = placing.on_lines(plot, boxes)
    notes = [_note(text, box, frame, style.INK_3, right=True) for text, box in zip(texts, placed, strict=True)]
    plot = replace(plot, taken=tuple(placed))
    if known.floor is not None:
        text = f"best possible <b>{known.floor:.2f}</b>"
        box = placing.Box(4, 4 + placing.text_width(text), frame.y(known.floor))
        [box] = placing.on_lines(plot, [box])
        plot = replace(plot, taken=(*placed, box))
        notes.append(_note(text, box, frame, style.FLOOR, right=False))
    return plot, notes


def _groups(ends: Sequence[tuple[str, Points, str]], frame: _Frame) -> list[list[tuple[str, Points, str]]]:
    """Curves whose labels share a stack, the highest first: those of one model, and of two that end close together."""
    models = [[end for end in ends if end[0].startswith("twin") == twin] for twin in (False, True)]
    models = sorted((model for model in models if model), key=lambda model: -model[-1][1][-1, 1])
    if len(models) == 2:
        (first, second), close = (model[-1][1][-1] for model in models), 4 * placing.LINE_HEIGHT
        if frame.y(second[1]) - frame.y(first[1]) < close and abs(frame.x(first[0]) - frame.x(second[0])) < close:
            return [[*models[0], *models[1]]]
    return models


def _end_labels(
    ends: Sequence[tuple[str, Points, str]], plot: placing.Plot, frame: _Frame
) -> tuple[list[dict[str, Any]], placing.Plot]:
    """Each curve's name and newest loss, and the plot with them on it: to the right of the curves' end, or at the
    plot's edge when no room is left there."""
    ends = sorted(ends, key=lambda end: -end[1][-1, 1])
    texts = [f"<b>{name} {_value(points[-1, 1])}</b>" for name, points, _ in ends]
    newest = max(float(points[-1, 0]) for _, points, _ in ends)
    start = frame.x(newest) + 6
    widest = max(placing.text_width(text) for text in texts)
    fits = start + widest <= _PLOT_WIDTH
    if not fits:
        start = _PLOT_WIDTH - widest
    heights = [frame.y(min(float(points[-1, 1]), frame.high)) for _, points, _ in ends]
    boxes = [placing.Box(start, start + widest, height) for height in heights]
    paths = [_path(points, frame, start) for _, points, _ in ends]
    placed = placing.near(replace(plot, points=np.concatenate([plot.points, *paths])), boxes)
    notes = [
        _note(text, box, frame, colour, right=not fits, **({"x": newest, "xref": "x", "xshift": 6} if fits else {}))
        for text, box, (_, _, colour) in zip(texts, placed, ends, strict=True)
    ]
    return notes, replace(plot, taken=(*plot.taken, *placed))


def _path(points: Points, frame: _Frame, start: float) -> Points:
    """Where a curve runs, in px, from `start` on: the noise in it counts, and so does a straight stretch."""
    path = np.array([(frame.x(step), frame.y(loss)) for step, loss in points.tolist()])
    between = np.arange(start, path[-1, 0], 3.0)
    straight = np.stack([between, np.interp(between, path[:, 0], path[:, 1])], axis=1)
    return np.concatenate([straight, path[path[:, 0] >= start]])


def _invitation(plot: placing.Plot, frame: _Frame) -> dict[str, Any]:
    words = "press Train and the curve starts here"
    left = 0.03 * _PLOT_WIDTH
    [box] = placing.near(plot, [placing.Box(left, left + 1.08 * placing.text_width(words), _PLOT_HEIGHT / 2)])
    return _note(words, box, frame, style.INK_2, right=False, x=0.03, font={"size": 14, "color": style.INK_2})


def _note(words: str, box: placing.Box, frame: _Frame, colour: str, right: bool, **changes: Any) -> dict[str, Any]:
    """Words at the box's height, flush with the right or left side of the plot unless `changes` say otherwise."""
    side = {"x": 1, "xanchor": "right"} if right else {"x": 0.012, "xanchor": "left"}
    return style.note(
        words,
        13,
        colour,
        bgcolor=style.VEIL,
        **{"xref": "paper", **side, "y": frame.loss(box.middle), "yanchor": "middle", **changes},
    )
