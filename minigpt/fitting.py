"""Which way to split a text fits it: words where they come again, letters where they do not or are not there."""

import statistics
from collections import Counter
from itertools import islice
from typing import NamedTuple

from minigpt.config import TokenizerKind
from minigpt.splitting import is_word, split_words, stretches

LOOKED_AT = 100_000  # letters; the rest of a longer text is taken to be like its start
FEW = 20  # words: fewer say nothing about a text
LONG = 12  # letters between two spaces, in the middle of all; German has 6, Finnish 8
NO_SPACES = "This text has no spaces"


class Fitting(NamedTuple):
    """The split that fits a text, and why, as the start of a sentence; "" where there is too little to say."""

    kind: TokenizerKind
    why: str


def fitting(text: str) -> Fitting:
    """Judge a text by its spaces, and by how many of its words come only once.

    A model never meets a word again that comes once. In prose they are a third of a thousand words, and half of a
    hundred; in a list of names nearly all, and there letters say more. Numbers are to words what names are.

    >>> fitting("ACGTTGCA" * 40)
    Fitting(kind='character', why='This text has no spaces')
    >>> fitting("the old king saw the small dog . " * 9).kind
    'word'
    """
    text = text[:LOOKED_AT]
    parts = [part for part in stretches(text) if part != "\n"]
    n_letters = sum(map(len, parts))
    if n_letters < FEW:
        return Fitting("word", "")
    if sum(map(str.isdigit, "".join(parts))) > 0.4 * n_letters:
        return Fitting("character", "This text is made of numbers")
    if statistics.median(map(len, parts)) > LONG or _stand_close(parts):
        return Fitting("character", NO_SPACES + " between words" * (" " in text.strip()))
    words = Counter(token for token in split_words(text) if is_word(token))
    if words.total() < FEW:
        return Fitting("word", "")
    once = sum(times == 1 for times in words.values()) / words.total()
    if once > (0.5 if words.total() >= 300 else 0.75):
        return Fitting("character", "Most words of this text come only once")
    return Fitting("word", "The words of this text come again and again")


def _stand_close(parts: list[str]) -> bool:
    """Whether many words stand between two spaces, as in Chinese, where each sign may be one."""
    some = list(islice(parts, 500))
    return sum(is_word(token) for part in some for token in split_words(part)) > 4 * len(some)
