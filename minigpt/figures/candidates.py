"""What the model would write next, as bars."""

from collections.abc import Sequence

import plotly.graph_objects as go

from minigpt.figures import labels, style

_BAR = 23  # px, with the space around it
_CHARACTER = 8.4  # px, of the fixed-width font at 14 px


def next_token(
    candidates: Sequence[tuple[str, float]], n_others: int = 0, notes: Sequence[str] | None = None
) -> go.Figure:
    """Horizontal bars, the most likely token first, and all others as one grey bar.

    candidates: tokens with their probabilities (0 to 1), in any order.
    n_others: how many tokens are not among the candidates; they share what is left of the probability.
    notes: a word or two for each candidate to stand behind its number, such as "your guess"; "" for none.
    Raises ValueError where there are not as many notes as candidates.
    """
    if notes is not None and len(notes) != len(candidates):
        raise ValueError(f"{len(candidates)} candidates need {len(candidates)} notes, not {len(notes)}.")
    order = sorted(range(len(candidates)), key=lambda index: -candidates[index][1])
    ranked = [candidates[index] for index in order]
    beside = [labels.for_plotly(notes[index], 24) if notes and notes[index] else "" for index in order]
    chances = [chance for _, chance in ranked]
    names = [labels.for_page(token) for token, _ in ranked]
    ticks = [labels.for_plotly(token) for token, _ in ranked]
    hover = [labels.quoted(token) for token, _ in ranked]
    colours = [style.PROBABILITY] * len(ranked)
    if n_others > 0:
        others = f"{n_others} other{'s' if n_others > 1 else ''}"
        chances.append(max(0.0, 1.0 - sum(chances)))
        names.append(others)
        ticks.append(others)
        hover.append(others)
        colours.append(style.INK_3)
        beside.append("")

    rows = list(range(len(chances)))
    numbers = [labels.number(chance) for chance in chances]
    bars = go.Bar(
        orientation="h",
        x=chances,
        y=rows,
        marker={"color": colours, "line": {"width": 0}},
        text=[f"{value} <b>{said}</b>" if said else value for value, said in zip(numbers, beside, strict=True)],
        textposition="outside",
        cliponaxis=False,
        textfont=style.text(13, style.INK),
        # Templates read %{...}: tokens travel as data, where it means nothing.
        customdata=[f"{name}: <b>{value}</b>" for name, value in zip(hover, numbers, strict=True)],
        hovertemplate="%{customdata}<extra></extra>",
    )
    left = 12 + _CHARACTER * max([6, *map(labels.width, names)])
    best = f"{names[0]} {chances[0]:.2f}" if names else "none"
    return go.Figure(
        bars,
        style.layout(
            height=_BAR * max(1, len(rows)) + 2,
            margin=(left, 48 + _CHARACTER * max(map(len, beside), default=0), 0, 0),
            bargap=0.24,
            # Always 0 to 1: a bar's length means the same at every step.
            xaxis=style.axis(visible=False, range=[0, 1]),
            yaxis=style.axis(
                range=[max(1, len(rows)) - 0.5, -0.5],
                # Numbers, not categories: Plotly would merge equal tokens and turn date-like ones into dates.
                tickvals=rows,
                ticktext=ticks,
                tickfont=style.text(14, style.INK, style.MONO),
                ticks="outside",
                ticklen=4,
                tickcolor=style.CLEAR,
            ),
            meta={"label": f"Probability of the next token, best first: {best}"},
        ),
    )
