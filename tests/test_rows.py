"""Every head on one token: a row a head, the values as they are, in one trace that stays small."""

import html
from dataclasses import dataclass

import numpy as np
import pytest
from nasty import NASTY

from minigpt.figures import every_head, labels, style


@dataclass(frozen=True)
class Looked:
    tokens: tuple[str, ...]
    pattern: np.ndarray
    causal: bool = True


def looked(tokens: tuple[str, ...], layers: int = 2, heads: int = 3, causal: bool = True) -> Looked:
    n = len(tokens)
    raw = np.random.default_rng(0).random((layers, heads, n, n)).astype(np.float32)
    raw = raw * np.tri(n, dtype=np.float32) if causal else raw
    return Looked(tokens, raw / raw.sum(axis=-1, keepdims=True), causal)


@pytest.mark.parametrize(("causal", "n_keys"), [(True, 4), (False, 6)])
def test_each_row_is_a_head_and_each_column_a_token_it_can_see(causal, n_keys):
    view = looked(("the", "old", "king", "saw", "the", "dog"), causal=causal)
    [trace] = every_head(view, 3).data
    z = np.asarray(trace.z)
    assert z.shape == (7, n_keys)
    for layer, head in np.ndindex(2, 3):
        np.testing.assert_array_equal(z[4 * layer + head], view.pattern[layer, head, 3, :n_keys])
    assert np.isnan(z[3]).all()  # between the layers
    assert not trace.hoverongaps


def test_rows_are_named_by_their_heads_and_the_chosen_one_is_outlined():
    figure = every_head(looked(("a", "b", "c")), 1, (1, 2))
    assert list(figure.layout.yaxis.ticktext) == ["1.1", "1.2", "1.3", "", "2.1", "2.2", "2.3"]
    [shape] = figure.layout.shapes
    assert (shape.y0, shape.y1, shape.x1) == (5.5, 6.5, 1.5)
    assert "layer 2 head 3 selected" in figure.layout.meta["label"]


def test_tokens_are_literal_on_the_axis_and_on_hover_and_never_in_the_template():
    [trace] = (figure := every_head(looked(NASTY), len(NASTY) - 1)).data
    assert [html.unescape(label) for label in figure.layout.xaxis.ticktext] == [labels.for_page(t) for t in NASTY]
    assert list(trace.customdata[0]) == [f"{labels.quoted(token)} ({i})" for i, token in enumerate(NASTY, start=1)]
    assert trace.hovertemplate == "%{y} → %{customdata}: <b>%{z:.2f}</b><extra></extra>"


def test_144_heads_of_64_tokens_stay_small_and_name_their_layers():
    figure = every_head(looked(("token",) * 64, layers=12, heads=12), 63, (0, 0))
    assert len(figure.data) == 1
    assert len(figure.to_json()) < 400_000
    assert figure.layout.height < 1100
    assert not figure.layout.yaxis.showticklabels
    assert [note.text for note in figure.layout.annotations] == [f"layer {i}" for i in range(1, 13)]


def test_what_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="There is no token 3: the view has tokens 0 to 2"):
        every_head(looked(("a", "b", "c")), 3)
    with pytest.raises(ValueError, match="There is no head 3"):
        every_head(looked(("a", "b", "c")), 0, (0, 3))


def test_colours_have_dark_partners():
    figure = every_head(looked(("a", "b")), 1, (0, 0))
    assert {colour for _, colour in figure.data[0].colorscale} <= set(style.DARK)
