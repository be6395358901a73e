"""Attention of one head, large enough to read every token and every value."""

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from minigpt.figures import labels, style
from minigpt.figures.view import View, checked, count, expect, outline

_SIDE = 440  # px, of the map where no page says otherwise
_SPACE = 12  # px, the least a label needs


def head(view: View, layer: int, head: int, query: int | None = None, *, passing: bool = False) -> go.Figure:
    """One head, large: each row is a token that looks, each column a token looked at; all indices are zero-based.

    query: the row to outline. On hover a cell says its two tokens, their positions (from 1), its value, and that by
    chance: 1 / the keys that its query can see. A click gives row and column, the positions of query and key.
    passing: another figure will soon take its place, so that cells say no more than their value. The sentences of all
    cells are most of the figure's bytes.
    """
    pattern = checked(view, (layer, head))[layer, head]
    n_tokens = len(view.tokens)
    if query is not None:
        expect("token", query, n_tokens)
    drawn = _drawn(n_tokens, view.causal)
    # Below four tokens the triangle has no room for the colour bar and its words.
    inside = view.causal and n_tokens > 3
    heatmap = go.Heatmap(
        z=np.where(drawn, pattern, np.nan).astype(np.float32),
        zmin=0,
        zmax=1,
        colorscale=style.attention_colours(),
        xgap=1,
        ygap=1,
        customdata=None if passing else _sentences(view.tokens, pattern, drawn),
        hovertemplate=f"{'%{z:.2f}' if passing else '%{customdata}'}<extra></extra>",
        hoverongaps=False,
        colorbar=_colour_bar(inside),
    )
    names = [labels.for_plotly(token) for token in view.tokens]
    columns = max(labels.width(labels.for_page(token)) for token in view.tokens)
    size = min(16, max(11, math.floor(0.72 * _SIDE / n_tokens)))
    # A character is 0.6 em wide; the labels below lean by 60 degrees.
    left, bottom = max(54, round(10 + 0.6 * size * columns)), max(52, round(22 + 0.55 * size * columns))
    right = 2 if inside else 40
    # A little more than the cells, so that the outline of a row at the edge is not cut in half.
    near, far = -0.5 - 0.003 * n_tokens, n_tokens - 0.5 + 0.003 * n_tokens
    corner: dict[str, Any] = {"x": n_tokens - 0.5, "y": -0.5, "xanchor": "right", "yanchor": "top", "align": "right"}
    end = n_tokens if query is None or not view.causal else query + 1
    return go.Figure(
        heatmap,
        style.layout(
            height=_SIDE + 4 + bottom,
            width=_SIDE + left + right,
            margin=(left, right, 4, bottom),
            xaxis=_axis(names, size, range=[near, far], tickangle=-60, constraintoward="left"),
            yaxis=_axis(names, size, range=[far, near], constraintoward="top", scaleanchor="x"),
            dragmode="zoom",
            # What was zoomed into stays so while the tokens are the same.
            uirevision=f"{zlib.crc32(repr(list(view.tokens)).encode(errors='replace')):08x}",
            shapes=[] if query is None else [outline(-0.5, end - 0.5, query - 0.5, query + 0.5)],
            annotations=[style.note("empty: a token<br>cannot look ahead", **corner)] if inside else [],
            meta={
                "label": f"Attention of layer {layer + 1} head {head + 1} over {count(n_tokens, 'token')}: "
                f"each row shows where one token looks. {_in_words(view.tokens, pattern, query)}"
                "Up and down keys choose a row.",
                "ratio": 1,
                "max": 600,
                "labels": {"columns": columns, "xaxis": names, "yaxis": names},
                "keys": {"at": [-1 if query is None else query, 0], "size": [n_tokens, 1]},
            },
        ),
    )


def _drawn(n_tokens: int, causal: bool) -> Bool[np.ndarray, "query key"]:
    """Which cells hold a value: with the causal mask on, those above the diagonal do not exist."""
    every = np.ones((n_tokens, n_tokens), dtype=np.bool_)
    return np.tril(every) if causal else every


def _sentences(
    tokens: Sequence[str], pattern: Float[np.ndarray, "query key"], drawn: Bool[np.ndarray, "query key"]
) -> list[list[str | None]]:
    """What hovering over a cell says: “the” (1) → “old” (2): 0.71, 1.4 × chance."""
    names = [f"{labels.quoted(token)} ({position})" for position, token in enumerate(tokens, start=1)]
    seen = drawn.sum(axis=1)

    def sentence(i: int, j: int) -> str:
        share = float(pattern[i, j])
        return (
            f"{names[i]} → {names[j]}: <b>{labels.number(share)}</b>, {labels.times(share * float(seen[i]))} × chance"
        )

    return [[sentence(i, j) if drawn[i, j] else None for j in range(len(tokens))] for i in range(len(tokens))]


def _in_words(tokens: Sequence[str], pattern: Float[np.ndarray, "query key"], query: int | None) -> str:
    """The chosen row, for a reader who cannot see it."""
    if query is None:
        return ""
    key = int(pattern[query].argmax())
    looks, at = (f"“{labels.for_page(tokens[i], labels.HOVER_COLUMNS)}” ({i + 1})" for i in (query, key))
    return f"Row {query + 1} selected: {looks} looks most at {at}, {float(pattern[query, key]):.2f}. "


def _every(n_tokens: int) -> int:
    """Every how many tokens a label has room."""
    return max(1, math.ceil(_SPACE * n_tokens / _SIDE))


def _axis(names: Sequence[str], size: int, **changes: Any) -> dict[str, Any]:
    every = _every(len(names))
    return style.axis(
        constrain="domain",
        # Numbers, not categories: Plotly would merge equal tokens and turn date-like ones into dates.
        tickvals=list(range(len(names))),
        ticktext=["" if i % every else name for i, name in enumerate(names)],
        tickfont=style.text(size, style.INK, style.MONO),
        ticks="outside",
        ticklen=4,
        tickcolor=style.CLEAR,
        fixedrange=False,
        **changes,
    )


def _colour_bar(inside: bool) -> dict[str, Any]:
    """The scale: in the empty triangle where there is one, else to the right of the map."""
    place = {"x": 0.985, "xanchor": "right", "y": 0.84} if inside else {"x": 1.02, "xanchor": "left", "y": 1}
    return {
        **place,
        "yanchor": "top",
        "len": 0.34,
        "thickness": 12,
        "outlinewidth": 0,
        "tickvals": [0, 0.5, 1],
        "ticktext": ["0", "½", "1"],
        "tickfont": style.text(12, style.INK_2),
        "ticks": "",
    }
