"""Stories that a reader can follow: who is who, whom a pronoun means, and what is refused."""

import math
import re
import string
from collections import Counter
from typing import Any

import pytest

from minigpt.splitting import split_words
from minigpt.stories import Stories, make_stories

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


def test_a_shared_server_is_never_asked_for_a_library() -> None:
    with pytest.raises(ValueError, match="n_stories must be a whole number from 1 to 5,000, not 5001"):
        Stories(n_stories=5001)


def test_a_seed_names_one_text() -> None:
    assert make_stories(seed=3) == make_stories(seed=3) == Stories(seed=3).text()
    assert make_stories(seed=3) != make_stories(seed=4)


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


def test_an_adjective_that_comes_again_points_at_the_characters_of_its_story() -> None:
    text = "there was a small dog and an old king . the small dog saw the grey king\nthere was a fox . the small"
    tokens = split_words(text)
    targets = Stories().targets(tokens)
    pairs = {(tokens[query], tokens[key], key) for query, key in zip(*targets.nonzero(), strict=True)}
    assert pairs == {("small", "dog", 4), ("small", "king", 8)}, "of this story, and only of an adjective it knows"
