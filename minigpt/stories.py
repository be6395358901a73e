"""Short stories about who did what to whom, drawn from a small grammar that a reader can follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool

from minigpt.config import TokenizerKind, check_whole
from minigpt.source import checked_seed, lines, no_targets, setting

_Item = TypeVar("_Item")

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
    1,000 stories, about 230,000 letters, are enough that a small model does not learn them by heart; 400 are not.

    Raises ValueError for settings that no story can be told with.
    """
    check_stories(n_stories, n_characters, n_exchanges, pronouns)
    rng = np.random.default_rng(checked_seed(seed))
    return "\n".join(_story(rng, n_characters, n_exchanges, pronouns) for _ in range(n_stories)) + "\n"


def check_stories(n_stories: int, n_characters: int, n_exchanges: int, pronouns: float) -> None:
    """Raise ValueError for settings that no story can be told with."""
    if n_stories < 1:
        raise ValueError(f"{n_stories} stories are no text to learn from. Ask for at least 1.")
    if not 2 <= n_characters <= len(PRONOUN_OF_NOUN):
        raise ValueError(f"A story needs 2 to {len(PRONOUN_OF_NOUN)} characters, not {n_characters}.")
    if not 1 <= n_exchanges <= len(ANSWERS) + 1:
        raise ValueError(f"A story needs 1 to {len(ANSWERS) + 1} exchanges, not {n_exchanges}.")
    if not 0 <= pronouns <= 1:
        raise ValueError(f"The chance of a pronoun lies between 0 and 1, not at {pronouns}.")


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


@dataclass(frozen=True)
class Stories:
    """`make_stories` with its settings as fields."""

    kind: ClassVar[TokenizerKind] = "word"

    n_stories: int = setting(400, "Stories")
    n_characters: int = setting(3, "Characters, at most")
    n_exchanges: int = setting(2, "Things that happen")
    pronouns: float = setting(0.25, "Chance of he, she, it")
    seed: int = setting(0, "Seed")

    def __post_init__(self) -> None:
        check_whole("n_stories", self.n_stories, 1, 5_000)
        check_stories(self.n_stories, self.n_characters, self.n_exchanges, self.pronouns)
        checked_seed(self.seed)

    def text(self) -> str:
        """The stories, one a line."""
        return make_stories(
            seed=self.seed,
            n_stories=self.n_stories,
            n_characters=self.n_characters,
            n_exchanges=self.n_exchanges,
            pronouns=self.pronouns,
        )

    def log_probability(self, text: str) -> None:
        """Nobody knows: a character can be mentioned in two ways, and a plot is not read off its words."""

    def targets(self, tokens: Sequence[str]) -> Bool[np.ndarray, "query key"]:
        """An adjective that comes again looks back at the beginning: at the characters that the story introduced."""
        targets = no_targets(tokens)
        for start, line in lines(tokens):
            end = line.index(".") if "." in line else len(line)
            characters = [place for place, word in enumerate(line[:end]) if word in PRONOUN_OF_NOUN]
            for query in range(end, len(line)):
                if line[query] in ADJECTIVES and line[query] in line[:end]:
                    targets[start + query, [start + place for place in characters]] = True
        return targets
