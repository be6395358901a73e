"""The figure of the layers' answers: a row a layer, every token literally, every number where it belongs."""

import html
import re

import numpy as np
import pytest
from nasty import NASTY

from minigpt.figures import Answers, labels, lens, style
from minigpt.figures.lens import row_names


def answers(tokens=("once", "the", "the"), came=("the", "the"), rows=3) -> Answers:
    n = len(tokens)
    p_first = np.linspace(0.1, 0.9, rows * n).reshape(rows, n)
    p_came = np.where(np.arange(n) < len(came), p_first / 2, np.nan)
    rank = np.where(np.arange(n) < len(came), np.arange(1, rows + 1)[:, None], 0)
    first = [[f"r{row}c{column}" for column in range(n)] for row in range(rows)]
    return Answers(tokens, came, first, p_first, p_came, rank)


def said(figure, layer: int, query: int) -> str:
    return re.sub(r"[\u2066-\u2069]|<.?b>|<br>", "", figure.data[0].customdata[layer][query])


def test_cells_are_the_probabilities_and_name_the_first_choices():
    made = answers()
    cells = lens(made).data[0]
    np.testing.assert_allclose(cells.z, made.p_first, atol=1e-6)
    assert [list(row) for row in cells.text] == made.first
    assert (cells.zmin, cells.zmax) == (0, 1)
    assert [colour for _, colour in cells.colorscale] == list(style.PROBABILITY_TINT)


def test_the_token_that_came_can_be_coloured_instead_and_the_words_stay():
    made = answers()
    cells = lens(made, of_came=True).data[0]
    np.testing.assert_allclose(cells.z, made.p_came, atol=1e-6)
    assert [list(row) for row in cells.text] == made.first


def test_hover_says_where_it_is_what_it_guesses_and_what_came():
    figure = lens(answers())
    assert said(figure, 1, 1) == "after layer 1, after “the” (2): “r1c1” 0.50; the next token “the” 0.25, choice 2"
    assert said(figure, 0, 0) == "embedding, after “once” (1): “r0c0” 0.10; the next token “the” 0.05, first choice"
    assert said(figure, 2, 2) == (
        "after layer 2, the answer, after “the” (3): “r2c2” 0.90; what comes next is not written yet"
    )


def test_tokens_go_in_at_the_top_and_what_came_stands_below_the_last_layer():
    figure = lens(answers(), query=1)
    assert figure.layout.xaxis.side == "top"
    assert list(figure.layout.xaxis.ticktext) == ["once", "the", "the"]
    assert list(figure.layout.yaxis.ticktext) == [
        "embedding",
        "after layer 1",
        "after layer 2, the answer",
        "what came",
    ]
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    below = figure.data[1]
    assert list(below.text) == ["the", "the", "?"]
    assert set(below.y) == {3}
    # It must not take a click from the cells.
    assert below.hoverinfo == "skip"
    [shape] = figure.layout.shapes
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (0.5, 1.5, -0.5, 3.5)
    assert lens(answers()).layout.shapes == ()


def test_a_page_names_the_rows_itself():
    figure = lens(answers(), alone=False)
    assert list(figure.layout.yaxis.tickvals) == []
    assert not figure.data[0].showscale
    assert row_names(1) == ["embedding", "after layer 1, the answer", "what came"]


def test_every_nasty_token_is_literal_wherever_it_stands():
    n = len(NASTY)
    shares = np.full((2, n), 0.5)
    figure = lens(Answers(NASTY, NASTY, [list(NASTY)] * 2, shares, shares, np.ones((2, n), dtype=int)))
    short = [labels.for_page(token, 9) for token in NASTY]
    for shown in (figure.layout.xaxis.ticktext, figure.data[0].text[0], figure.data[1].text):
        assert [html.unescape(label) for label in shown] == short
    for token, sentence in zip(NASTY, figure.data[0].customdata[0], strict=True):
        assert html.unescape(sentence).count(labels.for_page(token, labels.HOVER_COLUMNS)) >= 3
    assert figure.data[0].hovertemplate == "%{customdata}<extra></extra>"
    assert figure.data[0].texttemplate == "%{text}"


def test_a_cell_is_wide_enough_for_its_token_and_a_long_text_is_drawn_without():
    hints = lens(answers(("antidisestablishmentarianism",) * 2, ()), alone=False).layout.meta
    assert hints["least"] >= 2 * 9 * 7.2
    assert hints["most"] > hints["least"]
    assert lens(answers(), query=1, alone=False).layout.meta["focus"] == pytest.approx(0.5)
    long = lens(answers(("a",) * 300, ("a",) * 299))
    assert long.data[0].text is None
    assert long.layout.meta["least"] > 300 * 5


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda: lens(answers((), ())), "There is no token to look at: write at least one."),
        (lambda: lens(answers(rows=1)), "There is no layer to look at"),
        (lambda: lens(answers(), query=3), "There is no token 3: the view has tokens 0 to 2."),
        (
            lambda: lens(
                Answers(("a",), (), [["b"]] * 2, np.ones((2, 1)), np.ones((1, 1)), np.ones((2, 1), dtype=int))
            ),
            "p_came has the shape (1, 1); 2 rows of 1 token need (2, 1).",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_what_can(draw, sentence, unchecked):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        draw()
