"""Attention of all heads on one small map."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from minigpt.figures import labels, style
from minigpt.figures.view import View, checked, count, outline

_WIDTH, _HEIGHT = 288, 320  # px, room in the narrowest column the page has
_GAP = 0.125  # between tiles, in tiles
_NARROW_GAP = 0.0625  # between tiles too small for numbers of their own
_EDGE = 0.07  # of space around all tiles, in tiles
_NUMBER = 17  # px, a line of 12 px digits above a tile
_SMALLEST_NUMBERED = 26  # px of a tile; below it numbers would touch, and only the edges carry them
_SMALLEST_WITH_ROLE = 54
_LARGEST = 88  # px of a tile: a few heads must not push what stands below them off the screen
# In percent, a value no attention has. Not -1: base64 would make slashes of its bytes, and Plotly writes each slash as
# six characters, so that the same grid would weigh three times as much.
_EMPTY = 101


@dataclass(frozen=True)
class _Tiles:
    """How tiles lie on the map: `side` cells long and wide, after `across` empty columns and `down` empty rows."""

    n_layers: int
    n_heads: int
    side: int
    across: int
    down: int
    px: float  # of a tile, where room is scarce
    numbered: bool  # whether each has a line of digits above it

    @property
    def gap_across(self) -> float:
        """Between tiles side by side, in tiles."""
        return self.across / self.side

    @property
    def gap_down(self) -> float:
        """Above each tile, in tiles."""
        return self.down / self.side

    @property
    def columns(self) -> Float[np.ndarray, " seq"]:
        """Where cells begin and end from left to right, in tiles; 0 is where the first tile begins."""
        return np.arange(-self.across, self.n_heads * (self.side + self.across) - self.across + 1) / self.side

    @property
    def rows(self) -> Float[np.ndarray, " seq"]:
        """Where cells begin and end from top to bottom."""
        return np.arange(-self.down, self.n_layers * (self.side + self.down) - self.down + 1) / self.side

    def corner(self, layer: int, head: int) -> tuple[float, float]:
        """x and y of the upper left corner of a tile."""
        return head * (1 + self.gap_across), layer * (1 + self.gap_down)


def heads_grid(
    view: View, selected: tuple[int, int] | None = None, *, roles: Sequence[Sequence[str]] | None = None
) -> go.Figure:
    """Every head of every layer as a tile: layers downwards, heads across, named layer.head from 1.1.

    selected: (layer, head), zero-based, gets an outline.
    roles: [layer][head], one or two words that fit into a tile's empty triangle; "" for none.

    One trace holds all tiles, in whole percent: 12 x 12 heads of 64 tokens are 0.9 MB and a few hundred nodes, where
    a trace a head is 4 MB and 50,000. All cells have one size, the gaps too: Plotly paints such a map as a picture,
    and any other cell by cell, which takes longer. A click gives row and column; `layout.meta["tile"]` of
    them, rows and columns, make one tile and the gap before it. With one selected, the page lets the arrow keys select
    another: `meta["heads"]` says how many there are, `meta["chosen"]` which it is.
    """
    pattern = checked(view, selected)
    n_layers, n_heads, n_tokens, _ = pattern.shape
    tiles = _laid_out(n_layers, n_heads, n_tokens)
    columns, rows = tiles.columns, tiles.rows
    # A little more than the tiles, so that the outline of one at the edge is not cut in half.
    width, height = columns[-1] + 2 * _EDGE, rows[-1] + 2 * _EDGE
    first_row, left, top = -_EDGE, 22, 18
    if tiles.numbered:
        height, first_row, left, top = height + tiles.gap_down, first_row - tiles.gap_down, 0, 0
    shown = "" if selected is None else f", layer {selected[0] + 1} head {selected[1] + 1} selected"
    return go.Figure(
        go.Heatmap(
            z=_cells(pattern, view.causal, tiles),
            x=columns.round(5),
            y=rows.round(5),
            zmin=0,
            zmax=_EMPTY,
            colorscale=[*style.attention_colours(end=100 / _EMPTY), [1, style.CLEAR]],
            showscale=False,
            # The ticks say which layer and head a cell belongs to: a text a cell would weigh many times as much.
            hovertemplate="%{y}.%{x}: %{z}%<extra></extra>",
        ),
        style.layout(
            # A third larger than in the page's column, for a notebook.
            height=round(height * tiles.px * 4 / 3) + top,
            width=round(width * tiles.px * 4 / 3) + left,
            margin=(left, 0, top, 0),
            xaxis=_axis(columns, tiles.side + tiles.across, range=[-_EDGE, width - _EDGE], constraintoward="left"),
            yaxis=_axis(
                rows,
                tiles.side + tiles.down,
                range=[first_row + height, first_row],
                constraintoward="top",
                scaleanchor="x",
            ),
            annotations=[
                *(_numbers(tiles, selected) if tiles.numbered else _edge_numbers(tiles, selected)),
                *(_roles(roles, tiles) if roles and _room_for_roles(view, tiles) else []),
            ],
            shapes=[] if selected is None else [_around(*tiles.corner(*selected))],
            meta={
                "label": f"Attention of all heads: {count(n_layers, 'layer')} of {count(n_heads, 'head')}, "
                f"{count(n_tokens, 'token')}{shown}",
                "ratio": height / width,
                "max": min(_HEIGHT, n_layers * (_LARGEST + _NUMBER)) + top,
                "tile": [tiles.side + tiles.down, tiles.side + tiles.across],
                "empty": _EMPTY,
                **({"heads": [n_layers, n_heads], "chosen": list(selected)} if selected else {}),
            },
        ),
    )


def _laid_out(n_layers: int, n_heads: int, n_tokens: int) -> _Tiles:
    # A few tokens become several cells each, else a gap could not be narrower than a token.
    side = n_tokens * math.ceil(8 / n_tokens)
    px, numbered = _tile_side(n_layers, n_heads)
    across = max(1, round(side * (_GAP if numbered else _NARROW_GAP)))
    return _Tiles(n_layers, n_heads, side, across, math.ceil(side * _NUMBER / px) if numbered else across, px, numbered)


def _tile_side(n_layers: int, n_heads: int) -> tuple[float, bool]:
    """The side of a tile in px where room is scarce, and whether a number fits above each."""
    numbered = min(_WIDTH / (n_heads * (1 + _GAP)), _HEIGHT / n_layers - _NUMBER)
    if numbered >= _SMALLEST_NUMBERED:
        return numbered, True
    return min(_WIDTH / n_heads, _HEIGHT / n_layers) / (1 + _NARROW_GAP), False


def _room_for_roles(view: View, tiles: _Tiles) -> bool:
    return view.causal and len(view.tokens) > 3 and tiles.px >= _SMALLEST_WITH_ROLE


def _cells(pattern: Float[np.ndarray, "layer head query key"], causal: bool, tiles: _Tiles) -> UInt8[np.ndarray, "_ _"]:
    """All heads in one array, in whole percent: rows (columns) of gap before each tile, empty cells where masked."""
    n_layers, n_heads, n_tokens, _ = pattern.shape
    percent = np.rint(100 * np.nan_to_num(pattern)).clip(0, 100).astype(np.uint8)
    if causal:
        percent[..., np.triu(np.ones((n_tokens, n_tokens), dtype=np.bool_), k=1)] = _EMPTY
    each = tiles.side // n_tokens
    tall, wide = tiles.side + tiles.down, tiles.side + tiles.across
    framed = np.full((n_layers, n_heads, tall, wide), _EMPTY, dtype=np.uint8)
    framed[..., tiles.down :, tiles.across :] = percent.repeat(each, axis=-2).repeat(each, axis=-1)
    return framed.transpose(0, 2, 1, 3).reshape(n_layers * tall, n_heads * wide)


def _axis(edges: Float[np.ndarray, " seq"], tile: int, **changes: Any) -> dict[str, Any]:
    """An axis of which nothing is drawn; its tick texts number the tiles, of `tile` cells each, for the hover box."""
    centres = (edges[:-1] + edges[1:]) / 2
    numbers = [str(i // tile + 1) for i in range(len(centres))]
    return style.axis(showticklabels=False, constrain="domain", tickvals=centres.round(6), ticktext=numbers, **changes)


def _numbers(tiles: _Tiles, selected: tuple[int, int] | None) -> list[dict[str, Any]]:
    """layer.head above every tile, from 1.1."""
    notes = []
    for layer, head in np.ndindex(tiles.n_layers, tiles.n_heads):
        chosen = (layer, head) == selected
        x, y = tiles.corner(layer, head)
        name = f"{layer + 1}.{head + 1}"
        notes.append(
            style.note(
                f"<b>{name}</b>" if chosen else name,
                12,
                style.INK if chosen else style.INK_3,
                x=x,
                y=y,
                xanchor="left",
                yanchor="bottom",
                yshift=2 if chosen else 0,  # off the outline
            )
        )
    return notes


def _edge_numbers(tiles: _Tiles, selected: tuple[int, int] | None) -> list[dict[str, Any]]:
    """Heads numbered along the top and layers down the left side, where tiles are too small for their own."""

    def number(index: int, chosen: bool, **place: Any) -> dict[str, Any]:
        words = f"<b>{index + 1}</b>" if chosen else str(index + 1)
        return style.note(words, 12, style.INK if chosen else style.INK_3, **place)

    layer, head = selected or (-1, -1)
    heads = [
        number(i, i == head, x=tiles.corner(0, i)[0] + 0.5, y=1, yref="paper", yanchor="bottom", yshift=1)
        for i in range(tiles.n_heads)
    ]
    layers = [
        number(i, i == layer, y=tiles.corner(i, 0)[1] + 0.5, x=0, xref="paper", xanchor="right", xshift=-3)
        for i in range(tiles.n_layers)
    ]
    return heads + layers


def _roles(roles: Sequence[Sequence[str]], tiles: _Tiles) -> list[dict[str, Any]]:
    """What each head does, in the empty corner of its tile; two words stand below each other."""
    return [
        style.note(
            "<br>".join(labels.for_plotly(word, columns=12) for word in role.split()),
            12,
            style.INK_2,
            **{"x": tiles.corner(layer, head)[0] + 1.02, "y": tiles.corner(layer, head)[1], "align": "right"},
            **{"xanchor": "right", "yanchor": "top"},
        )
        for layer, row in enumerate(roles)
        for head, role in enumerate(row)
        if role
    ]


def _around(x: float, y: float) -> dict[str, Any]:
    return outline(x - 0.03, x + 1.03, y - 0.03, y + 1.03)
