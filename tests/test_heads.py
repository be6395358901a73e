"""Shares of attention: an ideal head has 1, an even one has chance, and padding changes nothing."""

import numpy as np
import pytest

from minigpt.heads import even_attention, share_on


def previous(n_tokens: int) -> np.ndarray:
    return np.eye(n_tokens, k=-1, dtype=np.bool_)


@pytest.mark.parametrize("n_tokens", [2, 3, 17, 64])
def test_an_ideal_head_scores_one_and_an_even_one_scores_chance(n_tokens):
    targets = previous(n_tokens)
    assert share_on(targets.astype(np.float64), targets) == 1
    # Query i sees i + 1 keys, of which one is the target; the first query has none.
    chance = np.mean([1 / (i + 1) for i in range(1, n_tokens)])
    assert share_on(even_attention(n_tokens), targets) == pytest.approx(chance)
    assert share_on(np.eye(n_tokens), targets) == 0


def test_even_attention_is_a_pattern():
    pattern = even_attention(5)
    assert pattern.sum(axis=-1) == pytest.approx(np.ones(5))
    assert (np.triu(pattern, 1) == 0).all()
    assert even_attention(4, causal=False) == pytest.approx(np.full((4, 4), 1 / 4))


def test_heads_are_scored_one_by_one():
    targets = previous(4)
    ideal, even = targets.astype(np.float64), even_attention(4)
    both = np.stack([ideal, even, (ideal + even) / 2])
    scores = share_on(both, targets)
    assert scores.shape == (3,)
    assert scores[2] == pytest.approx((scores[0] + scores[1]) / 2)


def test_queries_without_a_target_and_padding_change_nothing():
    rng = np.random.default_rng(0)
    pattern = rng.dirichlet(np.ones(6), size=6)
    targets = np.zeros((6, 6), dtype=np.bool_)
    targets[3, [0, 1]] = targets[5, 2] = True
    expected = (pattern[3, 0] + pattern[3, 1] + pattern[5, 2]) / 2
    assert share_on(pattern, targets) == pytest.approx(expected)
    padded, marked = np.zeros((9, 9)), np.zeros((9, 9), dtype=np.bool_)
    padded[:6, :6], marked[:6, :6] = pattern, targets
    assert share_on(padded, marked) == pytest.approx(expected)


def test_without_any_target_there_is_no_score():
    nowhere = np.zeros((3, 3), dtype=np.bool_)
    assert np.isnan(share_on(even_attention(3), nowhere))
    assert np.isnan(share_on(np.stack([even_attention(3)] * 2), nowhere)).tolist() == [True, True]
