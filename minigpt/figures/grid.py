"""Attention of all heads on one small map."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from minigpt.figures import labels, style
from minigpt.figures.view import View, checked, count, outline

_WIDTH, _HEIGHT = 288, 320  # px, room in the narrowest column the page has
_GAP = 0.125  # between tiles, in tiles
_EDGE = 0.07  # of space around all tiles, in tiles
_NUMBER = 17  # px, a line of 12 px digits above a tile
_SMALLEST_NUMBERED = 26  # px of a tile; below it numbers would touch, and only the edges carry them
_SMALLEST_WITH_ROLE = 54
_LARGEST = 88  # px of a tile: a few heads must not push what stands below them off the screen
# In percent, a value no attention has. Not -1: base64 would make slashes of its bytes, and Plotly writes each slash as
# six characters, so that the same grid would weigh three times as much.
_EMPTY = 101


def heads_grid(
    view: View, selected: tuple[int, int] | None = None, *, roles: Sequence[Sequence[str]] | None = None
) -> go.Figure:
    """Every head of every layer as a tile: layers downwards, heads across, named layer.head from 1.1.

    selected: (layer, head), zero-based, gets an outline.
    roles: [layer][head], one or two words that fit into a tile's empty triangle; "" for none.

    One trace holds all tiles, in whole percent: 12 x 12 heads of 64 tokens are 0.8 MB and a few hundred nodes, where
    a trace a head is 4 MB and 50,000. A click gives row and column; `layout.meta["tile"]` of them make one tile.
    """
    pattern = checked(view, selected)
    n_layers, n_heads, n_tokens, _ = pattern.shape
    tile, numbered = _tile_side(n_layers, n_heads)
    gap = _NUMBER / tile if numbered else _GAP  # above a tile, in tiles
    columns, rows = _edges(n_heads, n_tokens, _GAP), _edges(n_layers, n_tokens, gap)
    # A little more than the tiles, so that the outline of one at the edge is not cut in half.
    width, height = (
        columns[-1] - columns[0] - _GAP + 2 * _EDGE,
        rows[-1] - rows[0] - (0 if numbered else gap) + 2 * _EDGE,
    )
    first_row = -_EDGE - (gap if numbered else 0)
    left, top = (0, 0) if numbered else (22, 18)
    shown = "" if selected is None else f", layer {selected[0] + 1} head {selected[1] + 1} selected"
    return go.Figure(
        go.Heatmap(
            z=_tiles(pattern, view.causal),
            x=columns,
            y=rows,
            zmin=0,
            zmax=_EMPTY,
            colorscale=[*style.attention_colours(end=100 / _EMPTY), [1, style.CLEAR]],
            showscale=False,
            # The ticks say which layer and head a cell belongs to: a text a cell would weigh many times as much.
            hovertemplate="%{y}.%{x}: %{z}%<extra></extra>",
        ),
        style.layout(
            # A third larger than in the page's column, for a notebook.
            height=round(height * tile * 4 / 3) + top,
            width=round(width * tile * 4 / 3) + left,
            margin=(left, 0, top, 0),
            xaxis=_axis(columns, n_tokens, range=[-_EDGE, width - _EDGE], constraintoward="left"),
            yaxis=_axis(rows, n_tokens, range=[first_row + height, first_row], constraintoward="top", scaleanchor="x"),
            annotations=[
                *(_numbers(pattern, gap, selected) if numbered else _edge_numbers(n_layers, n_heads, selected)),
                *(_roles(roles, gap) if roles and view.causal and n_tokens > 3 and tile >= _SMALLEST_WITH_ROLE else []),
            ],
            shapes=[] if selected is None else [_around(selected, gap)],
            meta={
                "label": f"Attention of all heads: {count(n_layers, 'layer')} of {count(n_heads, 'head')}, "
                f"{count(n_tokens, 'token')}{shown}",
                "ratio": height / width,
                "max": min(_HEIGHT, n_layers * (_LARGEST + _NUMBER)) + top,
                "tile": n_tokens + 1,
                "empty": _EMPTY,
            },
        ),
    )


def _tile_side(n_layers: int, n_heads: int) -> tuple[float, bool]:
    """The side of a tile in px where room is scarce, and whether a number fits above each."""
    wide = _WIDTH / (n_heads * (1 + _GAP))
    numbered = min(wide, _HEIGHT / n_layers - _NUMBER)
    if numbered >= _SMALLEST_NUMBERED:
        return numbered, True
    return min(wide, _HEIGHT / (n_layers * (1 + _GAP))), False


def _edges(n_tiles: int, n_tokens: int, gap: float) -> Float[np.ndarray, " seq"]:
    """Where cells begin and end along one axis, in tiles: before each tile's cells lies one empty cell, `gap` wide."""
    tile = np.concatenate([[-gap], np.arange(n_tokens) / n_tokens])
    starts = np.arange(n_tiles)[:, None] * (1 + gap)
    return np.append((starts + tile).ravel(), n_tiles * (1 + gap) - gap).round(5)


