"""What a lesson's text is drawn from: a generator with a few settings that knows its own chances and its pattern."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import accumulate
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from minigpt.config import TokenizerKind

NEWLINE = "\n"


@runtime_checkable
class Source(Protocol):
    """A frozen dataclass whose fields are the settings that a teacher may change; the same settings give the same text.

    kind: how its text is split into tokens. Wrong settings raise ValueError, in the reader's words, when it is made.
    """

    kind: ClassVar[TokenizerKind]

    def __hash__(self) -> int:
        """Equal settings, equal hash: a text is drawn once and remembered."""

    def text(self) -> str:
        """The text to train on."""

    def log_probability(self, text: str) -> Float[np.ndarray, " seq"] | None:
        """ln P(token | all tokens before it), in nats, for each token of its text; None where nobody knows.

        Minus the mean is the loss of the source itself on this text: on average no model can do better.
        """

    def targets(self, tokens: Sequence[str]) -> Bool[np.ndarray, "query key"] | None:
        """Where the lesson's pattern looks: the keys that a query should attend to; None where there is no pattern.

        A query without a True in its row has no part in the pattern.
        """


def setting(default: Any, label: str) -> Any:
    """A dataclass field that a teacher may change; `label` is its name on the page."""
    return field(default=default, metadata={"label": label})


def lines(tokens: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines of some tokens, each with the position of its first token and without its line end."""
    start = 0
    while start < len(tokens):
        end = tokens.index(NEWLINE, start) if NEWLINE in tokens[start:] else len(tokens)
        yield start, list(tokens[start:end])
        start = end + 1


def no_targets(tokens: Sequence[object]) -> Bool[np.ndarray, "query key"]:
    """A table of targets, all False, to be filled."""
    return np.zeros((len(tokens), len(tokens)), dtype=np.bool_)


def draw(rng: np.random.Generator, chances: dict[str, float]) -> str:
    """One of the tokens, each with its chance."""
    # Without the last sum, which could fall short of 1: a draw must never find nothing.
    *cumulative, _ = accumulate(chances.values())
    return list(chances)[bisect_right(cumulative, rng.random())]


def check_symbols(name: str, value: object, at_least: int, not_among: str = "") -> None:
    """Raise ValueError, in the reader's words, unless the value is so many different signs of the keyboard."""
    if not isinstance(value, str) or len(value) < at_least or len(set(value)) < len(value):
        raise ValueError(f"{name} must be at least {at_least} different signs, not {value!r}.")
    if not value.isascii() or any(char.isspace() or char in not_among for char in value):
        barred = f" and {not_among}" if not_among else ""
        raise ValueError(f"{name} may hold any signs of the keyboard except spaces{barred}, not {value!r}.")


def checked_seed(seed: int) -> int:
    """The seed, if it is one; ValueError if not."""
    if seed < 0:
        raise ValueError(f"A seed is a whole number from 0 up, not {seed}.")
    return seed
