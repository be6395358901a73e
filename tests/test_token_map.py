"""The map of the tokens: every point where its token is, and no name over another."""

import html
import re
from itertools import combinations

import numpy as np
import pytest
from nasty import NASTY

from minigpt.figures import TokenMap, labels, style, token_map
from minigpt.figures.token_map import MOST_DRAWN, _box, drawn


def some(n: int, here=(), seed=0) -> TokenMap:
    places = np.random.default_rng(seed).normal(size=(n, 2))
    # The most frequent are last, so that their order is not that of the ids.
    return TokenMap([f"w{i}" for i in range(n)], places, np.arange(n), np.isin(np.arange(n), here))


def points(figure) -> dict[str, tuple[float, float]]:
    """Token to place, read off what hovering says."""
    return {
        re.search("“\u2068(.*)\u2069”", sentence)[1]: (x, y)
        for trace in figure.data
        for sentence, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


@pytest.mark.parametrize("n", [1, 2, 30, 500])
def test_every_token_is_a_point_at_its_place(n):
    tokens = some(n, here=[0])
    found = points(token_map(tokens))
    assert len(found) == n
    for i, (x, y) in enumerate(tokens.places):
        assert found[f"w{i}"] == pytest.approx((x, y), abs=1e-5)


def test_no_more_than_two_thousand_are_drawn_the_most_frequent_and_those_of_the_text():
    tokens = some(3000, here=[0, 1])
    assert set(drawn(tokens)) == {0, 1, *range(3000 - MOST_DRAWN + 2, 3000)}
    figure = token_map(tokens)
    assert len(points(figure)) == MOST_DRAWN
    assert {"w0", "w1", "w2999"} <= set(points(figure))
    assert len(figure.to_json()) < 260_000


def test_of_many_tokens_those_of_the_text_and_the_most_frequent_have_names():
    named = token_map(some(500, here=[3])).data[1]
    assert len(named.x) == 61
    assert "w3" in named.customdata[0]
    assert "w499" in named.customdata[1]


def test_the_tokens_of_the_text_are_dark_bold_and_first_in_getting_a_name():
    figure = token_map(some(50, here=[7]))
    named = figure.data[1]
    assert named.text[0] == "<b>w7</b>"
    assert named.marker.color[:2] == (style.INK, style.INK_3)
    assert "and stands in yours" in named.customdata[0]
    assert named.customdata[0].startswith("“\u2068w7\u2069”: 7 times in the training text")
    assert "once in" in next(said for said in named.customdata if "w1\u2069" in said)
    assert "never in" in next(said for said in named.customdata if "w0\u2069" in said)


@pytest.mark.parametrize("seed", range(3))
def test_no_name_covers_another_or_leaves_the_map_at_any_width(seed):
    tokens = some(58, here=range(20), seed=seed)
    figure = token_map(tokens)
    named = figure.data[1]
    (left, right), (low, high) = figure.layout.xaxis.range, figure.layout.yaxis.range
    last = 0
    for at in named.meta["places"]:
        width, height = at["width"], at["width"] * 0.75
        assert (high - low) / (right - left) == pytest.approx(0.75)
        boxes = []
        for x, y, said, side in zip(named.x, named.y, named.customdata, at["sides"], strict=True):
            if side:
                name = re.search("“\u2068(.*)\u2069”", said)[1]
                place = ((x - left) / (right - left) * width, (high - y) / (high - low) * height)
                boxes.append(_box(*map(float, place), 7.2 * len(name), side))
        assert not any(one.covers(other) for one, other in combinations(boxes, 2))
        assert all(box.left >= -0.1 and box.right <= width + 0.1 for box in boxes)
        assert all(box.top >= -0.1 and box.bottom <= height + 0.1 for box in boxes)
        assert len(boxes) >= last, "a wider map has no fewer names"
        last = len(boxes)
    assert last > 30


def test_two_maps_can_share_a_scale():
    small, large = some(20), some(20)
    large = TokenMap(large.tokens, 5 * large.places, large.counts, large.here)
    assert large.reach == pytest.approx(5 * small.reach)
    wide = token_map(small, large.reach).layout.xaxis.range
    assert wide[1] - wide[0] == pytest.approx(2 * 1.08 * large.reach)
    # What is drawn lies within.
    x, y = np.array(list(points(token_map(small)).values())).T
    (left, right), (low, high) = (token_map(small).layout[axis].range for axis in ("xaxis", "yaxis"))
    assert left < x.min() < x.max() < right
    assert low < y.min() < y.max() < high


def test_tokens_that_all_lie_in_one_place_have_a_map():
    figure = token_map(TokenMap(["a", "b"], np.zeros((2, 2)), np.ones(2, dtype=int), np.zeros(2, dtype=bool)))
    assert len(points(figure)) == 2


def test_every_nasty_token_is_literal():
    n = len(NASTY)
    grid = np.stack([np.arange(n) % 6, np.arange(n) // 6], axis=1).astype(float)
    named = token_map(TokenMap(NASTY, grid, np.arange(n)[::-1], np.zeros(n, dtype=bool))).data[1]
    for token, name, said in zip(NASTY, named.text, named.customdata, strict=True):
        assert html.unescape(name) in ("", labels.for_page(token))
        assert labels.for_page(token, labels.HOVER_COLUMNS) in html.unescape(said)
    assert sum(bool(name) for name in named.text) > n / 2


def test_no_token_no_map():
    with pytest.raises(ValueError, match="There is no token to draw"):
        token_map(TokenMap([], np.zeros((0, 2)), np.zeros(0, dtype=int), np.zeros(0, dtype=bool)))
