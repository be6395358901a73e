"""Figures show what they were given: every value, every token literally, in colours the page can turn dark."""

import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from nasty import NASTY

from minigpt.figures import (
    Answers,
    TokenMap,
    head,
    heads_grid,
    labels,
    lens,
    loss_curve,
    next_token,
    style,
    token_map,
)
from minigpt.figures.view import View
from minigpt.history import History, ReferenceLosses


@dataclass(frozen=True)
class Looked:
    tokens: tuple[str, ...]
    pattern: np.ndarray
    causal: bool = True


def looked(tokens: tuple[str, ...] = ("the", "old", "king", "saw", "the"), layers=2, heads=3, causal=True) -> Looked:
    n = len(tokens)
    raw = np.random.default_rng(0).random((layers, heads, n, n)).astype(np.float32)
    raw = raw * np.tri(n, dtype=np.float32) if causal else raw
    return Looked(tokens, raw / raw.sum(axis=-1, keepdims=True), causal)


TRAIN = tuple((step, 1.1 + 2.5 * float(np.exp(-step / 80))) for step in range(200))
SHARES = np.linspace(0, 1, 6).reshape(3, 2)
ANSWERS = Answers(("the", "old"), ("old",), [["the", "old"]] * 3, SHARES, SHARES, np.ones((3, 2), dtype=int))
MAP = TokenMap(("the", "old"), np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([3, 1]), np.array([True, False]))
HISTORY = History(400, ReferenceLosses(uniform=3.64, unigram=3.02, bigram=1.86, floor=1.05), TRAIN, TRAIN[::20])

FIGURES: dict[str, Callable[[], go.Figure]] = {
    "loss": lambda: loss_curve(HISTORY, step=100),
    "empty loss": lambda: loss_curve(replace(HISTORY, train=(), validation=())),
    "bars": lambda: next_token([("king", 0.9), ("dog", 0.05)], n_others=30),
    "grid": lambda: heads_grid(looked(), (1, 2), roles=[["previous", "same word", ""]] * 2),
    "large grid": lambda: heads_grid(looked(layers=12, heads=12), (3, 4)),
    "head": lambda: head(looked(), 1, 2, query=3),
    "lens": lambda: lens(ANSWERS, query=1),
    "lens of a page": lambda: lens(ANSWERS, of_came=True, alone=False),
    "map": lambda: token_map(MAP),
    "head without mask": lambda: head(looked(causal=False), 0, 0),
}


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for part in value.values() for text in strings(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in strings(part))