def _tiles(pattern: Float[np.ndarray, "layer head query key"], causal: bool) -> UInt8[np.ndarray, "_ _"]:
    """All heads in one array, in whole percent: a row (column) of gap before each tile, empty cells where masked."""
    n_layers, n_heads, n_tokens, _ = pattern.shape
    percent = np.rint(100 * np.nan_to_num(pattern)).clip(0, 100).astype(np.uint8)
    if causal:
        percent[..., np.triu(np.ones((n_tokens, n_tokens), dtype=np.bool_), k=1)] = _EMPTY
    framed = np.full((n_layers, n_heads, n_tokens + 1, n_tokens + 1), _EMPTY, dtype=np.uint8)
    framed[..., 1:, 1:] = percent
    return framed.transpose(0, 2, 1, 3).reshape(n_layers * (n_tokens + 1), n_heads * (n_tokens + 1))


def _axis(edges: Float[np.ndarray, " seq"], n_tokens: int, **changes: Any) -> dict[str, Any]:
    """An axis of which nothing is drawn; its tick texts number the tiles, for the hover box."""
    centres = (edges[:-1] + edges[1:]) / 2
    numbers = [str(i // (n_tokens + 1) + 1) for i in range(len(centres))]
    return style.axis(showticklabels=False, constrain="domain", tickvals=centres.round(6), ticktext=numbers, **changes)


def _numbers(
    pattern: Float[np.ndarray, "layer head query key"], gap: float, selected: tuple[int, int] | None
) -> list[dict[str, Any]]:
    """layer.head above every tile, from 1.1."""
    notes = []
    for layer, head in np.ndindex(*pattern.shape[:2]):
        chosen = (layer, head) == selected
        name = f"{layer + 1}.{head + 1}"
        notes.append(
            style.note(
                f"<b>{name}</b>" if chosen else name,
                12,
                style.INK if chosen else style.INK_3,
                x=head * (1 + _GAP),
                y=layer * (1 + gap),
                xanchor="left",
                yanchor="bottom",
                yshift=2 if chosen else 0,  # off the outline
            )
        )
    return notes


def _edge_numbers(n_layers: int, n_heads: int, selected: tuple[int, int] | None) -> list[dict[str, Any]]:
    """Heads numbered along the top and layers down the left side, where tiles are too small for their own."""

    def number(index: int, chosen: bool, **place: Any) -> dict[str, Any]:
        words = f"<b>{index + 1}</b>" if chosen else str(index + 1)
        return style.note(words, 12, style.INK if chosen else style.INK_3, **place)

    layer, head = selected or (-1, -1)
    step = 1 + _GAP
    heads = [
        number(i, i == head, x=i * step + 0.5, y=1, yref="paper", yanchor="bottom", yshift=1) for i in range(n_heads)
    ]
    layers = [
        number(i, i == layer, y=i * step + 0.5, x=0, xref="paper", xanchor="right", xshift=-3) for i in range(n_layers)
    ]
    return heads + layers


def _roles(roles: Sequence[Sequence[str]], gap: float) -> list[dict[str, Any]]:
    """What each head does, in the empty corner of its tile; two words stand below each other."""
    return [
        style.note(
            "<br>".join(labels.for_plotly(word, columns=12) for word in role.split()),
            12,
            style.INK_2,
            **{"x": head * (1 + _GAP) + 1.02, "y": layer * (1 + gap), "align": "right"},
            **{"xanchor": "right", "yanchor": "top"},
        )
        for layer, row in enumerate(roles)
        for head, role in enumerate(row)
        if role
    ]


def _around(selected: tuple[int, int], gap: float) -> dict[str, Any]:
    x, y = selected[1] * (1 + _GAP), selected[0] * (1 + gap)
    return outline(x - 0.03, x + 1.03, y - 0.03, y + 1.03)
