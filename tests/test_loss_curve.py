"""The loss curve keeps its reference lines readable, whatever the run does."""

import re

import numpy as np
import plotly.graph_objects as go
import pytest

from minigpt.figures import loss_curve, placing, style
from minigpt.history import History, ReferenceLosses
from minigpt.training import begin

REFERENCES = ReferenceLosses(uniform=3.64, unigram=3.02, bigram=1.86, floor=1.05)


def history(n_points: int, references: ReferenceLosses = REFERENCES, n_steps: int = 400) -> History:
    train = tuple((step, 1.1 + 2.5 * float(np.exp(-step / 80))) for step in range(n_points))
    return History(n_steps, references, train, train[::20])


def annotations(figure: go.Figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_reference_lines_stand_before_any_training():
    figure = loss_curve(history(0))
    assert [shape.y0 for shape in figure.layout.shapes] == [3.64, 3.02, 1.86, 1.05]
    assert annotations(figure) == [
        "even guess, ln V <b>3.64</b>",
        "word counts (unigram) <b>3.02</b>",
        "word pairs (bigram) <b>1.86</b>",
        "best possible <b>1.05</b>",
        "press Train and the curve starts here",
    ]


@pytest.mark.parametrize(("kind", "unit"), [("word", "word"), ("character", "letter"), ("bpe", "piece")])
def test_the_lines_are_named_for_what_is_counted(kind, unit):
    known = begin("the old king saw the dog . " * 20, kind).history.references
    words = " ".join(annotations(loss_curve(history(0, known))))
    assert f"{unit} counts" in words
    assert f"{unit} pairs" in words


def test_the_floor_is_drawn_only_where_it_is_known():
    figure = loss_curve(history(0, ReferenceLosses(3.64, 3.02, 1.86)))
    assert len(figure.layout.shapes) == 3
    assert not any("best possible" in words for words in annotations(figure))


def test_a_short_curve_is_drawn_as_it_is_and_a_long_one_as_means():
    short, long = loss_curve(history(200)).data[0], loss_curve(history(4000, n_steps=4000)).data[0]
    assert list(short.y) == pytest.approx([loss for _, loss in history(200).train], abs=1e-4)
    assert len(long.x) == 400
    assert long.y[0] == pytest.approx(np.mean([loss for _, loss in history(10).train]), abs=1e-4)
    assert long.x[0] == pytest.approx(4.5)


def test_what_is_not_finite_is_left_out():
    broken = History(10, REFERENCES, ((0, 3.0), (1, float("nan")), (2, float("inf"))))
    figure = loss_curve(broken)
    assert list(figure.data[0].y) == [3.0]
    assert not re.search(r"NaN|Infinity|null", figure.to_json())


def test_the_chosen_step_is_marked_on_the_curve():
    run = history(200)
    dot = loss_curve(run, step=100).data[2]
    assert dot.x[0] == 100
    assert dot.y[0] == pytest.approx(dict(run.train)[100])
    stem = loss_curve(run, step=100).layout.shapes[-1]
    assert stem.y1 == dot.y[0]
    assert len(loss_curve(run).data) == 2
    assert loss_curve(run, step=5000).data[2].x[0] == 199


def test_a_curve_out_of_bounds_does_not_flatten_the_lines():
    low, high = loss_curve(History(10, REFERENCES, ((0, 3.7), (1, 1e6)))).layout.yaxis.range
    assert low < 1.05 < 3.64 < high < 15


CASES = {
    "nothing": (REFERENCES, []),
    "one point": (REFERENCES, [(0, 3.7)]),
    "half way": (REFERENCES, [(0, 3.7), (100, 1.9), (240, 1.13)]),
    "the end": (REFERENCES, [(0, 3.7), (100, 1.9), (400, 1.13)]),
    "close lines": (ReferenceLosses(3.3, 3.25, 3.2, 3.15), [(0, 3.4), (390, 3.18)]),
    "one word repeated": (ReferenceLosses(0.69, 0.0, 0.0, 0.0), [(0, 0.7), (400, 0.0)]),
    "a vocabulary of one": (ReferenceLosses(0.0, 0.0, 0.0), [(0, 0.0), (300, 0.0)]),
    "a run that fell apart": (REFERENCES, [(0, 3.7), (399, 1e5)]),
    "hardly any difference": (ReferenceLosses(1.1, 1.1, 1.09, 1.09), [(7, 1.1)]),
}


@pytest.mark.parametrize("name", CASES)
def test_labels_stay_on_the_plot_and_off_each_other(name):
    references, points = CASES[name]
    validation = tuple((step, loss + 0.03) for step, loss in points)
    figure = loss_curve(History(400, references, tuple(points), validation))
    low, high = figure.layout.yaxis.range
    height = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    boxes = []
    for note in figure.layout.annotations:
        width = placing.text_width(note.text)
        x = note.x * 290 if note.xref == "paper" else note.x / 400 * 290 + 6
        left = x - width if note.xanchor == "right" else x
        boxes.append((note.text, placing.Box(left, left + width, (high - note.y) / (high - low) * height)))
    for i, (text, box) in enumerate(boxes):
        assert box.left > -5, text
        assert box.right < 290 + 14, text
        assert box.top > -2, text
        assert box.bottom < height + 2, text
        for other, second in boxes[i + 1 :]:
            assert not box.covers(second), f"{text} is written over {other}"


def test_reference_labels_do_not_move_while_the_curve_grows():
    first, later = loss_curve(history(0)), loss_curve(history(300))
    assert [note.y for note in first.layout.annotations[:4]] == pytest.approx(
        [note.y for note in later.layout.annotations[:4]], abs=0.1
    )


def test_references_that_coincide_share_a_label():
    words = annotations(loss_curve(history(0, ReferenceLosses(0.69, 0.0, 0.0))))
    assert words[:2] == ["even guess, ln V <b>0.69</b>", "word counts, word pairs <b>0.00</b>"]


def test_line_ends_carry_name_and_value():
    figure = loss_curve(History(400, REFERENCES, ((0, 3.7), (240, 1.13)), ((0, 3.7), (240, 1.18))))
    ends = figure.layout.annotations[-2:]
    assert [end.text for end in ends] == ["<b>validation 1.18</b>", "<b>train 1.13</b>"]
    assert [end.font.color for end in ends] == [style.VALIDATION, style.TRAIN]
    assert all(end.x == 240 for end in ends)
