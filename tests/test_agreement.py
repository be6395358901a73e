"""Sentences whose verb goes with the first noun: read again by a test that knows English, and counted."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from minigpt.agreement import Agreement
from minigpt.splitting import split_words

# What a reader knows, written down again here: the tests must not learn it from the code under test.
SINGULAR = {"dog", "king", "bird", "cat", "girl", "fox"}
PLURAL = {"dogs", "kings", "birds", "cats", "girls", "foxes"}
ADJECTIVES = {"old", "small", "brave", "grey"}
PREPOSITIONS = {"near", "behind", "beside", "below"}
ONE, MANY = {"runs", "sings", "waits", "sleeps"}, {"run", "sing", "wait", "sleep"}


def test_the_verb_goes_with_the_first_noun_however_many_stand_between() -> None:
    between: Counter[int] = Counter()
    misled = 0
    for line in Agreement(n_lines=2000).text().splitlines():
        *words, verb, stop = line.split()
        assert stop == "."
        nouns = [word for word in words if word in SINGULAR | PLURAL]
        assert verb in (ONE if nouns[0] in SINGULAR else MANY), line
        misled += (nouns[0] in SINGULAR) != (nouns[-1] in SINGULAR)
        between[len(nouns) - 1] += 1
        assert set(words) <= {"the"} | ADJECTIVES | PREPOSITIONS | SINGULAR | PLURAL
        assert words[0] == "the"
        assert words[-1] in SINGULAR | PLURAL
    assert sorted(between) == [0, 1, 2]
    assert misled > 400, "the nearest noun often has the other number"


def test_the_chances_of_all_sentences_add_up_to_one() -> None:
    source = Agreement(nearer=0)
    total = 0.0
    for adjective, noun, verb in itertools.product({"", *ADJECTIVES}, SINGULAR | PLURAL, ONE | MANY):
        total += math.exp(source.log_probability(f"the {adjective} {noun} {verb} .\n").sum())
    assert total == pytest.approx(1)


def test_the_chance_of_a_sentence_is_that_of_its_words() -> None:
    known = np.exp(Agreement(nearer=1).log_probability("the dogs near the old king run .\n"))
    # the; one of 12 nouns where no adjective comes; one of 4 prepositions; the; one of 4 adjectives; a noun;
    # no more nouns may come, so one of 4 plural verbs; the full stop; the end.
    assert known == pytest.approx([1, 0.6 / 12, 0.6 / 4, 1, 0.4 / 4, 1 / 12, 1 / 4, 1, 1])
    assert Agreement().log_probability("the dogs near the king runs .\n")[5] == -math.inf


def test_a_word_comes_as_often_as_its_chance_says() -> None:
    lines = Agreement(n_lines=5000).text().splitlines()
    after_the_subject = Counter(line.split()[2] for line in lines if line.split()[1] in SINGULAR)
    total = after_the_subject.total()
    for word in PREPOSITIONS:
        assert abs(after_the_subject[word] - total * 0.6 / 4) < 5 * math.sqrt(total * 0.15)
    for word in ONE:
        assert abs(after_the_subject[word] - total * 0.4 / 4) < 5 * math.sqrt(total * 0.1)
    assert not set(after_the_subject) & MANY


def test_the_last_noun_points_at_the_subject_over_all_between() -> None:
    def pointed(text: str) -> set[tuple[str, str]]:
        tokens = split_words(text)
        targets = Agreement().targets(tokens)
        return {(tokens[query], tokens[key]) for query, key in zip(*targets.nonzero(), strict=True)}

    assert pointed("the dogs near the old king run .\n") == {("king", "dogs")}
    assert pointed("the dogs near the king beside the cat run .\nthe fox below the girls waits .") == {
        ("cat", "dogs"), ("girls", "fox"),
    }  # fmt: skip
    assert pointed("the dogs near the old king") == {("king", "dogs")}, "a prompt ends before its verb"
    assert pointed("the dogs run .\n") == set(), "no look back is needed"


def test_settings_that_no_sentence_can_have_are_refused() -> None:
    with pytest.raises(ValueError, match="nearer must be a whole number from 0 to 6, not 7"):
        Agreement(nearer=7)
