"""What of a continuation stands word for word in the training text, and where: a small model recombines its text."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt32

from minigpt.config import check_whole

FACTOR = np.uint32(2_654_435_769)  # odd, so that no bit of a token is lost; its bits look random


@dataclass(frozen=True)
class Span:
    """`length` tokens from `start` of the continuation, which are those from `place` on of the training text."""

    start: int
    length: int
    place: int


@dataclass(frozen=True)
class Copies:
    """The spans of a continuation that are copied, in order and apart, and how many tokens it has in all."""

    spans: tuple[Span, ...]
    n_tokens: int

    @property
    def novelty(self) -> float:
        """The share of the tokens that are in no span: 0 is all copied, 1 is nothing; NaN without any token."""
        if not self.n_tokens:
            return float("nan")
        return 1 - sum(span.length for span in self.spans) / self.n_tokens


def copied(
    ids: Sequence[int] | Int[np.ndarray, " seq"],
    training_ids: Int[np.ndarray, " seq_training"],
    at_least: int = 5,
) -> Copies:
    """Find what is copied from the training text, `at_least` so many tokens at a stretch.

    Read from the left, a span begins at the first token that can begin one, is as long as the training text has it,
    and the search goes on behind it. Its place is the first in the training text that has it whole.
    Five words in a row are a phrase; of letters, ask for twenty or so, because all texts share short rows of them.
    Raises ValueError where `at_least` is not a whole number from 1.
    """
    check_whole("at_least", at_least, 1, 1_000_000)
    written = np.asarray(ids, dtype=np.int64)
    wanted, there, places = _candidates(written, training_ids, at_least)
    spans: list[Span] = []
    begin = 0
    while begin < len(wanted):
        here = places[there == wanted[begin]]
        length, place = _longest(written[begin:], training_ids, here) if len(here) else (0, 0)
        if length >= at_least:
            spans.append(Span(begin, length, place))
        begin += length if length >= at_least else 1
    return Copies(tuple(spans), len(written))


def _candidates(
    written: Int[np.ndarray, " seq"], training: Int[np.ndarray, " seq_training"], at_least: int
) -> tuple[UInt32[np.ndarray, " start"], UInt32[np.ndarray, " place"], Int[np.ndarray, " place"]]:
    """Rows of `at_least` tokens, as one number each: those of the continuation, and where they may stand in the text.

    A table answers for all of them with one look at each place of the training text, however long that is. Different
    rows can have the same number: what is found here is still to be compared, and nothing that is equal is missed.
    """
    wanted, there = _numbers(written, at_least), _numbers(training, at_least)
    table = np.zeros(2**16, dtype=np.bool_)
    table[wanted >> 16] = True
    places = np.flatnonzero(table[there >> 16])
    return wanted, there[places], places


def _numbers(ids: Int[np.ndarray, " seq"], n_tokens: int) -> UInt32[np.ndarray, " start"]:
    """One number for each `n_tokens` in a row, equal for equal tokens; overflow is wanted.

    Rows of 1, 2, 4 ... tokens are joined in pairs; the last two overlap as far as they must.
    """
    numbers: np.ndarray = ids.astype(np.uint32) * FACTOR
    length = 1
    while length < n_tokens:
        step = min(length, n_tokens - length)
        # Multiplying carries upwards only: the shift lets the high bits count below as well.
        numbers = (numbers[:-step] ^ (numbers[:-step] >> 15)) * FACTOR + numbers[step:]
        length += step
    return numbers


def _longest(
    written: Int[np.ndarray, " seq"], training: Int[np.ndarray, " seq_training"], places: Int[np.ndarray, " place"]
) -> tuple[int, int]:
    """How many tokens of the beginning of `written` stand at one of the places, and the first that has so many."""
    length, first, compared = 0, 0, 0
    while len(places):
        first = int(places[0])
        length = _run(written, training[first:])
        places = places[1:]
        if length == len(written):
            break
        # What stays has more than this place. To ask for the next token first, and only then for those before it,
        # leaves little to compare even where a training text says the same all over.
        places = places[: np.searchsorted(places, len(training) - length)]
        for offset in (length, *range(compared, length)):
            places = places[training[places + offset] == written[offset]]
        compared = length + 1
    return length, first


def _run(written: Int[np.ndarray, " seq"], there: Int[np.ndarray, " seq_training"]) -> int:
    """How many tokens of the two are the same from their beginning on."""
    n_tokens = min(len(written), len(there))
    differ = written[:n_tokens] != there[:n_tokens]
    return int(differ.argmax()) if differ.any() else n_tokens
