"""A run and its twin, which lacks one part: both loss curves, and what a head looks at more or less than before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from minigpt.figures import labels, style
from minigpt.figures.loss import loss_curve
from minigpt.figures.one_head import head
from minigpt.figures.view import count
from minigpt.history import History


def twin_curves(run: History, twin: History, steps: int) -> go.Figure:
    """Train and validation losses of both by step, up to `steps`; the twin's lines are dashed, the reference lines are
    those of the run."""
    return loss_curve(run, n_steps=steps, twin=twin)


@dataclass(frozen=True)
class _Change:
    """How a single head has changed, in the form of a view."""

    tokens: Sequence[str]
    pattern: Float[np.ndarray, "layer head query key"]
    causal: bool


def difference(
    tokens: Sequence[str], change: Float[np.ndarray, "query key"], causal: bool, query: int | None = None
) -> go.Figure:
    """How much more (to 1) or less (to -1) each query looks at each key than it did; 0 is in the middle of the colours.

    causal: whether neither of the two looks ahead, so that there is nothing above the diagonal. query: the row to
    outline. A click gives row and column, which are the positions of query and key.
    """
    figure = head(_Change(tokens, change[None, None], causal), 0, 0, query)
    names = [f"{labels.quoted(token)} ({position})" for position, token in enumerate(tokens, start=1)]
    figure.update_traces(
        zmin=-1,
        colorscale=style.difference_colours(),
        customdata=[
            [f"{row} → {column}: <b>{_signed(float(value))}</b>" for column, value in zip(names, values, strict=True)]
            for row, values in zip(names, change, strict=True)
        ],
        colorbar={"tickvals": [-1, 0, 1], "ticktext": ["−1", "0", "+1"]},
    )
    most = float(np.abs(change).max())
    figure.layout.meta["label"] = (
        f"Attention of the twin minus attention of the run, over {count(len(tokens), 'token')}: "
        f"the largest change is {most:.2f}"
    )
    return figure


def _signed(value: float) -> str:
    """A difference as figures show it: its sign, and the decimals of a share."""
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return sign + labels.number(abs(value))
