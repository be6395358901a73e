"""When heads learn their jobs: one line for each head that has one, on the steps of the loss curve."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from minigpt.figures import placing, style

_MARGIN = (24, 14, 8, 8)  # left and right as on the loss curve, so that both tell the same steps
_HEIGHT = 112
_PLOT_HEIGHT = _HEIGHT - _MARGIN[2] - _MARGIN[3]
_PLOT_WIDTH = 290.0  # px on the narrowest page
_MOST_NAMED = 4
_MOST_DRAWN, _MOST_PALE = 12, 24
NOTHING_YET = "each head’s job shows here as it is learned"
NO_SCORES = "these heads cannot be scored"


def births(
    steps: Sequence[int],
    shares: Float[np.ndarray, "frame layer head role"],
    chance: Float[np.ndarray, " role"],
    roles: Sequence[str],
    grown: Sequence[tuple[int, int, int]],
    last_step: int,
) -> go.Figure:
    """How well heads do one job each, 0 to 1, by step; what chance would give is dotted.

    shares: by frame, one of `steps` each; NaN where heads cannot be scored. roles: their names, in order.
    grown: (layer, head, role) of the heads that do a job, of which the best are drawn and named; others are pale.
    last_step: where the x axis ends.
    """
    scored = len(steps) > 0 and not np.isnan(shares).all()
    best = sorted(grown, key=lambda one: -float(shares[-1][one]))[:_MOST_DRAWN] if scored else []
    traces = [_pale(steps, shares, chance, {one[:2] for one in best})] if scored else []
    for layer, head, role in best:
        traces.append(
            go.Scatter(
                x=list(steps),
                y=shares[:, layer, head, role].round(4).tolist(),
                name=f"{layer + 1}.{head + 1} {roles[role]}",
                mode="lines",
                line={"color": style.ATTENTION[3], "width": 1.75},
                hovertemplate=f"{layer + 1}.{head + 1} {roles[role]} %{{y:.2f}}, "
                f"by chance {float(chance[role]):.2f}<extra></extra>",
            )
        )
    dotted = {"color": style.INK_3, "width": 1, "dash": "dot"}
    levels = sorted({float(chance[role]) for _, _, role in best})
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "layer": "below", "line": dotted}
    named = [
        (f"{layer + 1}.{head + 1} {roles[role]}", float(shares[-1, layer, head, role])) for layer, head, role in best
    ]
    said = ", ".join(f"{name} {share:.2f}" for name, share in named) or "no head has one yet"
    return go.Figure(
        traces,
        style.layout(
            height=_HEIGHT,
            margin=_MARGIN,
            hovermode="x unified",
            xaxis=style.axis(
                range=[0, max(1, last_step)],
                showline=True,
                linecolor=style.LINE,
                showticklabels=False,
                unifiedhovertitle={"text": "step %{x:.0f}"},
            ),
            yaxis=style.axis(range=[0, 1.02], tickvals=[0, 0.5, 1], ticktext=["0", "½", "1"]),
            shapes=[{**across, "y0": level, "y1": level} for level in levels],
            annotations=_words(steps, scored, named, levels, max(1, last_step)),
            meta={"label": f"How well each head does one job, 0 to 1, by step: {said}"},
        ),
    )


def _pale(
    steps: Sequence[int],
    shares: Float[np.ndarray, "frame layer head role"],
    chance: Float[np.ndarray, " role"],
    without: set[tuple[int, int]],
) -> go.Scatter:
    """The heads without a job, all in one line with gaps: what each does most by now, above chance."""
    x: list[int | None] = []
    y: list[float | None] = []
    others = [(i, j) for i, j in np.ndindex(*shares.shape[1:3]) if (i, j) not in without]
    for layer, head in others[:_MOST_PALE]:
        role = int(np.nan_to_num(shares[-1, layer, head] - chance, nan=-1).argmax())
        x += [*steps, None]
        y += [*(None if np.isnan(share) else round(float(share), 4) for share in shares[:, layer, head, role]), None]
    return go.Scatter(x=x, y=y, mode="lines", line={"color": style.ATTENTION[1], "width": 1}, hoverinfo="skip")


def _words(
    steps: Sequence[int], scored: bool, named: Sequence[tuple[str, float]], levels: Sequence[float], last_step: int
) -> list[dict[str, Any]]:
    if not scored:
        words = NO_SCORES if len(steps) else NOTHING_YET
        return [style.note(words, 13, style.INK_2, x=0.03, xref="paper", xanchor="left", y=0.5, yanchor="middle")]
    notes = []
    if levels:
        place: dict[str, Any] = {"x": 0.012, "xref": "paper", "xanchor": "left", "y": levels[-1], "yanchor": "bottom"}
        notes.append(style.note("chance", 12, bgcolor=style.VEIL, **place))
    texts = [f"<b>{name} {share:.2f}</b>" for name, share in named[:_MOST_NAMED]]
    if not texts:
        return notes
    widest = max(map(placing.text_width, texts))
    start = steps[-1] / last_step * _PLOT_WIDTH + 6
    fits = start + widest <= _PLOT_WIDTH
    start = start if fits else _PLOT_WIDTH - widest
    boxes = [placing.Box(start, start + widest, (1.02 - share) / 1.02 * _PLOT_HEIGHT) for _, share in named]
    placed = placing.near(placing.Plot(_PLOT_WIDTH, _PLOT_HEIGHT), boxes[:_MOST_NAMED])
    side: dict[str, Any] = {"x": 1, "xref": "paper", "xanchor": "right"}
    if fits:
        side = {"x": steps[-1], "xref": "x", "xanchor": "left", "xshift": 6}
    for text, box in zip(texts, placed, strict=True):
        y = 1.02 - box.middle / _PLOT_HEIGHT * 1.02
        notes.append(style.note(text, 13, style.ATTENTION[4], bgcolor=style.VEIL, y=y, yanchor="middle", **side))
    return notes
