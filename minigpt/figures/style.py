"""The look of every figure: colours, fonts, the layout they share. Nothing here knows any data."""

from typing import Any

SANS = "IBM Plex Sans, system-ui, sans-serif"
MONO = "IBM Plex Mono, ui-monospace, monospace"

INK = "#14181F"
INK_2 = "#454E5B"
INK_3 = "#636D7B"
LINE = "#DDE1E7"
PANEL = "#FFFFFF"
TRAIN = "#1A5FC4"
VALIDATION = "#B4500B"
FLOOR = "#0B6E4F"
PROBABILITY = "#0E7A70"
CLEAR = "rgba(0,0,0,0)"
VEIL = "rgba(255,255,255,0.75)"  # Lets a label be read where a noisy curve passes below it.

# Even in perceived lightness: equal steps of attention look equally far apart, and more is further from the paper.
ATTENTION = ("#E5E5F2", "#C1BEED", "#988EE4", "#6F57D1", "#442E9D", "#1E1353")
# Less attention than before, from a little to all of it; more is in the attention colours, and none where both begin.
LESS = ("#EBDDB4", "#D2B768", "#AB8A2B", "#7A5F10", "#453403")

# Behind ink that must be read: from 0 to 1.
PROBABILITY_TINT = ("#F5FCFB", "#70D9CC")

# Figures carry the light colours. The page swaps each of them for its partner when it goes dark, by exact match:
# a colour that is not in this table would stay as it is, dark ink on dark paper.
DARK: dict[str, str] = {
    INK: "#ECEFF3",
    INK_2: "#B9C1CC",
    INK_3: "#929CAA",
    LINE: "#2B323D",
    PANEL: "#151920",
    VEIL: "rgba(21,25,32,0.75)",
    TRAIN: "#76ADFF",
    VALIDATION: "#F5A05A",
    FLOOR: "#5FD3A8",
    PROBABILITY: "#45C4B4",
    **dict(zip(PROBABILITY_TINT, ("#192121", "#0A6961"), strict=True)),
    **dict(zip(ATTENTION, ("#30303D", "#4D457D", "#725EC2", "#9E88F0", "#CCBBFF", "#F7F2FF"), strict=True)),
    **dict(zip(LESS, ("#4A4330", "#766532", "#A88D37", "#D9B956", "#FFF1BC"), strict=True)),
}


def attention_colours(end: float = 1.0) -> list[list[float | str]]:
    """A Plotly colour scale with the attention colours evenly spread over [0, end] of its range."""
    last = len(ATTENTION) - 1
    return [[end * i / last, colour] for i, colour in enumerate(ATTENTION)]


def difference_colours() -> list[list[float | str]]:
    """A Plotly colour scale for what attention has become less or more, from -1 to 1: as many steps either way."""
    colours = (*reversed(LESS), *ATTENTION)
    return [[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)]


def text(size: int, colour: str, family: str = SANS) -> dict[str, Any]:
    """A Plotly font; `size` in px."""
    return {"family": family, "size": size, "color": colour}


def axis(**changes: Any) -> dict[str, Any]:
    """An axis without grid, zero line or ticks, that cannot be dragged out of its range."""
    return {
        "showgrid": False,
        "zeroline": False,
        "showline": False,
        "ticks": "",
        "tickfont": text(13, INK_2),
        "fixedrange": True,
        **changes,
    }


def layout(height: float, margin: tuple[float, float, float, float], **changes: Any) -> dict[str, Any]:
    """The layout all figures share, in px; margin: left, right, top, bottom. A height keeps the page still."""
    return {
        "template": {},  # Plotly's own would add 6.5 kB to every figure.
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": text(13, INK_2),
        "margin": dict(zip("lrtb", margin, strict=True)),
        "hoverlabel": {"bgcolor": INK, "bordercolor": INK, "font": text(14, PANEL)},
        "showlegend": False,
        "uirevision": "keep",
        "dragmode": False,
        "hovermode": "closest",
        "height": height,
        **changes,
    }


def note(words: str, size: int = 13, colour: str = INK_3, **place: Any) -> dict[str, Any]:
    """Words on the plot. `words` may hold Plotly's own <b>; a token in it must have passed `labels.for_plotly`."""
    return {"text": words, "showarrow": False, "font": {"size": size, "color": colour}, "borderpad": 0, **place}
