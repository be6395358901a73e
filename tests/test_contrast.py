"""The page's own colours can be told apart by people who see contrast badly (WCAG 2.2, AA)."""

import re

import pytest

from minigpt.figures import style
from minigpt.paths import asset

TEXT, CONTROL = 4.5, 3.0


def palettes() -> dict[str, dict[str, str]]:
    """The css variables of the style sheet that are colours, for light and dark."""
    css = asset("style.css").read_text(encoding="utf-8")
    blocks = re.findall(r"^(:root|body\.dark)[^{]*\{(.*?)\}", css, re.MULTILINE | re.DOTALL)
    light, dark = (dict(re.findall(r"--mg-([\w-]+): (#[0-9A-F]{6});", block)) for _, block in blocks)
    return {"light": light, "dark": light | dark}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


PAIRS = [
    *((ink, paper, TEXT) for ink in ("ink", "ink2", "ink3") for paper in ("panel", "page", "sunken")),
    # The words of a token on its tint, from none to the deepest.
    *(("ink", f"{kind}-{end}", TEXT) for kind in ("prob", "loss", "att") for end in ("lo", "hi")),
    *(("ink", f"{kind}-bg", TEXT) for kind in ("error", "warn")),
    *((kind, f"{kind}-bg", TEXT) for kind in ("error", "warn")),
    ("panel", "ink", TEXT),  # the main button, and what is selected
    ("panel", "ink2", TEXT),  # the same under the pointer
    ("ink2", "line", TEXT),
    *((edge, paper, CONTROL) for edge in ("border", "focus") for paper in ("panel", "page")),
]


def test_black_on_white_is_21_to_1():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_of_colours_that_meet_has_contrast_enough(theme):
    colours = palettes()[theme]
    faint = {
        f"{ink} on {paper}": round(contrast(colours[ink], colours[paper]), 2)
        for ink, paper, least in PAIRS
        if contrast(colours[ink], colours[paper]) < least
    }
    assert faint == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_colour_of_words_in_a_figure_has_contrast_enough(theme):
    words = [style.INK, style.INK_2, style.INK_3, style.TRAIN, style.VALIDATION, style.FLOOR]
    paper = palettes()[theme]["panel"]
    seen = [style.DARK[colour] if theme == "dark" else colour for colour in words]
    assert {colour: contrast(colour, paper) for colour in seen if contrast(colour, paper) < TEXT} == {}
