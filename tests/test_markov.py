"""The Markov source: its floor worked out by hand, counted from long texts, and refused where there is none."""

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

from minigpt.markov import (
    Markov,
    entropy_rate,
    make_markov,
    make_transition,
    markov_log_probability,
    stationary_distribution,
)

TRANSITION = Markov().transition


def test_entropy_rate_of_a_two_state_chain_is_the_one_worked_out_by_hand() -> None:
    # Leaves the first state 1 time in 10 and the second 1 in 2, so it is in the first 5 times out of 6.
    chain = np.array([[0.9, 0.1], [0.5, 0.5]])
    assert stationary_distribution(chain) == pytest.approx([5 / 6, 1 / 6])
    # 5/6 of 0.325083 nats, and 1/6 of ln 2.
    assert entropy_rate(chain) == pytest.approx(0.386427, abs=1e-6)


def test_entropy_rate_of_known_sources() -> None:
    assert entropy_rate(np.full((6, 6), 1 / 6)) == pytest.approx(math.log(6))
    assert entropy_rate(np.eye(6)[[1, 2, 3, 4, 5, 0]]) == 0  # a circle holds no surprise
    # An order-2 table whose rows ignore the letter two back is the order-1 source.
    assert entropy_rate(np.tile(TRANSITION, (6, 1))) == pytest.approx(entropy_rate(TRANSITION))


def test_stationary_distribution_stays_what_it_is() -> None:
    p = stationary_distribution(TRANSITION)
    assert p @ TRANSITION == pytest.approx(p)
    assert p.sum() == pytest.approx(1)


def test_order_2_transition_depends_on_both_letters_before() -> None:
    chain = make_transition(order=2, n_symbols=3)
    text = make_markov(chain, n_letters=60_000, symbols="abc")
    triples = Counter(zip(text, text[1:], text[2:], strict=False))
    for context, row in enumerate(chain):
        before = "abc"[context // 3], "abc"[context % 3]
        counts = np.array([triples[*before, letter] for letter in "abc"])
        assert counts / counts.sum() == pytest.approx(row, abs=0.03)


@pytest.mark.parametrize("order", [1, 2])
def test_a_long_text_has_the_surprise_that_the_floor_promises(order: int) -> None:
    chain = make_transition(seed=5, order=order)
    text = make_markov(chain, seed=9, n_letters=100_000)
    assert len(text) == 100_000
    floor = entropy_rate(chain)
    # Counted from the text alone: H(run) - H(its beginning). It knows nothing of the table.
    runs = Counter(text[i : i + order + 1] for i in range(len(text) - order))
    beginnings = Counter(text[i : i + order] for i in range(len(text) - order))
    counted = -sum(n * math.log(n / beginnings[run[:order]]) for run, n in runs.items()) / runs.total()
    assert floor - 0.01 < counted < floor + 0.01
    # The table's own surprise on the same text: never below what its best possible table, the counts, has.
    true = -markov_log_probability(text, chain).mean()
    assert floor - 0.01 < true < floor + 0.01
    assert counted <= true < counted + 0.003


def test_log_probability_is_the_table_looked_up() -> None:
    chain = np.array([[0.9, 0.1], [0.5, 0.5]])
    assert markov_log_probability("aabb", chain, symbols="ab") == pytest.approx(np.log([0.9, 0.1, 0.5]))
    pairs = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])  # after aa, ab, ba, bb
    assert markov_log_probability("aabba", pairs, symbols="ab") == pytest.approx(np.log([0.1, 0.2, 0.6]))
    assert markov_log_probability("a", chain, symbols="ab").shape == (0,)
    assert markov_log_probability("ba", np.array([[0.5, 0.5], [0.0, 1.0]]), symbols="ab") == [-math.inf]


def test_rows_of_the_markov_lesson_are_uneven_and_leave_nothing_impossible() -> None:
    assert TRANSITION.sum(axis=1) == pytest.approx(np.ones(6))
    assert TRANSITION.min() >= 0.01
    distances = np.abs(TRANSITION[:, None] - TRANSITION).sum(axis=-1)[np.triu_indices(6, 1)]
    assert distances.min() > 0.3
    assert entropy_rate(TRANSITION) < math.log(6) - 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_transition(n_symbols=1), "2 to 26 different ones, not 1"),
        (lambda: make_transition(order=3), "the 1 or 2 letters before it, not on 3"),
        (lambda: make_transition(evenness=0), "above 0, for example 0.4, not 0"),
        (lambda: make_transition(seed=-1), "a whole number from 0 up"),
        (lambda: make_markov(TRANSITION, n_letters=1), "Ask for at least 2"),
        (lambda: make_markov(TRANSITION, symbols="ab"), "6 × 6 chances does not fit 2 letters"),
        (lambda: make_markov(np.full((6, 6), 0.5)), "every row adds up to 1"),
        (lambda: entropy_rate(np.array([[1.5, -0.5], [0.5, 0.5]])), "no entry is below 0"),
        (lambda: entropy_rate(np.eye(2)), "two sources in one"),
        (lambda: markov_log_probability("abcx", TRANSITION), "“x” is not a letter of this source"),
    ],
)
def test_tables_that_are_no_source_are_refused_in_plain_words(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
