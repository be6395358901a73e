"""The lessons: one text for each settings, prompts made of it, floors of their own tokens, and nothing impossible."""

import re
import string
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

from minigpt.corpora import LESSONS, Lesson, drawn
from minigpt.data import counted, held_out, line_end
from minigpt.lines import Echo
from minigpt.markov import Markov, entropy_rate, make_markov, make_transition
from minigpt.source import Source
from minigpt.tokenizer import train_tokenizer
from minigpt.training import begin

EVERY = pytest.mark.parametrize("lesson", LESSONS.values(), ids=list(LESSONS))
WITH_FLOOR = ["echo", "reverse", "agreement", "brackets", "markov", "markov2", "debugging"]


def test_a_seed_names_one_text_and_one_table() -> None:
    transition = make_transition(seed=3)
    assert (transition == make_transition(seed=3)).all()
    assert not np.allclose(transition, make_transition(seed=4))
    assert make_markov(transition, seed=3) == make_markov(transition, seed=3)
    assert make_markov(transition, seed=3) != make_markov(transition, seed=4)


def test_essay_is_as_long_as_promised_and_plain_to_print() -> None:
    essay = LESSONS["essay"].text
    assert 3000 <= len(re.findall(r"\w+", essay)) <= 3700
    assert set(essay) <= set(string.ascii_letters + string.digits + " .,:?-\n")
    assert not re.search(r" \n|  |\n\n\n|\t", essay)
    # A small vocabulary, used again and again: what a small model can learn to write.
    words = Counter(re.findall(r"\w+", essay.lower()))
    assert len(words) < 600
    assert essay.count("Look at what came before. Predict what comes next.") >= 4


def test_lessons_stand_under_their_own_names_with_the_default_first() -> None:
    assert [*LESSONS] == [
        "stories", "echo", "reverse", "agreement", "brackets", "markov", "markov2", "essay", "debugging"
    ]  # fmt: skip
    assert all(lesson.name == name for name, lesson in LESSONS.items())
    assert all(re.fullmatch(r"an? .+\.", lesson.look_for) for lesson in LESSONS.values())
    assert len({lesson.title for lesson in LESSONS.values()}) == len(LESSONS)


@EVERY
def test_every_prompt_is_made_of_what_the_text_holds(lesson: Lesson) -> None:
    tokenizer = train_tokenizer(lesson.tokenizer, lesson.text)
    assert len(lesson.prompts) == 3
    for prompt in lesson.prompts:
        assert prompt
        assert tokenizer.unknown(prompt) == []
        assert len(tokenizer.encode(prompt)) <= lesson.config.n_ctx


@EVERY
def test_the_first_prompt_ends_where_the_pattern_can_be_seen(lesson: Lesson) -> None:
    tokenizer = train_tokenizer(lesson.tokenizer, lesson.text)
    targets = lesson.source.targets([tokenizer.token(index) for index in tokenizer.encode(lesson.prompts[0])])
    assert (targets is not None) == (lesson.promise.share is not None)
    assert targets is None or targets.any()
    # All but the Markov source, where one letter has none before it, end in the middle of their pattern.
    assert targets is None or targets[-1].any()


@EVERY
def test_a_source_draws_one_text_and_another_with_another_seed(lesson: Lesson) -> None:
    source = lesson.source
    assert source.text() == source.text() == lesson.text == drawn(source).text
    if any(known.name == "seed" for known in fields(source)):
        assert replace(source, seed=7).text() != source.text()
        assert hash(replace(source, seed=7)) == hash(replace(source, seed=7))


@EVERY
def test_the_surprise_of_every_token_is_known_or_of_none(lesson: Lesson) -> None:
    tokenizer = train_tokenizer(lesson.tokenizer, lesson.text)
    known = lesson.source.log_probability(lesson.text)
    assert (known is not None) == (lesson.name in WITH_FLOOR) == bool(lesson.floor_from)
    if known is not None:
        assert known.shape == (len(tokenizer.encode(lesson.text)),)
        assert np.isfinite(known).all(), "its own text is never impossible"
        assert (known <= 0).all()


@EVERY
def test_the_floor_is_the_sources_own_loss_on_the_tokens_of_the_validation_loss(lesson: Lesson) -> None:
    text, known = drawn(lesson.source)
    state = begin(text, lesson.tokenizer, lesson.config, lesson.training, log_probability=known)
    floor = state.history.references.floor
    if known is None:
        assert floor is None
        return
    newline = line_end(state.tokenizer, state.training)
    places = held_out(state.ids, state.config.n_ctx, state.training, newline)[:, 1:]
    counts = counted(state.ids[places], state.training.windows, newline)
    surprises = [-known[place] for row, kept in zip(places, counts, strict=True) for place in row[kept].tolist()]
    assert floor == pytest.approx(np.mean(surprises))
    # Between nothing and what pairs of tokens reach, except where nothing but pairs is to be known.
    assert 0 < floor < state.history.references.bigram + (0.05 if lesson.name == "markov" else 0)
    # Over the whole text it is the same to within the luck of the draw.
    assert floor == pytest.approx(-known[newline is not None :].mean(), abs=0.25)


def test_the_markov_floors_are_entropy_rates_to_within_the_luck_of_the_draw() -> None:
    for order, name in ((1, "markov"), (2, "markov2")):
        source = LESSONS[name].source
        assert isinstance(source, Markov)
        assert source.order == order
        known = drawn(source).log_probability
        assert known is not None
        assert -known.mean() == pytest.approx(entropy_rate(source.transition), abs=0.01)
        assert set(LESSONS[name].text) == set("abcdef"), "a line end would be a token that the source does not have"


def test_the_first_letters_of_a_markov_text_have_the_chance_they_have_anywhere() -> None:
    for order in (1, 2):
        source = Markov(order=order, letters="ab", n_letters=100)
        chances = [np.exp(source.log_probability(a + b).sum()) for a in "ab" for b in "ab"]
        assert sum(chances) == pytest.approx(1), "of two letters one pair comes"


def test_a_lesson_takes_other_settings_and_names_what_it_does_not_have() -> None:
    lesson = LESSONS["echo"].changed({"letters": "abcdef", "longest": 5, "shortest": 2})
    assert lesson.source == Echo(letters="abcdef", longest=5, shortest=2)
    assert set(lesson.text) == set("abcdef|\n")
    assert max(map(len, lesson.text.splitlines())) == 11
    assert LESSONS["echo"].changed({}) is LESSONS["echo"]
    with pytest.raises(ValueError, match="This lesson has no setting depth; it has letters, longest"):
        LESSONS["echo"].changed({"depth": 3})
    with pytest.raises(ValueError, match="This lesson has no setting seed; it has none"):
        LESSONS["essay"].changed({"seed": 3})
    with pytest.raises(ValueError, match="longest must be a whole number from 4 to 20, not 21"):
        LESSONS["echo"].changed({"longest": 21})


def test_a_text_is_drawn_once_and_only_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Echo(n_lines=21)
    drawn_before = []
    whole = Echo.text
    monkeypatch.setattr(Echo, "text", lambda self: drawn_before.append(self) or whole(self))
    lesson = replace(LESSONS["echo"], source=source)
    assert drawn_before == []
    assert lesson.text is lesson.text
    assert drawn(source).text is drawn(Echo(n_lines=21)).text
    assert drawn_before == [source]


@EVERY
def test_every_source_is_one(lesson: Lesson) -> None:
    assert isinstance(lesson.source, Source)
    assert all(known.metadata["label"] for known in fields(lesson.source))
