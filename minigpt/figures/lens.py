"""What each layer would answer already: a row a layer, a column a token."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from minigpt.figures import labels, style
from minigpt.figures.view import count, expect, outline

ROW = 34  # px
EDGE = 28  # px above the first row, for the tokens that were read
_NAMES = 190  # px, for the names of the rows
_COLUMNS = 9  # of a token in a cell, at most
_CHARACTER, _SPACE = 7.2, 10  # px, of the fixed-width font at 12 px, and around it
_WIDEST = 110  # px of a cell: a few tokens need no whole screen
_MOST_NAMED = 256  # tokens; beyond, a text a cell would take seconds to draw


@dataclass(frozen=True)
class Answers:
    """What each layer would answer after each token: the embedding first, the model's own answer last.

    tokens: what was read. came: what followed each token; one fewer where the last has no successor yet.
    first, p_first: the likeliest token as [layer][seq], and its probability.
    p_came, rank: of the token that came; rank 1 is the first choice. NaN and 0 where none has come.
    """

    tokens: Sequence[str]
    came: Sequence[str]
    first: Sequence[Sequence[str]]
    p_first: Float[np.ndarray, "layer seq"]
    p_came: Float[np.ndarray, "layer seq"]
    rank: Int[np.ndarray, "layer seq"]


def row_names(n_layers: int) -> list[str]:
    """The rows from top to bottom: the embedding, each layer, and below them what came."""
    layers = [f"after layer {layer}" for layer in range(1, n_layers + 1)]
    layers[-1] += ", the answer"
    return ["embedding", *layers, "what came"]


def lens(answers: Answers, query: int | None = None, *, of_came: bool = False, alone: bool = True) -> go.Figure:
    """Each layer's first choice after each token, and below the last layer, which is the answer, what really came.

    The rows go down as a token does: it is read at the top and the answer leaves at the bottom, with the layers in the
    order of `heads_grid`. The colour is the probability of the first choice, or with `of_came` of the token that came.

    query: the column to outline. alone: with the names of the rows and the scale, which a page has beside the figure.
    A click gives row and column, which are layer (0 is the embedding) and query.
    Raises ValueError where shapes do not fit, or where there is no such query.
    """
    n_rows, n_tokens = _checked(answers, query)
    named = n_tokens <= _MOST_NAMED
    shown = [*answers.tokens, *answers.came, *(name for row in answers.first for name in row)]
    columns = max(labels.width(labels.for_page(name, _COLUMNS)) for name in shown) if named else 0
    cell = math.ceil(_CHARACTER * columns) + _SPACE
    left = _NAMES if alone else 2
    values = answers.p_came if of_came else answers.p_first
    names = [[labels.for_plotly(name, _COLUMNS) for name in row] for row in answers.first]
    heatmap = go.Heatmap(
        z=values.astype(np.float32),
        zmin=0,
        zmax=1,
        colorscale=[[0, style.PROBABILITY_TINT[0]], [1, style.PROBABILITY_TINT[1]]],
        showscale=alone,
        colorbar={"thickness": 12, "outlinewidth": 0, "tickvals": [0, 1], "tickfont": style.text(12, style.INK_2)},
        xgap=1,
        ygap=1,
        # Templates read %{...}: tokens travel as data, where it means nothing.
        text=names if named else None,
        texttemplate="%{text}" if named else None,
        textfont=style.text(12, style.INK, style.MONO),
        customdata=_sentences(answers),
        hovertemplate="%{customdata}<extra></extra>",
    )
    came = [*(labels.for_plotly(name, _COLUMNS) for name in answers.came), "?"][:n_tokens]
    below = go.Scatter(
        mode="text",
        x=list(range(n_tokens)),
        y=[n_rows] * n_tokens,
        text=came if named else [],
        textfont=style.text(12, style.INK_2, style.MONO),
        hoverinfo="skip",
        cliponaxis=False,
    )
    far = n_tokens - 0.5
    return go.Figure(
        [heatmap, below],
        style.layout(
            height=ROW * (n_rows + 1) + EDGE + 4,
            width=left + (60 if alone else 2) + n_tokens * max(cell, 40),
            margin=(left, 60 if alone else 2, EDGE, 4),
            xaxis=style.axis(
                range=[-0.5, far],
                side="top",
                tickvals=list(range(n_tokens)) if named else [],
                ticktext=[labels.for_plotly(name, _COLUMNS) for name in answers.tokens],
                tickfont=style.text(12, style.INK_2, style.MONO),
                tickangle=0,
            ),
            yaxis=style.axis(
                range=[n_rows + 0.5, -0.5],
                tickvals=list(range(n_rows + 1)) if alone else [],
                ticktext=row_names(n_rows - 1),
            ),
            shapes=[] if query is None else [outline(query - 0.5, query + 0.5, -0.5, n_rows + 0.5)],
            meta=_hints(answers, query, cell, left, of_came),
        ),
    )


def _checked(answers: Answers, query: int | None) -> tuple[int, int]:
    """How many rows and columns there are."""
    n_tokens, n_rows = len(answers.tokens), len(answers.first)
    if n_tokens == 0:
        raise ValueError("There is no token to look at: write at least one.")
    if n_rows < 2:
        raise ValueError("There is no layer to look at: the embedding and at least one layer make two rows.")
    for name, values in (("p_first", answers.p_first), ("p_came", answers.p_came), ("rank", answers.rank)):
        if values.shape != (n_rows, n_tokens):
            raise ValueError(
                f"{name} has the shape {values.shape}; {n_rows} rows of {count(n_tokens, 'token')} "
                f"need ({n_rows}, {n_tokens})."
            )
    if query is not None:
        expect("token", query, n_tokens)
    return n_rows, n_tokens


def _sentences(answers: Answers) -> list[list[str]]:
    """What hovering over a cell says: after layer 1, after “the” (3): “dog” 0.42; the next token “king” 0.07, choice 5.

    In three lines, so that it fits on a phone.
    """
    p_first, p_came, ranks = answers.p_first.tolist(), answers.p_came.tolist(), answers.rank.tolist()
    said = []
    for layer, name in enumerate(row_names(len(answers.first) - 1)[:-1]):
        row = []
        for place, token in enumerate(answers.tokens):
            guess = f"{labels.quoted(answers.first[layer][place])} <b>{labels.number(p_first[layer][place])}</b>"
            after = "what comes next is not written yet"
            if place < len(answers.came):
                p, rank = labels.number(p_came[layer][place]), ranks[layer][place]
                choice = "first choice" if rank == 1 else f"choice {rank:,}"
                after = f"the next token {labels.quoted(answers.came[place])} <b>{p}</b>, {choice}"
            row.append(f"{name}, after {labels.quoted(token)} ({place + 1}): <br>{guess}; <br>{after}")
        said.append(row)
    return said


def _hints(answers: Answers, query: int | None, cell: int, left: int, of_came: bool) -> dict[str, Any]:
    n_tokens = len(answers.tokens)
    what = "the token that came" if of_came else "its first choice"
    hints: dict[str, Any] = {
        "label": f"What each of {count(len(answers.first) - 1, 'layer')} would answer after each of "
        f"{count(n_tokens, 'token')}; the colour is the probability of {what}",
        "least": left + n_tokens * cell,
        "most": left + n_tokens * max(cell, _WIDEST),
    }
    if query is not None:
        hints["focus"] = (query + 0.5) / n_tokens
    return hints
