"""Letters from a Markov source: a text whose best possible loss is known exactly."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from minigpt.config import TokenizerKind, check_number, check_whole
from minigpt.source import check_symbols, checked_seed, no_targets, setting

SYMBOLS = "abcdef"


@dataclass(frozen=True)
class Markov:
    """One stream of letters; the chance of each depends on the `order` letters before it, and on nothing else.

    table: the seed of the chances; seed: the seed of the letters drawn with them.
    """

    kind: ClassVar[TokenizerKind] = "character"

    letters: str = setting(SYMBOLS, "Letters")
    order: int = setting(1, "Letters that count, 1 or 2")
    evenness: float = setting(0.4, "Evenness of the chances")
    table: int = setting(5, "Seed of the chances")
    n_letters: int = setting(20_000, "Length")
    seed: int = setting(0, "Seed of the text")

    def __post_init__(self) -> None:
        check_symbols("letters", self.letters, at_least=2)
        if len(self.letters) > 26:
            raise ValueError(f"letters must be 2 to 26 different signs, not {len(self.letters)}.")
        check_whole("order", self.order, 1, 2)
        check_number("evenness", self.evenness, 0.01, 100)
        check_whole("table", self.table, 0, 2**31 - 1)
        check_whole("n_letters", self.n_letters, 100, 500_000)
        check_whole("seed", self.seed, 0, 2**31 - 1)

    @cached_property
    def transition(self) -> Float[np.ndarray, "context next_symbol"]:
        """The chances of the next letter, a row for each context."""
        return make_transition(seed=self.table, n_symbols=len(self.letters), order=self.order, evenness=self.evenness)

    def text(self) -> str:
        """`n_letters` letters, without any line end."""
        return make_markov(self.transition, seed=self.seed, n_letters=self.n_letters, symbols=self.letters)

    def log_probability(self, text: str) -> Float[np.ndarray, " seq"]:
        """ln P(letter | letters before it); the first `order` letters have the chance that they have anywhere."""
        start = self._start(text[: self.order]) / self.order
        rest = markov_log_probability(text, self.transition, symbols=self.letters)
        return np.concatenate([np.full(min(self.order, len(text)), start), rest])

    def _start(self, letters: str) -> float:
        """ln of the stationary chance of the letters that a text begins with."""
        stationary = stationary_distribution(self.transition).reshape([len(self.letters)] * self.order)
        return float(np.log(stationary[tuple(self.letters.index(letter) for letter in letters)].sum()))

    def targets(self, tokens: Sequence[str]) -> Bool[np.ndarray, "query key"] | None:
        """Of order 2, every letter looks at the one before it, which the model needs; of order 1, nowhere."""
        if self.order == 1:
            return None
        targets = no_targets(tokens)
        places = np.arange(1, len(tokens))
        targets[places, places - 1] = True
        return targets


def make_transition(
    *, seed: int = 0, n_symbols: int = len(SYMBOLS), order: int = 1, evenness: float = 0.4
) -> Float[np.ndarray, "context next_symbol"]:
    """Chances of the next symbol, one row for each context of `order` symbols; each row adds up to 1.

    Row `a * n_symbols + b` of an order-2 source is the context "a, then b". Rows are drawn from a Dirichlet
    distribution whose parameters all equal `evenness`: small values give rows with one or two likely symbols, large
    ones even rows. No chance is below 0.01, so that every symbol can be reached and no surprise is infinite.

    Raises ValueError for settings without such a table.
    """
    if not 2 <= n_symbols <= 26:
        raise ValueError(f"A source of letters needs 2 to 26 different ones, not {n_symbols}.")
    if not 1 <= order <= 2:
        raise ValueError(f"The next letter can depend on the 1 or 2 letters before it, not on {order}.")
    if not evenness > 0:
        raise ValueError(f"Evenness is above 0, for example 0.4, not {evenness}.")
    rng = np.random.default_rng(checked_seed(seed))
    rows = rng.dirichlet(np.full(n_symbols, evenness), size=n_symbols**order)
    smallest = 0.01
    transition: Float[np.ndarray, "context next_symbol"] = smallest + (1 - n_symbols * smallest) * rows
    return transition


def make_markov(
    transition: Float[np.ndarray, "context next_symbol"],
    *,
    seed: int = 0,
    n_letters: int = 20_000,
    symbols: str = SYMBOLS,
) -> str:
    """One unbroken stream of letters from a Markov source; the first context is drawn from the stationary distribution.

    No line ends: each would be a token that the source does not have, and the floor would no longer be exact.

    Raises ValueError where the table does not fit the symbols, is no table of chances, or the text would be too short.
    """
    order = _order(transition, symbols)
    if n_letters <= order:
        raise ValueError(f"{n_letters} letters are too few. Ask for at least {order + 1}.")
    rng = np.random.default_rng(checked_seed(seed))
    n_contexts, n_symbols = transition.shape
    # The last entry is set to 1 because a sum of floats can fall short of it, and a draw must never run off the row.
    cumulative = np.cumsum(transition, axis=1)
    cumulative[:, -1] = 1
    context = int(rng.choice(n_contexts, p=stationary_distribution(transition)))
    ids = [context // n_symbols**power % n_symbols for power in reversed(range(order))]
    for chance in rng.random(n_letters - order):
        ids.append(int(np.searchsorted(cumulative[context], chance, side="right")))
        context = (context * n_symbols + ids[-1]) % n_contexts
    return "".join(symbols[i] for i in ids)


def stationary_distribution(transition: Float[np.ndarray, "context next_symbol"]) -> Float[np.ndarray, " context"]:
    """How often each context comes up in a long text: the p with p = p P that adds up to 1.

    Raises ValueError where it is not unique: some contexts can then never be left, and others never be seen again.
    """
    _check_rows(transition)
    n_contexts, n_symbols = transition.shape
    step = np.zeros((n_contexts, n_contexts))
    for context in range(n_contexts):
        for symbol in range(n_symbols):
            step[context, (context * n_symbols + symbol) % n_contexts] += transition[context, symbol]
    balance = step.T - np.eye(n_contexts)
    if np.linalg.matrix_rank(balance) < n_contexts - 1:
        raise ValueError("This table is two sources in one: from some letters the others are never reached.")
    # p = p P holds for any multiple of p; replacing one of its equations, which the others imply, fixes the sum at 1.
    balance[-1] = 1
    p: Float[np.ndarray, " context"] = np.linalg.solve(balance, np.eye(n_contexts)[-1])
    return np.clip(p, 0, None) / np.clip(p, 0, None).sum()


def entropy_rate(transition: Float[np.ndarray, "context next_symbol"]) -> float:
    """Surprise of the next letter on average over an endless text, in nats a letter: no model can do better.

    H = -sum_c p(c) sum_s P(s | c) ln P(s | c), with p the stationary distribution; 0 ln 0 counts as 0.
    Source: C. E. Shannon, "A Mathematical Theory of Communication" (1948), section 7.

    Raises ValueError as `stationary_distribution` does.
    """
    surprise = -np.log(transition, where=transition > 0, out=np.zeros_like(transition))
    return float(stationary_distribution(transition) @ (transition * surprise).sum(axis=1))


def markov_log_probability(
    text: str, transition: Float[np.ndarray, "context next_symbol"], *, symbols: str = SYMBOLS
) -> Float[np.ndarray, " seq"]:
    """ln P(letter | letters before it) in nats, for each letter that has a whole context before it.

    One value fewer than letters for order 1, two fewer for order 2. Minus the mean is the cross-entropy of the source
    itself on exactly this text, which a perfect model would have; on a short text it strays from `entropy_rate`.

    Raises ValueError for a letter that the source does not have.
    """
    order = _order(transition, symbols)
    unknown = sorted(set(text) - set(symbols))
    if unknown:
        raise ValueError(f"“{unknown[0]}” is not a letter of this source. Its letters: {' '.join(symbols)}.")
    ids = np.array([symbols.index(letter) for letter in text], dtype=np.int64)
    contexts = np.zeros(max(len(ids) - order, 0), dtype=np.int64)
    for back in range(order):
        contexts = contexts * len(symbols) + ids[back : back + len(contexts)]
    with np.errstate(divide="ignore"):  # a letter that cannot come has -inf, which is the truth
        log_probability: Float[np.ndarray, " seq"] = np.log(transition[contexts, ids[order:]])
    return log_probability


def _check_rows(transition: Float[np.ndarray, "context next_symbol"]) -> None:
    if (transition < 0).any() or not np.allclose(transition.sum(axis=1), 1, atol=1e-9):
        raise ValueError("In a table of chances no entry is below 0 and every row adds up to 1.")


def _order(transition: Float[np.ndarray, "context next_symbol"], symbols: str) -> int:
    n_contexts, n_symbols = transition.shape
    if n_symbols != len(symbols) or n_contexts not in (n_symbols, n_symbols**2):
        raise ValueError(
            f"A table of {n_contexts} × {n_symbols} chances does not fit {len(symbols)} letters: it needs a column for "
            "each letter, and a row for each letter or each pair of letters that can come before."
        )
    return 1 if n_contexts == n_symbols else 2
