"""What the page says of a head, against the scores and losses measured here by themselves."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from minigpt import GPTConfig, TrainingConfig, begin
from minigpt.api import attention_of_ids
from minigpt.diagnosis import Diagnosis, diagnose, loss_without
from minigpt.heads import HeadScores, Measures, in_words
from minigpt.training import advance
from minigpt.ui import head_words
from minigpt.ui.explorer import Exploration, Explorer, Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.heads_tab import HeadsTab

TEXT = "the old king saw the young dog . the dog ran off and the king sat down . " * 6
CHANCE = {
    name: 0.1 for name in ("previous", "current", "first", "duplicate", "induction", "sink", "entropy", "distance")
}


def made(**changes: float) -> HeadScores:
    zeros = dict.fromkeys(CHANCE, 0.0)
    return HeadScores(**{**zeros, "entropy": 0.5, **changes}, chance=Measures(**CHANCE))


def exploration(run: str = "run", kind: Any = "word", **shape: Any) -> Exploration:
    config = GPTConfig(n_ctx=16, d_model=16, n_heads=2, n_layers=2, init_std=0.3, **shape)
    state = begin(TEXT, kind, config, TrainingConfig(steps=1, batch_size=2))
    ids = tuple(int(index) for index in state.ids[:8])
    names = tuple(state.tokenizer.token(index) for index in ids)
    return Exploration(run, state, names, (), (), attention_of_ids(state, list(ids)), ids)


def explorer() -> Explorer:
    return Explorer(None)  # type: ignore[arg-type]  # no run is asked for


def text(node: Any) -> str:
    """The words of an element."""
    return node if isinstance(node, str) else "".join(text(child) for child in node[2:])


def said(nodes: Any) -> str:
    return " ".join(text(node) for node in nodes)


@pytest.mark.parametrize(
    ("scored", "word"),
    [
        (made(previous=0.9), "previous"),
        (made(current=0.9), "itself"),
        (made(first=0.9), "first"),
        (made(duplicate=0.9), "same word"),
        (made(induction=0.9, previous=0.5), "copies"),
        (made(previous=0.3), "unclear"),  # only partly
        (made(), "unclear"),
        (made(previous=0.9, entropy=0.95), "even"),
        (made(duplicate=math.nan), "unclear"),
    ],
)
def test_a_role_is_one_or_two_words_and_unclear_where_none_holds(scored, word):
    shown = exploration()
    assert head_words.role(scored, shown.state.tokenizer) == word
    assert head_words.roles(Diagnosis(((scored,),), "random tokens", ()), shown.state.tokenizer) == [[word]]


def test_letters_are_no_words():
    assert head_words.role(made(duplicate=0.9), exploration(kind="character").state.tokenizer) == "same token"


def test_the_caption_finds_one_thing_after_the_other_and_says_what_was_measured():
    shown, asked, chosen = exploration(), explorer(), Selection(layer=1, head=1)
    assert said(head_words.caption(asked, shown, chosen)) == head_words.READING
    assert head_words.measure(asked, shown, chosen)
    assert head_words.MEASURING in said(head_words.caption(asked, shown, chosen))
    assert head_words.measure(asked, shown, chosen)
    assert not head_words.measure(asked, shown, chosen)
    caption = said(head_words.caption(asked, shown, chosen))
    cost = loss_without(shown.state, [(1, 1)]) - loss_without(shown.state)
    assert f"Without it the validation loss {head_words.change(cost)}." in caption
    scored = diagnose(shown.state).scores[1][1]
    found = in_words(scored)
    for name in found.roles:
        assert f"{getattr(scored, name):.0%}" in caption
    if not found.roles and scored.entropy < 0.9:
        assert caption.startswith("No clear role.")
    assert "Scored on random tokens" in caption


@pytest.mark.parametrize(
    ("scored", "begins"),
    [
        (made(induction=0.71), "Copies. 71% of its attention goes to what came after the same token earlier, 7 × "),
        (made(previous=0.32), "No clear role. Only 32% of its attention goes to the previous token, 3 × chance."),
        (made(), "No clear role. None of the patterns looked for takes enough of its attention."),
        (made(entropy=0.95), "Spread evenly. Its attention is 95% as even as it could be, so it does not choose."),
        (made(first=0.6, previous=0.45), "First and previous. 60% of its attention goes to the first token, 6 × "
         "chance; 45% to the previous token, 4 × chance."),
    ],
)  # fmt: skip
def test_the_caption_names_the_role_its_share_and_chance(scored, begins):
    shown, asked = exploration(), explorer()
    asked._once(shown, "diagnosis", lambda: Diagnosis(((scored,),), "a line held out", ()))
    assert said(head_words.caption(asked, shown, Selection())).startswith(begins)
    assert "Scored on a line held out." in said(head_words.caption(asked, shown, Selection()))


def test_another_step_of_the_run_is_measured_anew():
    shown, asked = exploration(), explorer()
    later = replace(shown, state=advance(shown.state, 1))
    found = [asked.loss_without(each, ((0, 1),)) for each in (shown, later)]
    assert found == [loss_without(each.state, [(0, 1)]) for each in (shown, later)]
    assert found[0] != found[1]


def test_costs_are_said_as_they_are():
    changes = {
        0.312: "rises by 0.31 nats",
        -0.02: "falls by 0.02 nats",
        0.0041: "rises by 0.004 nats",
        0: "does not change",
    }
    assert {cost: head_words.change(cost) for cost in changes} == changes


def test_without_a_mask_there_are_no_roles_but_a_cost():
    shown, asked = exploration(causal=False), explorer()
    while head_words.measure(asked, shown, Selection()):
        pass
    caption = said(head_words.caption(asked, shown, Selection()))
    assert caption.startswith(f"Not scored. {head_words.NO_MASK} Without it the validation loss ")


def test_the_film_says_that_it_holds_no_model_and_measures_nothing():
    shown, asked = replace(exploration(), film_step=3), explorer()
    assert not head_words.measure(asked, shown, Selection())
    assert "Press Generate" in said(head_words.caption(asked, shown, Selection()))


class Tabbed:
    """The tab of an explorer that knows one exploration."""

    def __init__(self, shown: Exploration) -> None:
        self.exploring = Exploring.__new__(Exploring)
        self.exploring.explorer = self.explorer = explorer()
        self.selection = self.explorer.keep(shown, Selection())
        self.tab, self.shown = HeadsTab(self.exploring), shown

    def table(self) -> list[list[Any]]:
        """The cells of the table, row by row: their attributes and their text."""
        *_, [scroll] = self.tab.show(self.shown, self.selection)
        body = next(part for part in scroll[2][2:] if part[0] == "tbody")
        return [[(cell[1], text(cell)) for cell in row[2:]] for row in body[2:]]


def test_the_table_holds_every_score_with_its_chance_and_every_cost():
    tabbed = Tabbed(exploration())
    assert {row[-1][1] for row in tabbed.table()} == {"not measured"}
    assert isinstance(tabbed.tab.measure(tabbed.selection, ("", 0)), str)
    rows, whole = tabbed.table(), loss_without(tabbed.shown.state)
    for row, (layer, head) in zip(rows, np.ndindex(2, 2), strict=True):
        scored = diagnose(tabbed.shown.state).scores[layer][head]
        assert row[0][1] == f"{layer + 1}.{head + 1}"
        for (attributes, words), name in zip(
            row[2:7], ("previous", "current", "first", "duplicate", "induction"), strict=True
        ):
            assert words == f"{getattr(scored, name):.0%} {getattr(scored.chance, name):.0%}"
            assert float(attributes["data-value"]) == pytest.approx(getattr(scored, name), abs=1e-6)
        assert float(row[7][0]["data-value"]) == pytest.approx(scored.entropy, abs=1e-6)
        cost = loss_without(tabbed.shown.state, [(layer, head)]) - whole
        assert float(row[8][0]["data-value"]) == pytest.approx(cost, abs=1e-6)


def test_where_muting_takes_long_the_table_waits_to_be_asked(monkeypatch):
    tabbed = Tabbed(exploration())
    monkeypatch.setattr("minigpt.ui.heads_tab.PATIENCE", 0)
    assert not tabbed.tab.show(tabbed.shown, tabbed.selection)[1]["visible"]  # before it is known how long it takes
    assert isinstance(tabbed.tab.measure(tabbed.selection, ("", 0)), str)
    button = tabbed.tab.show(tabbed.shown, tabbed.selection)[1]
    assert button["visible"]
    assert button["value"].startswith("Measure what muting each head costs")
    assert {row[-1][1] for row in tabbed.table()} == {"not measured"}
    # Now asked: one head after the other, each call a moment, until nothing is left.
    asked = tabbed.tab.ask(tabbed.selection)
    for _ in range(4):
        assert isinstance(tabbed.tab.measure(tabbed.selection, asked), str)
    assert not isinstance(tabbed.tab.measure(tabbed.selection, asked), str)
    assert "not measured" not in json.dumps(tabbed.table())
    assert not tabbed.tab.show(tabbed.shown, tabbed.selection)[1]["visible"]
