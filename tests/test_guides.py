"""Every lesson has a path: short steps at live elements, a prediction before each reveal, one thing to break."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from test_words import AT_240, attributes, said, texts

from minigpt.breaks import BREAKS
from minigpt.corpora import LESSONS
from minigpt.promises import Finding
from minigpt.runs import RunSettings
from minigpt.ui import lesson_words
from minigpt.ui.guides import GUIDES, Place, placed

STEPS = [pytest.param(step, id=f"{name}-{i + 1}") for name, steps in GUIDES.items() for i, step in enumerate(steps)]
BREAKING = {"train mask", "train positions", "train layer"}
FOUND = Finding(240, True, share=0.893, chance=0.08, layer=1, head=2, gap=0.05, accuracy=0.9912)
ECHO = replace(AT_240, settings=RunSettings("character", lesson="echo"), status="finished", finding=FOUND, found_at=120)


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+(?=[A-Z“])", text)


@pytest.mark.parametrize("name", LESSONS)
def test_a_path_has_five_to_eight_steps_a_prediction_and_a_thing_to_break(name):
    steps = GUIDES[name]
    assert 5 <= len(steps) <= 8
    assert any(step.question for step in steps)
    if name == "debugging":
        assert [step.does for step in steps if step.does] == [
            "train softmax", "train scaling", "train positions", "train chunks", "train vocabulary",
        ]  # fmt: skip
        return
    assert [step.does for step in steps if step.does == "train"] == ["train"]
    assert len([step for step in steps if step.does in BREAKING]) == 1
    # Whoever breaks a thing has said before what will come of it.
    assert all(step.question for step in steps if step.does in BREAKING)
    # Where a pattern is promised it is shown, and after a prediction of where it will be.
    if LESSONS[name].promise.share is not None:
        place = [step.does for step in steps].index("show")
        assert any(step.question for step in steps[:place])


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_short_and_every_question_can_be_answered(step):
    assert 1 <= len(sentences(step.says)) <= 3
    assert len(step.says) <= 260
    assert bool(step.does) == bool(step.label)
    assert step.tells in ("", "finding", "losses", "accuracy")
    verb, *names = step.does.split() or [""]
    assert verb in ("", "train", "show")
    assert set(names) <= BREAKS.keys()
    if step.question:
        assert 2 <= len(step.question.options) <= 5
        assert 0 <= step.question.right < len(step.question.options)
        assert step.question.asks.endswith("?")
        assert len(set(step.question.options)) == len(step.question.options)


def test_no_path_gives_its_answers_away_by_their_place():
    right = {name: [step.question.right for step in steps if step.question] for name, steps in GUIDES.items()}
    assert all(len(set(places)) > 1 for places in right.values()), right
    assert right["debugging"] != sorted(right["debugging"])
    every = [place for places in right.values() for place in places]
    assert max(every.count(place) for place in set(every)) <= len(every) / 2, "no place is right more often than not"


@pytest.mark.parametrize(
    "value",
    [None, [], "echo", {"lesson": "echo"}, ["echo", 99, None], ["echo", -1, None], ["echo", 1.0, None],
     ["echo", True, None], ["no such lesson", 0, None], [["echo"], 0, None], ["echo", "1", None]],
)  # fmt: skip
def test_what_is_no_place_leads_nowhere(value):
    assert placed(json.dumps(value)) == Place()


@pytest.mark.parametrize("value", [None, "", "U2Fsd:GVkX1+", "[" * 99_999])
def test_what_is_no_json_leads_nowhere(value):
    assert placed(value) == Place()


def test_a_place_is_found_again_and_an_answer_only_to_a_question():
    assert placed(Place("echo", 1, 2).kept()) == Place("echo", 1, 2)
    assert placed('["echo", 1, 9]') == placed('["echo", 1, true]') == Place("echo", 1)
    assert placed('["echo", 0, 1]') == Place("echo", 0), "the first step asks nothing"


def buttons(nodes: list[Any]) -> list[str]:
    return attributes(nodes, "data-index")


def test_the_card_asks_before_it_reveals():
    [card] = lesson_words.guide(Place("echo", 1), None)
    question = GUIDES["echo"][1].question
    assert question is not None
    assert question.reveal not in texts(card)
    assert buttons([card]) == ["0", "10", "11", "12", "1", "2"]
    [card] = lesson_words.guide(Place("echo", 1, 0), None)
    assert question.reveal in texts(card)
    assert "Not quite. " in texts(card)
    [card] = lesson_words.guide(Place("echo", 1, question.right), None)
    assert "As you said. " in texts(card)


def test_what_breaks_can_be_pressed_only_after_the_prediction_but_a_case_before_it():
    place = [step.does for step in GUIDES["echo"]].index("train mask")
    assert str(lesson_words.DO) not in buttons(lesson_words.guide(Place("echo", place), None))
    assert str(lesson_words.DO) in buttons(lesson_words.guide(Place("echo", place, 0), None))
    assert str(lesson_words.DO) in buttons(lesson_words.guide(Place("debugging", 1), None))


def test_the_card_says_where_it_is_and_what_it_speaks_of():
    [card] = lesson_words.guide(Place("echo", 0), None)
    assert card[1]["data-at"] == "#text"
    assert "Echo, step 1 of 8" in texts(card)
    assert attributes([card], "disabled") == [""], "there is no way back from the first step"
    [card] = lesson_words.guide(Place("echo", 7), None)
    assert "Done" in texts(card)
    assert lesson_words.guide(Place(), None) == []


def test_a_step_that_needs_a_number_waits_for_it():
    place = Place("echo", 7)
    assert "the number comes with a run" in said(lesson_words.guide(place, None))
    training = replace(ECHO, status="training")
    assert "Training, step 240 of 400: the number comes at the end." in said(lesson_words.guide(place, training))
    assert "99% of what stands after the bar" in said(lesson_words.guide(place, ECHO))
    assert "Layer 2 head 3 puts 89% of its attention" in said(lesson_words.guide(Place("echo", 4), ECHO))


def test_the_offer_says_where_one_left_off():
    assert said(lesson_words.guide_offer(Place(), "echo")) == "Guide me"
    assert said(lesson_words.guide_offer(Place("echo", 3), "echo")) == "Guide, step 4 of 8"
    assert said(lesson_words.guide_offer(Place("echo", 3), "reverse")) == "Guide me"
    assert lesson_words.guide_offer(Place(), "own") == []


# ---- the promise on the page ----


def test_a_promise_that_is_kept_says_since_when_by_whom_and_how_sure():
    told = said(lesson_words.lesson_notes(ECHO))
    assert told.startswith("Best possible 1.05. Before the bar the letters are random; after it all are certain.")
    assert told.endswith(
        "✓There since step 120. Layer 2 head 3 puts 89% of its attention on the letter after the earlier copy, "
        "11 × chance. Show me"
    )


def test_a_promise_that_is_not_kept_says_how_far_it_is():
    weak = replace(FOUND, kept=False, share=0.2)
    for status, words in (("training", "○Not there yet. "), ("finished", "○Not there. ")):
        told = said(lesson_words.lesson_notes(replace(ECHO, status=status, finding=weak, found_at=None)))
        assert f"{words}Layer 2 head 3 puts 20% of its attention" in told
        assert "2.5 × chance. Promised: 50%." in told


def test_a_run_with_something_broken_says_why_in_one_sentence_and_what_it_writes():
    settings = replace(ECHO.settings, breaks=("mask",))
    told = said(lesson_words.lesson_notes(replace(ECHO, settings=settings)))
    assert f"No causal mask. {BREAKS['mask'].why}" in told
    assert "From a prefix it writes 99% of what stands after the bar right." in told


def test_a_case_of_the_debugging_lesson_keeps_its_secret():
    settings = RunSettings("character", lesson="debugging", breaks=("softmax",))
    told = said(lesson_words.lesson_notes(replace(ECHO, settings=settings)))
    assert told == "Best possible 1.05. Before the bar the letters are random; after it all are certain."


def test_losses_are_promised_in_words_too():
    for lesson, finding, words in (
        ("markov", Finding(9, True, gap=0.012), "Validation is 0.01 above the best possible."),
        ("markov", Finding(9, True, gap=-0.02), "Validation is 0.02 below the best possible."),
        ("essay", Finding(9, True, turn=0.4), "Validation has turned up by 0.40 from its best."),
    ):
        assert lesson_words.measured(finding, LESSONS[lesson]) == words


def test_ones_own_text_has_no_promise():
    assert lesson_words.lesson_notes(replace(ECHO, settings=RunSettings(lesson="own"))) == []
