"""What a head does, in numbers: the share of its attention that goes where a pattern says, against chance.

Attention says where a head takes from, not what that does to the output: see `minigpt.diagnosis.loss_without`.
Score heads on a `probe`, not on a prompt: in a text, what stands one place before is often also what came first, or
what came before last time.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from minigpt.config import check_whole

# A role must be this many times what even attention would give: half of the attention is nothing much among two keys.
TIMES_CHANCE = 3.0
PARTLY = 0.25
EVEN = 0.9  # of the entropy that a head could have; from here on it does not choose
# For each role: the share it takes, and where that share goes, in words.
ROLES = {
    "previous": (0.4, "to the previous token"),
    "current": (0.4, "to the token itself"),
    "first": (0.4, "to the first token"),
    "duplicate": (0.5, "to the same token earlier"),
    "induction": (0.5, "to what came after the same token earlier"),
}
LONGEST_PROBE = 256  # tokens; a pattern grows with the square of it, and chance is small enough long before
TOLERANCE = 0.01  # what a row may miss 1 by: half precision rounds so coarsely


@dataclass(frozen=True)
class Measures:
    """Eight numbers about one head, over the queries for which they mean something; NaN where there is no such query.

    Shares of attention, 0 to 1, each a mean over queries:
    previous: on the token before; without the first query. current: on the query's own token. first: on the first
    token; from the third query on, because for the second it is also the previous one.
    duplicate: on earlier copies of the query's token, over queries that have one.
    induction: on tokens that stand right after an earlier copy of the query's token, over queries that have one.
    sink: what the most looked-at key gets from the queries after it.

    Without the first query, which has no choice: entropy, of each row divided by the largest it could be, ln of the
    number of keys in sight, so 0 is one key and 1 is all evenly; distance, in tokens back.
    """

    previous: float
    current: float
    first: float
    duplicate: float
    induction: float
    sink: float
    entropy: float
    distance: float


@dataclass(frozen=True)
class HeadScores(Measures):
    """What a head does, and the same eight numbers for one that spreads its attention evenly over all it can see."""

    chance: Measures


@dataclass(frozen=True)
class Description:
    """roles: names from `ROLES`, the largest share first, often none. partly: those that are only begun.

    caption: for people, such as "71% to the previous token, 9 × chance".
    """

    roles: tuple[str, ...]
    partly: tuple[str, ...]
    caption: str


def share_on(
    pattern: Float[np.ndarray, "*heads query key"], targets: Bool[np.ndarray, "query key"]
) -> Float[np.ndarray, "*heads"]:
    """Mean, over the queries that have a target, of the attention that they give to their targets: 0 to 1.

    NaN where no query has any. An ideal head scores 1; one that looks everywhere evenly scores what chance would.
    """
    queries = targets.any(axis=-1)
    if not queries.any():
        return np.full(pattern.shape[:-2], np.nan)
    given = (pattern * targets)[..., queries, :].sum(axis=-1)
    return np.asarray(given.mean(axis=-1))


def even_attention(n_tokens: int, causal: bool = True) -> Float[np.ndarray, "query key"]:
    """The pattern of a head that does not choose: each query spreads 1 evenly over all keys that it can see."""
    seen = np.tri(n_tokens) if causal else np.ones((n_tokens, n_tokens))
    return seen / seen.sum(axis=-1, keepdims=True)


def scores(pattern: Float[np.ndarray, "query key"], ids: Sequence[int] | Int[np.ndarray, " seq"]) -> HeadScores:
    """What one head does on a text, against chance.

    pattern: rows add up to 1, nothing above the diagonal. Only its first len(ids) queries and keys count, so that
    padding behind the text is told by leaving it out of the ids.
    Raises ValueError where there are no ids, more ids than queries, or a pattern that is none.
    """
    array = checked_ids(ids)
    targets = _targets(array)
    return _scored(pattern, targets, _measured(even_attention(len(array)), targets))


def all_scores(
    pattern: Float[np.ndarray, "layer head query key"], ids: Sequence[int] | Int[np.ndarray, " seq"]
) -> tuple[tuple[HeadScores, ...], ...]:
    """`scores` of every head, as [layer][head]. Raises ValueError as `scores` does."""
    array = checked_ids(ids)
    targets = _targets(array)
    chance = _measured(even_attention(len(array)), targets)
    return tuple(tuple(_scored(head, targets, chance) for head in layer) for layer in pattern)


def describe(pattern: Float[np.ndarray, "query key"], ids: Sequence[int] | Int[np.ndarray, " seq"]) -> Description:
    """The roles of one head on a text, and a caption. Raises ValueError as `scores` does."""
    return in_words(scores(pattern, ids))


def in_words(scored: HeadScores) -> Description:
    """The roles that some scores stand for: none for a head that spreads its attention evenly, whatever its shares.

    A role takes its share in `ROLES`, "partly" takes `PARTLY`, and both take `TIMES_CHANCE` times chance.
    """
    if scored.entropy >= EVEN:
        return Description((), (), "spread evenly")
    shares = {name: getattr(scored, name) for name in ROLES}
    above = [name for name in ROLES if shares[name] >= TIMES_CHANCE * getattr(scored.chance, name)]
    above.sort(key=lambda name: -shares[name])
    roles = tuple(name for name in above if shares[name] >= ROLES[name][0])
    partly = tuple(name for name in above if PARTLY <= shares[name] < ROLES[name][0])
    phrases = [
        f"{'partly ' * (name in partly)}{shares[name]:.0%} {ROLES[name][1]}, "
        f"{shares[name] / getattr(scored.chance, name):.0f} × chance"
        for name in (*roles, *partly)
    ]
    return Description(roles, partly, "; ".join(phrases) or "no clear role")


def probe(d_vocab: int, n_ctx: int, seed: int = 0) -> Int[np.ndarray, " seq"]:
    """Ids `[first, r, r]` of different random tokens, to score heads on: only in the second r is there a copy to find.

    r is as long as vocabulary and context allow, up to `LONGEST_PROBE` tokens in all. Raises ValueError where it would
    be a single token, whose copy is also the token before.
    """
    check_whole("seed", seed, 0, 2**31 - 1)
    repeated = min((min(n_ctx, LONGEST_PROBE) - 1) // 2, d_vocab - 1)
    if repeated < 2:
        raise ValueError(
            f"To score heads takes 3 different tokens and a context of 5; "
            f"this model knows {d_vocab} and has a context of {n_ctx}."
        )
    drawn = np.random.default_rng(seed).choice(d_vocab, repeated + 1, replace=False)
    return np.concatenate([drawn, drawn[1:]])


def checked_ids(ids: Sequence[int] | Int[np.ndarray, " seq"]) -> Int[np.ndarray, " seq"]:
    """The ids as an array; ValueError unless they are whole numbers in one row, and at least one."""
    array = np.asarray(ids)
    if array.size == 0:
        raise ValueError("There are no ids: to score a head takes at least one token.")
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"The ids must be one row of whole numbers, not {array.dtype} of shape {array.shape}.")
    return array


def _checked_pattern(pattern: np.ndarray, n_tokens: int) -> Float[np.ndarray, "query key"]:
    """The part of a pattern that belongs to the tokens, in double precision."""
    if pattern.ndim != 2:
        raise ValueError(f"One head's pattern has the axes [query key]; this one has {pattern.ndim}.")
    if min(pattern.shape) < n_tokens:
        raise ValueError(f"There are {n_tokens} ids, and the pattern has room for {min(pattern.shape)}.")
    rows = pattern[:n_tokens].astype(np.float64)
    seen = rows[:, :n_tokens]
    # `not ... >= 0` also refuses NaN.
    wrong = {
        "has a share that is no share": ~(rows >= 0).all(axis=1),
        "looks ahead, and scores are for heads that cannot": np.triu(rows, 1).sum(axis=1) > TOLERANCE,
        "has shares that do not add up to 1": np.abs(seen.sum(axis=1) - 1) > TOLERANCE,
    }
    for what, queries in wrong.items():
        if queries.any():
            raise ValueError(f"Query {int(queries.argmax())} {what}.")
    return seen


def _targets(ids: Int[np.ndarray, " seq"]) -> dict[str, Bool[np.ndarray, "query key"]]:
    """For each role, the keys that a query would look at."""
    n_tokens = len(ids)
    same = ids[:, None] == ids
    first = np.zeros_like(same)
    first[2:, 0] = True
    after_same = np.zeros_like(same)
    after_same[:, 1:] = same[:, :-1]
    return {
        "previous": np.eye(n_tokens, k=-1, dtype=np.bool_),
        "current": np.eye(n_tokens, dtype=np.bool_),
        "first": first,
        "duplicate": np.tril(same, -1),
        "induction": np.tril(after_same),
    }


def _measured(pattern: Float[np.ndarray, "query key"], targets: dict[str, np.ndarray]) -> Measures:
    shares = {name: float(share_on(pattern, where)) for name, where in targets.items()}
    n_tokens = len(pattern)
    if n_tokens == 1:
        return Measures(**shares, sink=np.nan, entropy=np.nan, distance=np.nan)
    place = np.arange(n_tokens)
    received = np.tril(pattern, -1).sum(axis=0)[:-1] / place[:0:-1]
    logs = np.log(pattern, out=np.zeros_like(pattern), where=pattern > 0)
    entropy = -(pattern * logs).sum(axis=1)[1:] / np.log(place[1:] + 1)
    distance = (pattern * (place[:, None] - place)).sum(axis=1)[1:]
    return Measures(
        **shares,
        sink=float(received.max()),
        entropy=max(0.0, float(entropy.mean())),  # rounding can lead below 0
        distance=float(distance.mean()),
    )


def _scored(pattern: np.ndarray, targets: dict[str, np.ndarray], chance: Measures) -> HeadScores:
    seen = _checked_pattern(pattern, len(targets["current"]))
    return HeadScores(**asdict(_measured(seen, targets)), chance=chance)
