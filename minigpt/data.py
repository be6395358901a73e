"""Ids -> what a step of training needs: the split, one random batch, and the losses that need no model."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.history import ReferenceLosses
from minigpt.tokenizer import UNKNOWN, Tokenizer, clean, split_words

MIN_TOKENS = 4


def text_to_tensor(text: str, word_index: dict[str, int]) -> Int[Tensor, " seq"]:
    """Ids of the words of a text under `create_word_index`'s vocabulary; a word it lacks becomes `<unk>`'s id."""
    unknown = word_index[UNKNOWN]
    return torch.tensor([word_index.get(word, unknown) for word in split_words(clean(text))], dtype=torch.int64)


def encode_text(text: str, tokenizer: Tokenizer) -> Int[Tensor, " seq"]:
    """Ids of a training text.

    Raises ValueError, in the reader's words, where nothing could be learned from it.
    """
    ids = tokenizer.encode(text)
    if not ids:
        raise ValueError("There is no text to learn from. Paste at least 20 words, or pick a lesson.")
    if len(ids) < MIN_TOKENS:
        count = {1: "One token is", 2: "Two tokens are", 3: "Three tokens are"}[len(ids)]
        raise ValueError(f"{count} too little to learn from. Paste at least 20 words, or pick a lesson.")
    return torch.tensor(ids, dtype=torch.int64)


@dataclass(frozen=True)
class Split:
    """The training part of the ids, and the validation part from their end."""

    train: Int[Tensor, " seq"]
    validation: Int[Tensor, " seq_validation"]


def split(ids: Int[Tensor, " seq"], validation_fraction: float = 0.1) -> Split:
    """Cut the ids in two; each part has at least two tokens, so that each holds something to predict."""
    n_validation = max(2, round(len(ids) * validation_fraction))
    return Split(train=ids[:-n_validation], validation=ids[-n_validation:])


def fitting_context(n_ctx: int, ids: Int[Tensor, " seq"], validation_fraction: float = 0.1) -> int:
    """The largest context, up to `n_ctx`, for which the training part holds a whole window and its next token."""
    return min(n_ctx, len(split(ids, validation_fraction).train) - 1)


def random_batch(
    ids: Int[Tensor, " seq"], n_ctx: int, batch_size: int, rng: torch.Generator
) -> tuple[Int[Tensor, "batch query"], Int[Tensor, "batch query"]]:
    """Windows that start anywhere in the ids, and the same windows one token later."""
    starts = torch.randint(len(ids) - n_ctx, (batch_size,), generator=rng)
    windows = ids[starts[:, None] + torch.arange(n_ctx + 1)]
    return windows[:, :-1], windows[:, 1:]


def even_windows(
    ids: Int[Tensor, " seq"], n_ctx: int, max_windows: int = 24
) -> tuple[Int[Tensor, "batch query"], Int[Tensor, "batch query"]]:
    """At most `max_windows` windows spread evenly over the ids; always the same ones, for validation."""
    n_ctx = min(n_ctx, len(ids) - 1)
    last = len(ids) - 1 - n_ctx
    count = min(max_windows, last // n_ctx + 1)
    starts = torch.linspace(0, last, count).long()
    windows = ids[starts[:, None] + torch.arange(n_ctx + 1)]
    return windows[:, :-1], windows[:, 1:]


def entropy(counts: Int[np.ndarray, " symbol"] | Float[np.ndarray, " symbol"]) -> float:
    """Shannon entropy, in nats, of the distribution that the counts estimate."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def reference_losses(ids: Int[Tensor, " seq"], d_vocab: int, floor: float | None = None) -> ReferenceLosses:
    """ln V, and the unigram and bigram losses of the ids under their own counts (plug-in entropies, in nats a token).

    The bigram loss is H(token | token before) = H(pairs) - H(first of a pair).
    """
    array = ids.numpy()
    first, second = array[:-1], array[1:]
    _, pair_counts = np.unique(first * d_vocab + second, return_counts=True)
    return ReferenceLosses(
        uniform=float(np.log(d_vocab)),
        unigram=entropy(np.bincount(array)),
        bigram=max(0.0, entropy(pair_counts) - entropy(np.bincount(first))),
        floor=floor,
    )
