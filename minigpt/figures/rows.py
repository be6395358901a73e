"""One token, and what every head gives to each token that it can see."""

import numpy as np
import plotly.graph_objects as go

from minigpt.figures import labels, style
from minigpt.figures.view import View, checked, count, expect, outline

_LARGEST, _SMALLEST, _ENOUGH = 22, 6, 400  # px: of a row, and of all rows where they may be smaller
_WIDTH = 640  # px, where no page says otherwise
_SPACE = 14  # px, the least that the name of a head needs


def every_head(view: View, query: int, selected: tuple[int, int] | None = None) -> go.Figure:
    """Each row is a head, named layer.head from 1.1, each column a token that the query can see; a gap between layers.

    query: the token that looks, zero-based. selected: (layer, head), zero-based, gets an outline.
    One trace. A click gives row and column; the row is layer * (n_heads + 1) + head.
    """
    pattern = checked(view, selected)
    n_layers, n_heads, n_tokens, _ = pattern.shape
    expect("token", query, n_tokens)
    n_keys = query + 1 if view.causal else n_tokens
    tall = n_heads + 1
    n_rows = n_layers * tall - 1
    shares = np.full((n_layers, tall, n_keys), np.nan, dtype=np.float32)
    shares[:, :n_heads] = pattern[:, :, query, :n_keys]
    heads = [f"{row // tall + 1}.{row % tall + 1}" if row % tall < n_heads else "" for row in range(n_rows)]
    px = max(_SMALLEST, min(_LARGEST, _ENOUGH / n_rows))
    names = [labels.for_plotly(token) for token in view.tokens[:n_keys]]
    columns = max(labels.width(labels.for_page(token)) for token in view.tokens[:n_keys])
    bottom = round(22 + 0.55 * 14 * columns)
    quoted = [f"{labels.quoted(token)} ({i})" for i, token in enumerate(view.tokens[:n_keys], start=1)]
    chosen = "" if selected is None else f", layer {selected[0] + 1} head {selected[1] + 1} selected"
    row = 0 if selected is None else selected[0] * tall + selected[1]
    return go.Figure(
        go.Heatmap(
            z=shares.reshape(-1, n_keys)[:n_rows],
            zmin=0,
            zmax=1,
            colorscale=style.attention_colours(),
            showscale=False,
            xgap=1,
            ygap=1 if px > 10 else 0,
            customdata=[quoted] * n_rows,
            hovertemplate="%{y} → %{customdata}: <b>%{z:.2f}</b><extra></extra>",
            hoverongaps=False,
        ),
        style.layout(
            height=round(n_rows * px) + 4 + bottom,
            width=_WIDTH,
            margin=(54, 2, 4, bottom),
            xaxis=_axis(names, 13, range=[-0.52, n_keys - 0.48], autotickangles=[0, -60]),
            yaxis=_axis(heads, 12, range=[n_rows - 0.4, -0.6], showticklabels=px >= _SPACE),
            annotations=[] if px >= _SPACE else [_layer(layer, tall) for layer in range(n_layers)],
            shapes=[] if selected is None else [outline(-0.5, n_keys - 0.5, row - 0.5, row + 0.5)],
            meta={
                "label": f"What {count(n_layers * n_heads, 'head')} give to {count(n_keys, 'token')}{chosen}",
                "labels": {"columns": columns, "xaxis": names},
            },
        ),
    )


def _axis(names: list[str], size: int, **changes: object) -> dict[str, object]:
    # Numbers, not categories: Plotly would merge equal tokens and turn date-like ones into dates.
    shown = {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "tickfont": style.text(size, style.INK, style.MONO),
    }
    return style.axis(**shown, ticks="outside", ticklen=4, tickcolor=style.CLEAR, **changes)


def _layer(layer: int, tall: int) -> dict[str, object]:
    """The name of a layer beside its rows, where they are too low for names of their own."""
    place = {"x": 0, "xref": "paper", "xanchor": "right", "xshift": -6, "y": layer * tall + (tall - 2) / 2}
    return style.note(f"layer {layer + 1}", 12, style.INK_2, **place)
