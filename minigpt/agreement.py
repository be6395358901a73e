"""Sentences in which the verb agrees with a noun far back: `the dogs near the old king run .`"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from minigpt.config import TokenizerKind, check_whole
from minigpt.source import NEWLINE, draw, lines, no_targets, setting
from minigpt.splitting import split_words

# Singular first, plural second: a noun of one column takes the verb of the same column.
NOUNS = (("dog", "dogs"), ("king", "kings"), ("bird", "birds"), ("cat", "cats"), ("girl", "girls"), ("fox", "foxes"))
VERBS = (("runs", "run"), ("sings", "sing"), ("waits", "wait"), ("sleeps", "sleep"))
PREPOSITIONS = ("near", "behind", "beside", "below")
ADJECTIVES = ("old", "small", "brave", "grey")
MORE = 0.6  # The chance that a noun is followed by another one, as long as there may be more.
ADJECTIVE = 0.4

_NUMBER = {noun: number for pair in NOUNS for number, noun in enumerate(pair)}
_SINGULAR_AND_PLURAL = tuple(zip(*VERBS, strict=True))
_ALL_NOUNS = tuple(_NUMBER)


@dataclass(frozen=True)
class Agreement:
    """One sentence a line: a subject, up to `nearer` other nouns between it and its verb, and the verb."""

    kind: ClassVar[TokenizerKind] = "word"

    nearer: int = setting(2, "Nouns in between, at most")
    n_lines: int = setting(4000, "Sentences")
    seed: int = setting(0, "Seed")

    def __post_init__(self) -> None:
        check_whole("nearer", self.nearer, 0, 6)
        check_whole("n_lines", self.n_lines, 20, 20_000)
        check_whole("seed", self.seed, 0, 2**31 - 1)

    def chances(self, line: Sequence[str]) -> dict[str, float]:
        """Chance of each next token after the beginning of a sentence; empty where no sentence begins like that."""
        if not line:
            return {"the": 1.0}
        last = line[-1]
        nouns = [word for word in line if word in _NUMBER]
        if last == "the":
            return _even(ADJECTIVES, ADJECTIVE) | _even(_ALL_NOUNS, 1 - ADJECTIVE)
        if last in ADJECTIVES:
            return _even(_ALL_NOUNS, 1.0)
        if last in _NUMBER:
            more = MORE if len(nouns) <= self.nearer else 0.0
            verbs = _SINGULAR_AND_PLURAL[_NUMBER[nouns[0]]]
            return (_even(PREPOSITIONS, more) if more else {}) | _even(verbs, 1 - more)
        if last in PREPOSITIONS:
            return {"the": 1.0}
        return {NEWLINE: 1.0} if last == "." else {".": 1.0}

    def text(self) -> str:
        """`n_lines` sentences, with a space before each full stop."""
        rng = np.random.default_rng(self.seed)
        written = []
        for _ in range(self.n_lines):
            line: list[str] = []
            while not line or line[-1] != NEWLINE:
                line.append(draw(rng, self.chances(line)))
            written.append(" ".join(line[:-1]) + NEWLINE)
        return "".join(written)

    def log_probability(self, text: str) -> Float[np.ndarray, " seq"]:
        """ln P(word | words before it), full stops and line ends included."""
        values = []
        line: list[str] = []
        for token in split_words(text):
            values.append(self.chances(line).get(token, 0.0))
            line = [] if token == NEWLINE else [*line, token]
        with np.errstate(divide="ignore"):  # a word that cannot come has -inf, which is the truth
            return np.log(np.array(values))

    def targets(self, tokens: Sequence[str]) -> Bool[np.ndarray, "query key"]:
        """The last noun before the verb, where it is another one than the subject, looks at the subject."""
        targets = no_targets(tokens)
        for start, line in lines(tokens):
            nouns = [place for place, word in enumerate(line) if word in _NUMBER]
            verbs = [place for place, word in enumerate(line) if any(word in pair for pair in VERBS)]
            if len(nouns) > 1 and (not verbs or verbs[0] == nouns[-1] + 1):
                targets[start + nouns[-1], start + nouns[0]] = bool(verbs) or start + len(line) == len(tokens)
        return targets


def _even(words: Sequence[str], share: float) -> dict[str, float]:
    return dict.fromkeys(words, share / len(words))
