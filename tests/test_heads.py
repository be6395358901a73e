"""Shares of attention: an ideal head has 1, an even one has chance, and padding changes nothing."""

import math
import re

import numpy as np
import pytest

from minigpt.heads import (
    Description,
    Measures,
    all_scores,
    describe,
    even_attention,
    probe,
    scores,
    share_on,
)


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


# ---- what a head does, against chance ----

SHARES = ("previous", "current", "first", "duplicate", "induction")
EIGHT = (*SHARES, "sink", "entropy", "distance")


def numbers(measures: Measures) -> np.ndarray:
    return np.array([getattr(measures, name) for name in EIGHT])


def slow_numbers(pattern: np.ndarray, ids: list[int]) -> np.ndarray:
    """The definitions, one query and one key at a time."""
    kept: dict[str, list[float]] = {name: [] for name in EIGHT}
    n_tokens = len(ids)
    for i in range(n_tokens):
        twins = [j for j in range(i) if ids[j] == ids[i]]
        behind_twins = [j for j in range(1, i + 1) if ids[j - 1] == ids[i]]
        kept["current"].append(pattern[i, i])
        if i >= 1:
            kept["previous"].append(pattern[i, i - 1])
            surprise = [-p * math.log(p) for p in pattern[i, : i + 1] if p > 0]
            kept["entropy"].append(sum(surprise) / math.log(i + 1))
            kept["distance"].append(sum((i - j) * pattern[i, j] for j in range(i + 1)))
        if i >= 2:
            kept["first"].append(pattern[i, 0])
        if twins:
            kept["duplicate"].append(sum(pattern[i, j] for j in twins))
        if behind_twins:
            kept["induction"].append(sum(pattern[i, j] for j in behind_twins))
    columns = [np.mean([pattern[i, j] for i in range(j + 1, n_tokens)]) for j in range(n_tokens - 1)]
    kept["sink"] = [max(columns)] if columns else []
    return np.array([np.mean(kept[name]) if kept[name] else np.nan for name in EIGHT])


def random_pattern(n_tokens: int, rng: np.random.Generator, choosy: float) -> np.ndarray:
    """Rows that add up to 1 under the causal mask; the smaller `choosy`, the fewer keys get it all."""
    pattern = np.zeros((n_tokens, n_tokens))
    for i in range(n_tokens):
        pattern[i, : i + 1] = rng.dirichlet(np.full(i + 1, choosy))
    return pattern


def looking_at(keys: list[int]) -> np.ndarray:
    """Each query puts all it has on one key."""
    pattern = np.zeros((len(keys), len(keys)))
    pattern[np.arange(len(keys)), keys] = 1
    return pattern


PROBE = probe(30, 41)  # [first, r, r] with 20 different tokens in r
PLACES = range(len(PROBE))
IDEAL = {
    "previous": looking_at([max(i - 1, 0) for i in PLACES]),
    "current": looking_at(list(PLACES)),
    "first": looking_at([0 for _ in PLACES]),
    "duplicate": looking_at([i - 20 if i > 20 else 0 for i in PLACES]),
    "induction": looking_at([i - 19 if i > 20 else 0 for i in PLACES]),
}


@pytest.mark.parametrize("name", SHARES)
def test_an_ideal_head_has_its_role_in_full(name):
    scored = scores(IDEAL[name], PROBE)
    assert getattr(scored, name) == 1
    assert getattr(scored.chance, name) <= 1 / 8
    assert name in describe(IDEAL[name], PROBE).roles


def test_an_ideal_head_takes_no_share_of_the_other_roles():
    assert numbers(scores(IDEAL["previous"], PROBE))[:5] == pytest.approx([1, 1 / 41, 0, 0, 0])
    assert numbers(scores(IDEAL["current"], PROBE))[:5] == pytest.approx([0, 1, 0, 0, 0])
    # The second token of all has the first just before it.
    assert numbers(scores(IDEAL["first"], PROBE))[:5] == pytest.approx([1 / 40, 1 / 41, 1, 0, 0])
    assert scores(IDEAL["first"], PROBE).sink == 1
    assert scores(IDEAL["previous"], PROBE).distance == 1
    assert [scores(IDEAL[name], PROBE).entropy for name in SHARES] == [0] * 5
    # Rounded up, as half precision may, a row has a logarithm above 0.
    assert scores(1.005 * IDEAL["previous"], PROBE).entropy == 0


