"""Built-in lessons: a text to train on, what to look for in it, and the best loss possible where that is known.

Stories and letters are drawn by small generators: pure functions of a seed and a few settings, so that a teacher can
change one thing and everybody in the room sees the same text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from minigpt.config import TokenizerKind
from minigpt.markov import checked_seed, entropy_rate, make_markov, make_transition
from minigpt.paths import asset

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Lesson:
    """A text and what it teaches.

    name: a slug for links and files; title: what the lesson picker says.
    look_for: what to look for, so that it reads well after the words "Look for".
    tokenizer: how the text is split. prompts: examples to click; the text contains every token of them.
    floor: the entropy rate of the source in nats a token where it is known exactly, else None.
    steps: how many training steps are worth waiting for.
    make_text: writes the text; called once, when `text` is first read.
    """

    name: str
    title: str
    look_for: str
    tokenizer: TokenizerKind
    prompts: tuple[str, ...]
    floor: float | None
    steps: int
    make_text: Callable[[], str]

    @cached_property
    def text(self) -> str:
        """The text to train on."""
        return self.make_text()


# --- Stories: who did what ---

PRONOUN_OF_NOUN = {"king": "he", "queen": "she", "boy": "he", "girl": "she"} | dict.fromkeys(
    ("dog", "cat", "bird", "fox"), "it"
)
OBJECT_PRONOUN = {"he": "him", "she": "her", "it": "it"}
NAMES = {"boy": ("tom", "ben"), "girl": ("mia", "ann")}
ADJECTIVES = ("old", "young", "small", "brave", "kind", "sad", "wise", "grey")
COLOURS = ("red", "blue", "golden", "silver")
THINGS = ("apple", "ring", "ball", "rose")
# What one does, and what the other may do in answer: so that a story has a reason to go on.
ANSWERS = {
    "saw": ("called", "chased"),
    "called": ("saw", "followed"),
    "fed": ("thanked", "loved"),
    "helped": ("thanked", "loved"),
    "chased": ("feared", "helped"),
}
GIFT = "gave"


@dataclass(frozen=True)
class _Role:
    """Somebody or something in a story: `introduced` at the first mention, `known_as` at every later one."""

    introduced: str
    known_as: str
    pronoun: str


@dataclass(frozen=True)
class _Deed:
    """Who did what, to whom or with what; in which words is decided later."""

    subject: _Role
    verb: str
    objects: tuple[_Role, ...]


def make_stories(
    *, seed: int = 0, n_stories: int = 400, n_characters: int = 3, n_exchanges: int = 2, pronouns: float = 0.25
) -> str:
    """Short stories, one a line, in lower case, with spaces around full stops.

    Every character keeps its adjective or its name for the whole story and no two share one, so "the small" can only go
    on in one way: to know how, look back. A pronoun stands only for someone in the sentence before who is the only one
    there it fits; `pronouns` is the chance that it is used then. A story has 2 to `n_characters` characters and
    `n_exchanges` exchanges, in which one does something and the other answers. The same settings give the same text.
    400 stories, about 92,000 letters, are enough that a small model cannot learn them by heart at once; 80 are not.

    Raises ValueError for settings that no story can be told with.
    """
    if n_stories < 1:
        raise ValueError(f"{n_stories} stories are no text to learn from. Ask for at least 1.")
    if not 2 <= n_characters <= len(PRONOUN_OF_NOUN):
        raise ValueError(f"A story needs 2 to {len(PRONOUN_OF_NOUN)} characters, not {n_characters}.")
    if not 1 <= n_exchanges <= len(ANSWERS) + 1:
        raise ValueError(f"A story needs 1 to {len(ANSWERS) + 1} exchanges, not {n_exchanges}.")
    if not 0 <= pronouns <= 1:
        raise ValueError(f"The chance of a pronoun lies between 0 and 1, not at {pronouns}.")
    rng = np.random.default_rng(checked_seed(seed))
    return "\n".join(_story(rng, n_characters, n_exchanges, pronouns) for _ in range(n_stories)) + "\n"


def _story(rng: np.random.Generator, n_characters: int, n_exchanges: int, pronouns: float) -> str:
    cast = _cast(rng, int(rng.integers(2, n_characters, endpoint=True)))
    sentences = ["once there was " + " and ".join(role.introduced for role in cast)]
    met, present = set(cast), tuple(cast)
    for deed in _plot(rng, cast, n_exchanges):
        words = [_mention(rng, deed.subject, met, present, pronouns), deed.verb]
        for role in deed.objects:
            mention = _mention(rng, role, met, present, pronouns)
            words.append(OBJECT_PRONOUN.get(mention, mention))
        sentences.append(" ".join(words))
        present = (deed.subject, *deed.objects)
        met.update(present)
    one, other = _draw(rng, cast, 2)
    sentences.append(f"{one.known_as} and {other.known_as} went home")
    return " . ".join(sentences) + " ."


def _cast(rng: np.random.Generator, n_characters: int) -> list[_Role]:
    cast = []
    nouns = _draw(rng, tuple(PRONOUN_OF_NOUN), n_characters)
    for adjective, noun in zip(_draw(rng, ADJECTIVES, n_characters), nouns, strict=True):
        introduced = f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective} {noun}"
        known_as = f"the {adjective} {noun}"
        if noun in NAMES:
            known_as = _draw(rng, NAMES[noun], 1)[0]
            introduced += f" named {known_as}"
        cast.append(_Role(introduced, known_as, PRONOUN_OF_NOUN[noun]))
    return cast


def _plot(rng: np.random.Generator, cast: list[_Role], n_exchanges: int) -> list[_Deed]:
    plot = []
    for verb in _draw(rng, (*ANSWERS, GIFT), n_exchanges):
        one, other = _draw(rng, cast, 2)
        if verb == GIFT:
            words = f"{_draw(rng, COLOURS, 1)[0]} {_draw(rng, THINGS, 1)[0]}"
            thing = _Role(f"a {words}", f"the {words}", "it")
            plot += [_Deed(one, GIFT, (other, thing)), _Deed(other, "hid", (thing,)), _Deed(one, "found", (thing,))]
        else:
            plot += [_Deed(one, verb, (other,)), _Deed(other, _draw(rng, ANSWERS[verb], 1)[0], (one,))]
    return plot


def _mention(
    rng: np.random.Generator, role: _Role, met: set[_Role], present: tuple[_Role, ...], pronouns: float
) -> str:
    if role not in met:
        return role.introduced
    only_one_it_fits = [other for other in present if other.pronoun == role.pronoun] == [role]
    return role.pronoun if only_one_it_fits and rng.random() < pronouns else role.known_as


def _draw(rng: np.random.Generator, items: Sequence[_Item], n: int) -> list[_Item]:
    """`n` different items in random order."""
    return [items[i] for i in rng.permutation(len(items))[:n]]


# --- The lessons ---


def essay() -> str:
    """An essay on predicting words, from Markov chains to transformers; one paragraph a line."""
    return asset("essay.txt").read_text(encoding="utf-8")


# This seed sets the lines on the loss plot well apart: letter counts (unigram) 1.57, floor 1.16.
TRANSITION = make_transition(seed=5)


def _markov_lesson_text() -> str:
    return make_markov(TRANSITION)


LESSONS: dict[str, Lesson] = {
    lesson.name: lesson
    for lesson in (
        Lesson(
            name="stories",
            title="Stories: who did what",
            look_for="a head that looks back at who is in this story. The model copies one, not always the right one.",
            tokenizer="word",
            prompts=(
                "once there was an old king and a small dog . the small",
                "once there was a wise queen and a young boy named tom . she called him .",
                "once there was a grey cat and a sad fox . the sad fox fed the grey cat . it thanked the sad",
            ),
            floor=None,
            steps=400,
            make_text=make_stories,
        ),
        Lesson(
            name="essay",
            title="Essay: from Markov to transformers",
            look_for="a validation loss that turns up while the other still falls: the text is learned by heart.",
            tokenizer="word",
            prompts=("Look at what came", "The loss goes", "After a vowel, the next letter"),
            floor=None,
            steps=200,
            make_text=essay,
        ),
        Lesson(
            name="markov",
            title="Markov: six letters",
            look_for="a loss that stops at the best possible: only the last letter helps, whatever the heads look at.",
            tokenizer="character",
            prompts=("a", "face", "deadbeef"),
            floor=entropy_rate(TRANSITION),
            steps=500,
            make_text=_markov_lesson_text,
        ),
    )
}
