"""The lessons keep what they promise: the same text every time, stories that hold together, floors that are exact."""

import math
import re
import string
from collections import Counter
from typing import Any

import numpy as np
import pytest

from minigpt.corpora import LESSONS, TRANSITION, Lesson, make_stories
from minigpt.markov import make_markov, make_transition, markov_log_probability
from minigpt.tokenizer import train_tokenizer

# What a reader knows, written down again here: the tests must not learn it from the code under test.
PRONOUN = dict.fromkeys(("king", "boy"), "he") | dict.fromkeys(("queen", "girl"), "she")
PRONOUN |= dict.fromkeys(("dog", "cat", "bird", "fox", "apple", "ring", "ball", "rose"), "it")
SUBJECT = {"he": "he", "him": "he", "she": "she", "her": "she", "it": "it"}
INTRODUCED = re.compile(r"\b(an?) (\w+) (\w+)(?: named (\w+))?")
STORIES = make_stories().splitlines()
SETTINGS: list[dict[str, Any]] = [
    {},
    {"seed": 1, "pronouns": 1.0, "n_exchanges": 6, "n_stories": 60},
    {"seed": 2, "n_characters": 8, "n_stories": 60},
]


def roles_of(story: str) -> dict[str, str]:
    """Everybody and everything that "a" or "an" introduces: later name -> pronoun."""
    roles = {}
    for _, adjective, noun, name in INTRODUCED.findall(story):
        roles[name or f"the {adjective} {noun}"] = PRONOUN[noun]
    return roles


def check_story(story: str) -> Counter[str]:
    """Read a story sentence by sentence as a person does; fail at what a person could not follow. Counts pronouns."""
    first, *rest = story.removesuffix(" .").split(" . ")
    assert first.startswith("once there was ")
    known = present = roles_of(first)
    used: Counter[str] = Counter()
    for sentence in rest:
        words, here = sentence.split(), roles_of(sentence)
        for i, word in enumerate(words):
            if word in SUBJECT:
                fits = [role for role, pronoun in present.items() if pronoun == SUBJECT[word]]
                assert len(fits) == 1, f"“{word}” in “{sentence}” could mean {fits}"
                assert (word in ("he", "she")) <= (i == 0)
                assert (word in ("him", "her")) <= (i > 0)
                mentioned = fits[0]
                used[word] += 1
            elif word == "the":
                mentioned = " ".join(words[i : i + 3])
            elif word in ("tom", "ben", "mia", "ann"):
                mentioned = word
            else:
                continue
            assert mentioned in known, f"“{mentioned}” comes from nowhere in “{story}”"
            assert mentioned not in here, f"“{mentioned}” acts on itself in “{sentence}”"
            here[mentioned] = known[mentioned]
        known, present = known | here, here
    return used


@pytest.mark.parametrize("make", [make_stories, lambda seed=0: make_markov(TRANSITION, seed=seed)])
def test_a_seed_names_one_text(make: Any) -> None:
    assert make(seed=3) == make(seed=3)
    assert make(seed=3) != make(seed=4)


def test_the_same_seed_gives_the_same_transition() -> None:
    assert (make_transition(seed=3) == make_transition(seed=3)).all()
    assert not np.allclose(make_transition(seed=3), make_transition(seed=4))


@pytest.mark.parametrize("settings", SETTINGS)
def test_stories_can_be_followed(settings: dict[str, Any]) -> None:
    used: Counter[str] = Counter()
    for story in make_stories(**settings).splitlines():
        used += check_story(story)
    assert set(used) == set(SUBJECT), "not every pronoun was put to the test"


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_character_keeps_its_adjective_and_shares_it_with_nobody(settings: dict[str, Any]) -> None:
    for story in make_stories(**settings).splitlines():
        noun_of: dict[str, set[str]] = {}
        adjective_of: dict[str, set[str]] = {}
        for adjective, noun in re.findall(r"\b(?:an?|the) (\w+) (\w+)", story):
            noun_of.setdefault(adjective, set()).add(noun)
            adjective_of.setdefault(noun, set()).add(adjective)
        assert all(len(nouns) == 1 for nouns in noun_of.values()), story
        assert all(len(adjectives) == 1 for adjectives in adjective_of.values()), story


def test_stories_are_written_in_few_words() -> None:
    text = make_stories()
    assert 38 <= len(set(text.split())) <= 60
    assert set(text) == set(string.ascii_lowercase) & set(text) | set(" .\n")
    assert all(re.fullmatch(r"[a-z]+(?: [a-z]+)*(?: \.(?: [a-z]+)*)* \.", story) for story in STORIES)
    assert text.endswith(" .\n")


def test_stories_say_an_before_a_vowel() -> None:
    articles = [
        (article, word[0] in "aeiou") for story in STORIES for article, word in re.findall(r"\b(an?) (\w+)", story)
    ]
    assert ("an", True) in articles
    assert set(articles) == {("an", True), ("a", False)}


def test_a_teacher_can_switch_pronouns_off_and_ask_for_more() -> None:
    plain = make_stories(n_stories=7, n_characters=2, pronouns=0)
    assert len(plain.splitlines()) == 7
    assert not set(plain.split()) & set(SUBJECT)
    assert all(story.split(" . ")[0].count(" and ") == 1 for story in plain.splitlines())
    assert len(make_stories(n_exchanges=5)) > len(make_stories(n_exchanges=1)) * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_stories": 0}, "0 stories are no text to learn from"),
        ({"n_characters": 1}, "2 to 8 characters, not 1"),
        ({"n_characters": 9}, "2 to 8 characters, not 9"),
        ({"n_exchanges": 0}, "1 to 6 exchanges, not 0"),
        ({"n_exchanges": 7}, "1 to 6 exchanges, not 7"),
        ({"pronouns": 1.5}, "between 0 and 1, not at 1.5"),
        ({"pronouns": math.nan}, "between 0 and 1, not at nan"),
        ({"seed": -1}, "a whole number from 0 up, not -1"),
    ],
)
def test_settings_no_story_can_be_told_with_are_refused_in_plain_words(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_stories(**settings)


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
    assert list(LESSONS) == ["stories", "essay", "markov"]
    assert all(lesson.name == name for name, lesson in LESSONS.items())
    assert all(re.fullmatch(r"an? .+\.", lesson.look_for) for lesson in LESSONS.values())


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=list(LESSONS))
def test_every_prompt_is_made_of_what_the_text_holds(lesson: Lesson) -> None:
    tokenizer = train_tokenizer(lesson.tokenizer, lesson.text)
    assert len(lesson.prompts) == 3
    for prompt in lesson.prompts:
        assert prompt
        assert tokenizer.unknown(prompt) == []


def test_only_the_markov_lesson_claims_a_floor_and_it_is_that_of_its_text() -> None:
    assert [name for name, lesson in LESSONS.items() if lesson.floor is not None] == ["markov"]
    lesson = LESSONS["markov"]
    assert lesson.floor == pytest.approx(1.1568, abs=1e-4)
    assert -markov_log_probability(lesson.text, TRANSITION).mean() == pytest.approx(lesson.floor, abs=0.01)
    assert set(lesson.text) == set("abcdef"), "a line end would be a token that the source does not have"


def test_a_text_is_written_once_and_only_when_it_is_read() -> None:
    written = []

    def write() -> str:
        written.append("once")
        return "a text"

    lesson = Lesson("name", "Title", "a thing.", "word", ("a",), None, 1, write)
    assert written == []
    assert lesson.text is lesson.text
    assert written == ["once"]