def test_a_copy_is_an_earlier_one_and_an_induction_key_may_be_the_query_itself():
    ids = [5, 5, 7, 5]
    scored = scores(IDEAL["current"][:4, :4], ids)
    # Queries 1 and 3 have an earlier copy. Behind a copy stand keys 1 for query 1, and 1 and 2 for query 3.
    assert scored.duplicate == 0
    assert scored.induction == 1 / 2
    assert scored.chance.duplicate == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert scored.chance.induction == pytest.approx((1 / 2 + 2 / 4) / 2)


@pytest.mark.parametrize("seed", range(60))
def test_the_scores_are_those_of_the_definitions(seed):
    rng = np.random.default_rng(seed)
    n_tokens = int(rng.integers(1, 24))
    ids = rng.integers(0, rng.integers(1, 12), n_tokens)
    pattern = random_pattern(n_tokens, rng, choosy=10 ** rng.uniform(-2, 1))
    scored = scores(pattern, ids)
    np.testing.assert_allclose(numbers(scored), slow_numbers(pattern, ids.tolist()), atol=1e-12)
    even = np.array([[(j <= i) / (i + 1) for j in PLACES[:n_tokens]] for i in PLACES[:n_tokens]])
    np.testing.assert_allclose(numbers(scored.chance), slow_numbers(even, ids.tolist()), atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_padding_changes_no_score(seed):
    rng = np.random.default_rng(seed)
    n_tokens = int(rng.integers(1, 20))
    ids = rng.integers(0, 6, n_tokens).tolist()
    pattern = random_pattern(n_tokens, rng, choosy=0.3)
    padded = random_pattern(n_tokens + 7, rng, choosy=0.3)
    padded[:n_tokens] = 0
    padded[:n_tokens, :n_tokens] = pattern
    alone, in_padding = scores(pattern, ids), scores(padded, ids)
    np.testing.assert_array_equal(numbers(in_padding), numbers(alone))
    np.testing.assert_array_equal(numbers(in_padding.chance), numbers(alone.chance))
    assert describe(padded, ids) == describe(pattern, ids)


@pytest.mark.parametrize("n_tokens", range(2, 65))
def test_a_head_that_does_not_choose_scores_chance_and_has_no_role_at_any_length(n_tokens):
    rng = np.random.default_rng(n_tokens)
    for d_vocab in (1, 2, 5, 100):
        ids = rng.integers(0, d_vocab, n_tokens).tolist()
        scored = scores(even_attention(n_tokens), ids)
        np.testing.assert_array_equal(numbers(scored), numbers(scored.chance))
        assert scored.entropy == pytest.approx(1)
        assert describe(even_attention(n_tokens), ids) == Description((), (), "spread evenly")
        # Nearly even: each share up to a third more or less than its due.
        nearly = even_attention(n_tokens) * rng.uniform(0.7, 1.3, (n_tokens, n_tokens))
        nearly /= nearly.sum(axis=1, keepdims=True)
        assert describe(nearly, ids).caption == "spread evenly"


def test_spread_evenly_is_never_a_role_even_where_the_one_query_that_counts_chose():
    ids = [*range(40), 17]
    pattern = even_attention(41)
    pattern[40] = looking_at([0] * 40 + [18])[40]
    scored = scores(pattern, ids)
    assert scored.induction == 1
    assert scored.entropy >= 0.9
    assert describe(pattern, ids).roles == ()


def test_one_token_has_no_role_and_nothing_to_compare():
    scored = scores(np.ones((1, 1)), [3])
    assert scored.current == scored.chance.current == 1
    assert np.isnan(numbers(scored)[[0, 2, 3, 4, 5, 6, 7]]).all()
    assert describe(np.ones((1, 1)), [3]) == Description((), (), "no clear role")


def test_without_copies_nothing_is_said_about_copies():
    scored = scores(even_attention(5), [1, 2, 3, 4, 5])
    assert np.isnan([scored.duplicate, scored.induction, scored.chance.duplicate]).all()
    assert describe(looking_at([0, 0, 1, 2, 3]), [1, 2, 3, 4, 5]).roles == ("previous",)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("pattern", "ids", "words"),
    [
        (np.eye(3), [], "There are no ids"),
        (np.eye(3), [[1, 2], [3, 4]], "one row of whole numbers, not int64 of shape (2, 2)"),
        (np.eye(3), [0.5, 1.0], "one row of whole numbers, not float64"),
        (np.eye(3), [1, 2, 3, 4], "There are 4 ids, and the pattern has room for 3."),
        (np.eye(3)[:2], [1, 2, 3], "There are 3 ids, and the pattern has room for 2."),
        (np.eye(3)[None], [1, 2, 3], "has the axes [query key]; this one has 3."),
        (np.eye(3) * [1, 1, 0.5], [1, 2, 3], "Query 2 has shares that do not add up to 1."),
        (np.diag([1, np.nan, 1]), [1, 2, 3], "Query 1 has a share that is no share."),
        (np.eye(3) - 0.5 * np.eye(3, k=-1) + 0.5 * np.eye(3, k=-2), [1, 2, 3], "Query 1 has a share that is no share."),
        (even_attention(3, causal=False), [1, 2, 3], "Query 0 looks ahead, and scores are for heads that cannot."),
        (even_attention(3, causal=False), [1], "Query 0 looks ahead"),
    ],
)
def test_what_is_no_pattern_is_refused_in_words(pattern, ids, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        scores(pattern, ids)


def test_what_half_precision_rounds_is_still_a_pattern():
    rng = np.random.default_rng(0)
    pattern, ids = random_pattern(64, rng, 1.0), list(rng.integers(0, 9, 64))
    rounded = pattern.astype(np.float16)
    np.testing.assert_allclose(
        numbers(scores(rounded, np.array(ids))), numbers(scores(pattern, np.array(ids))), atol=2e-2
    )


def test_all_heads_are_scored_each_at_its_place():
    rng = np.random.default_rng(0)
    pattern = np.stack([random_pattern(12, rng, 0.3) for _ in range(6)]).reshape(3, 2, 12, 12)
    ids = rng.integers(0, 4, 12).tolist()
    scored = all_scores(pattern, ids)
    assert [len(layer) for layer in scored] == [2, 2, 2]
    for layer, head in np.ndindex(3, 2):
        assert scored[layer][head] == scores(pattern[layer, head], ids)


# ---- the probe ----


@pytest.mark.parametrize(
    ("d_vocab", "n_ctx", "length"),
    [(30, 41, 41), (30, 42, 41), (1000, 64, 63), (10, 64, 19), (3, 64, 5), (3, 5, 5), (1000, 4096, 255)],
)
def test_a_probe_is_one_token_and_twice_the_same_different_ones_as_long_as_fits(d_vocab, n_ctx, length):
    ids = probe(d_vocab, n_ctx, seed=3)
    assert len(ids) == length <= n_ctx
    first, once, again = ids[0], ids[1 : length // 2 + 1], ids[length // 2 + 1 :]
    assert (once == again).all()
    assert len({int(first), *once.tolist()}) == length // 2 + 1
    assert 0 <= ids.min() <= ids.max() < d_vocab


def test_the_seed_decides_the_probe():
    assert (probe(100, 41, seed=1) == probe(100, 41, seed=1)).all()
    assert (probe(100, 41, seed=1) != probe(100, 41, seed=2)).any()
    assert (probe(100, 41) == probe(100, 41, seed=0)).all()


@pytest.mark.parametrize(("d_vocab", "n_ctx"), [(2, 64), (64, 4), (1, 1)])
def test_a_probe_that_could_tell_nothing_is_refused(d_vocab, n_ctx):
    with pytest.raises(ValueError, match=f"knows {d_vocab} and has a context of {n_ctx}"):
        probe(d_vocab, n_ctx)
    with pytest.raises(ValueError, match="Seed must be a whole number"):
        probe(64, 64, seed=-1)


def test_the_shortest_probe_already_tells_roles_apart():
    ids = probe(3, 5)
    assert describe(looking_at([0, 0, 0, 2, 3]), ids).roles == ("induction",)
    assert describe(looking_at([0, 0, 0, 1, 2]), ids).roles == ("duplicate",)
