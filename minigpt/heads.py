"""What a head does, in numbers: the share of its attention that goes where a pattern says, against chance."""

import numpy as np
from jaxtyping import Bool, Float


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