def annotations(figure: go.Figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


@pytest.mark.parametrize("name", FIGURES)
def test_every_colour_has_a_dark_partner(name):
    found = [text for text in strings(json.loads(FIGURES[name]().to_json())) if re.match(r"#|rgb|hsl", text)]
    assert found
    assert set(found) - {style.CLEAR} <= set(style.DARK)


def test_dark_colours_are_no_light_ones():
    # A second swap would turn them again.
    assert not set(style.DARK) & set(style.DARK.values())


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_small_named_and_as_high_as_they_say(name):
    figure = FIGURES[name]()
    assert len(figure.to_json()) < (40_000 if name == "large grid" else 18_000)
    assert "colorway" not in figure.to_json()  # Plotly's own template, 6.5 kB that change nothing
    assert figure.layout.meta["label"]
    assert figure.layout.height > 50
    assert figure.layout.uirevision


def test_figures_leave_their_input_alone():
    view = looked()
    before = view.pattern.copy()
    heads_grid(view, (0, 0))
    head(view, 0, 0)
    candidates = [("a", 0.1), ("b", 0.9)]
    next_token(candidates, 3)
    np.testing.assert_array_equal(view.pattern, before)
    assert candidates == [("a", 0.1), ("b", 0.9)]


def test_figures_need_neither_torch_nor_gradio():
    code = """
import sys, types
package = types.ModuleType("minigpt"); package.__path__ = [sys.argv[1]]; sys.modules["minigpt"] = package
import minigpt.figures
print(sorted({"torch", "gradio"} & set(sys.modules)))
"""
    folder = str(Path(style.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- one head ----


def test_head_holds_the_values_and_empty_cells_above_the_diagonal():
    view = looked()
    z = np.asarray(head(view, 1, 2).data[0].z)
    above = np.triu(np.ones(z.shape, dtype=bool), k=1)
    assert np.isnan(z[above]).all()
    np.testing.assert_array_equal(z[~above], view.pattern[1, 2][~above])
    assert not head(view, 1, 2).data[0].hoverongaps


def test_head_without_mask_has_no_empty_cell_and_no_words_about_them():
    figure = head(looked(causal=False), 0, 0)
    assert not np.isnan(figure.data[0].z).any()
    assert annotations(figure) == []
    assert annotations(head(looked(), 0, 0)) == ["empty: a token<br>cannot look ahead"]


@pytest.mark.parametrize("n_tokens", [1, 2, 3])
def test_few_tokens_leave_no_room_for_words(n_tokens):
    figure = head(looked(tokens=("a",) * n_tokens), 0, 0)
    assert annotations(figure) == []
    assert figure.data[0].colorbar.x > 1  # beside the map, not on it


def test_head_says_who_looks_at_whom_and_how_much():
    view = looked()
    sentences = head(view, 0, 0).data[0].customdata
    value = labels.number(float(view.pattern[0, 0, 1, 0]))
    assert sentences[1][0].replace("\u2068", "").replace("\u2069", "") == (
        f"“old” (2) → “the” (1): <b>{value}</b>, {2 * float(view.pattern[0, 0, 1, 0]):.1f} × chance"
    )
    assert sentences[0][1] is None


def test_a_passing_head_says_its_values_alone_and_has_a_fraction_of_the_bytes():
    view = looked(tuple(f"word{i}" for i in range(32)), layers=1, heads=1)
    whole, passing = head(view, 0, 0, 5), head(view, 0, 0, 5, passing=True)
    assert passing.data[0].customdata is None
    assert passing.data[0].hovertemplate == "%{z:.2f}<extra></extra>"
    assert passing.layout == whole.layout
    np.testing.assert_array_equal(passing.data[0].z, whole.data[0].z)
    assert len(passing.to_json()) < len(whole.to_json()) / 3


def test_every_nasty_token_is_literal_on_both_axes_and_on_hover():
    figure = head(looked(tokens=NASTY), 0, 0)
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        assert list(axis.tickvals) == list(range(len(NASTY)))
        assert [html.unescape(label) for label in axis.ticktext] == [labels.for_page(token) for token in NASTY]
    for i, row in enumerate(figure.data[0].customdata):
        assert labels.for_page(NASTY[i], columns=labels.HOVER_COLUMNS) in html.unescape(row[0])
    assert figure.data[0].hovertemplate == "%{customdata}<extra></extra>"


def test_crowded_labels_thin_out():
    ticks = head(looked(tokens=("a",) * 64), 0, 0).layout.xaxis.ticktext
    assert ticks[0] == "a"
    assert 20 <= sum(bool(tick) for tick in ticks) <= 40


def test_the_chosen_row_is_outlined_up_to_its_last_cell():
    [shape] = head(looked(), 0, 0, query=2).layout.shapes
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (-0.5, 2.5, 1.5, 2.5)
    [shape] = head(looked(causal=False), 0, 0, query=2).layout.shapes
    assert shape.x1 == 4.5


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda view: head(view, 2, 0), "There is no layer 2: the view has layers 0 to 1."),
        (lambda view: head(view, 0, -1), "There is no head -1: the view has heads 0 to 2."),
        (lambda view: head(view, 0, 0, query=5), "There is no token 5: the view has tokens 0 to 4."),
        (lambda view: heads_grid(view, (0, 3)), "There is no head 3: the view has heads 0 to 2."),
        (lambda view: heads_grid(Looked((), view.pattern[:, :, :0, :0])), "There is no token to look at"),
        (lambda view: heads_grid(Looked(("a",), view.pattern)), "1 token need"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(draw, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        draw(looked())


def test_a_view_is_known_by_what_it_has():
    assert isinstance(looked(), View)


# ---- all heads ----


@pytest.mark.parametrize(("n_tokens", "each"), [(1, 8), (5, 2), (64, 1)])
def test_grid_is_one_trace_of_all_values_in_percent(n_tokens, each):
    view = looked(tokens=("a",) * n_tokens)
    figure = heads_grid(view)
    [trace] = figure.data
    z, (tall, wide) = np.asarray(trace.z), figure.layout.meta["tile"]
    assert z.shape == (2 * tall, 3 * wide)
    # A tile stands in the lower right corner of its part, below its number and beside a gap.
    side = each * n_tokens
    lower = np.tri(n_tokens, dtype=bool)
    gap = np.ones((tall, wide), dtype=bool)
    gap[-side:, -side:] = False
    for layer, one in np.ndindex(2, 3):
        part = z[layer * tall : (layer + 1) * tall, one * wide : (one + 1) * wide]
        tile = part[-side:, -side:]
        shown = tile[::each, ::each]
        np.testing.assert_array_equal(tile, shown.repeat(each, axis=0).repeat(each, axis=1))
        np.testing.assert_array_equal(shown[lower], np.rint(100 * view.pattern[layer, one])[lower])
        assert (shown[~lower] == figure.layout.meta["empty"]).all()
        # The gaps are empty too, and the empty value alone is clear.
        assert (part[gap] == 101).all()
    assert gap.any()
    assert trace.zmax == 101
    assert trace.colorscale[-1] == (1, style.CLEAR)
    assert trace.colorscale[-2][0] == pytest.approx(100 / 101)


def test_grid_without_mask_is_empty_only_between_tiles():
    figure = heads_grid(looked(causal=False))
    z, side = np.asarray(figure.data[0].z), 2 * 5
    assert (z[-side:, -side:] <= 100).all()


def test_grid_says_layer_and_head_of_every_cell():
    figure = heads_grid(looked())
    tall, wide = figure.layout.meta["tile"]
    n_rows, n_columns = np.shape(figure.data[0].z)
    assert list(figure.layout.yaxis.ticktext) == [str(row // tall + 1) for row in range(n_rows)]
    assert list(figure.layout.xaxis.ticktext) == [str(column // wide + 1) for column in range(n_columns)]
    x = np.asarray(figure.data[0].x)
    np.testing.assert_allclose(figure.layout.xaxis.tickvals, (x[1:] + x[:-1]) / 2, atol=1e-5)


@pytest.mark.parametrize("n_tokens", [1, 2, 3, 5, 14, 64])
@pytest.mark.parametrize(("layers", "heads"), [(1, 1), (2, 3), (4, 4), (12, 12)])
def test_grid_cells_are_square_and_of_one_size_so_that_plotly_paints_them_as_a_picture(n_tokens, layers, heads):
    figure = heads_grid(looked(tokens=("a",) * n_tokens, layers=layers, heads=heads))
    x, y = np.asarray(figure.data[0].x), np.asarray(figure.data[0].y)
    side = x.searchsorted(1 - 1e-4) - x.searchsorted(-1e-4)  # in cells, of the first tile
    assert side % n_tokens == 0
    # Plotly's own measure of one size is a hundredth.
    np.testing.assert_allclose(np.diff(x), 1 / side, rtol=0.005)
    np.testing.assert_allclose(np.diff(y), 1 / side, rtol=0.005)
    assert figure.layout.yaxis.scaleanchor == "x"
    assert figure.data[0].xgap is None
    assert figure.data[0].zsmooth is None


def test_twelve_by_twelve_heads_of_64_tokens_stay_under_a_megabyte():
    assert len(heads_grid(looked(tokens=("a",) * 64, layers=12, heads=12)).to_json()) < 960_000
    assert len(heads_grid(looked(tokens=("a",) * 64, layers=4, heads=4)).to_json()) < 160_000


def test_heads_are_numbered_from_one_and_the_selected_one_is_bold_and_outlined():
    figure = heads_grid(looked(), (1, 2))
    assert annotations(figure) == ["1.1", "1.2", "1.3", "2.1", "2.2", "<b>2.3</b>"]
    [shape] = figure.layout.shapes
    assert shape.line.width == 2
    assert heads_grid(looked()).layout.shapes == ()


def test_many_heads_are_numbered_along_the_edges():
    assert len(annotations(heads_grid(looked(layers=12, heads=12)))) == 24


def test_roles_stand_in_the_triangle_and_nowhere_else():
    roles = [["previous", "<i>", "same word"], ["", "", ""]]
    assert annotations(heads_grid(looked(), roles=roles))[6:] == ["previous", "&lt;i&gt;", "same<br>word"]
    assert len(annotations(heads_grid(looked(causal=False), roles=roles))) == 6


# ---- next token ----


def test_bars_are_ranked_and_the_rest_is_one_grey_bar():
    [bars] = next_token([("dog", 0.003), ("king", 0.91)], n_others=30).data
    assert list(bars.x) == pytest.approx([0.91, 0.003, 0.087])
    assert list(bars.text) == ["0.91", "0.003", "0.09"]
    assert list(bars.marker.color) == [style.PROBABILITY, style.PROBABILITY, style.INK_3]


def test_bars_name_the_rest():
    assert list(next_token([("a", 0.5)], 30).layout.yaxis.ticktext) == ["a", "30 others"]
    assert list(next_token([("a", 0.5)], 1).layout.yaxis.ticktext) == ["a", "1 other"]
    assert list(next_token([("a", 1.0)], 0).layout.yaxis.ticktext) == ["a"]
    assert next_token([], 0).layout.height > 0


def test_equal_and_date_like_tokens_keep_their_own_bars():
    figure = next_token([(token, 1 / len(NASTY)) for token in NASTY])
    assert list(figure.data[0].y) == list(figure.layout.yaxis.tickvals) == list(range(len(NASTY)))
    assert [html.unescape(label) for label in figure.layout.yaxis.ticktext] == [
        labels.for_page(token) for token in NASTY
    ]


def test_a_note_stands_behind_the_number_of_its_own_bar() -> None:
    figure = next_token([("cat", 0.1), ("dog", 0.6), ("cat", 0.2)], 4, ["you", "", "<b>"])
    assert list(figure.data[0].text) == ["0.60", "0.20 <b>&lt;b&gt;</b>", "0.10 <b>you</b>", "0.10"]
    assert figure.layout.margin.r > next_token([("cat", 0.1)], 4).layout.margin.r
    with pytest.raises(ValueError, match="2 candidates need 2 notes, not 1"):
        next_token([("cat", 0.1), ("dog", 0.6)], 4, ["you"])
