"""The birth of heads, as numbers in a figure: the heads that do a job are named, the rest stay pale and few."""

import numpy as np

from minigpt.figures import births, style
from minigpt.figures.births import NO_SCORES, NOTHING_YET

ROLES = ["previous", "current"]
CHANCE = np.array([0.1, 0.05])


def shares(n_layers: int = 1, n_heads: int = 3) -> np.ndarray:
    """Head 1.2 learns to look at the previous token; all others stay where they were."""
    made = np.full((4, n_layers, n_heads, 2), 0.08)
    made[:, 0, 1, 0] = [0.1, 0.3, 0.6, 0.9]
    return made


def words(figure) -> list[str]:
    return [note.text for note in figure.layout.annotations]


def test_a_head_with_a_job_is_drawn_with_its_numbers_and_named_at_its_end():
    figure = births([0, 1, 2, 8], shares(), CHANCE, ROLES, [(0, 1, 0)], 20)
    pale, line = figure.data
    assert (line.name, list(line.x), list(line.y)) == ("1.2 previous", [0, 1, 2, 8], [0.1, 0.3, 0.6, 0.9])
    assert words(figure) == ["chance", "<b>1.2 previous 0.90</b>"]
    assert [shape.y0 for shape in figure.layout.shapes] == [0.1]
    assert tuple(figure.layout.xaxis.range) == (0, 20)
    assert list(pale.x) == [0, 1, 2, 8, None] * 2
    assert pale.line.color == style.ATTENTION[1]
    assert "1.2 previous 0.90" in figure.layout.meta["label"]


def test_steps_stand_where_they_stand_on_the_loss_curve():
    from minigpt.figures import loss_curve
    from minigpt.history import History, ReferenceLosses

    curve = loss_curve(History(20, ReferenceLosses(3, 2, 1), ((0, 3.0), (8, 2.0))))
    figure = births([0, 1, 2, 8], shares(), CHANCE, ROLES, [], 20)
    assert (figure.layout.margin.l, figure.layout.margin.r) == (curve.layout.margin.l, curve.layout.margin.r)
    assert tuple(figure.layout.xaxis.range) == tuple(curve.layout.xaxis.range)


def test_many_heads_stay_few_lines():
    grown = [(layer, head, 0) for layer in range(12) for head in range(12)][:20]
    figure = births([0, 1, 2, 8], shares(12, 12), CHANCE, ROLES, grown, 8)
    assert len(figure.data) == 1 + 12
    assert len(words(figure)) == 1 + 4
    assert len(figure.data[0].x) <= 24 * 5


def test_where_nothing_can_be_drawn_a_word_says_why():
    nothing = np.empty((0, 0, 0, 2))
    assert words(births([], nothing, CHANCE, ROLES, [], 20)) == [NOTHING_YET]
    unknown = births([0, 5], np.full((2, 1, 2, 2), np.nan), CHANCE, ROLES, [], 20)
    assert words(unknown) == [NO_SCORES]
    assert len(unknown.data) == 0
