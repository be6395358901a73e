"""Ids -> what a step of training needs: the split, one random batch, and the losses that need no model."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.config import GPTConfig, TrainingConfig, Windows
from minigpt.history import ReferenceLosses
from minigpt.source import NEWLINE
from minigpt.splitting import clean, split_words
from minigpt.tokenizer import UNKNOWN, Tokenizer

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


def split(ids: Int[Tensor, " seq"], validation_fraction: float = 0.1, newline: int | None = None) -> Split:
    """Cut the ids in two; each part has at least two tokens, so that each holds something to predict.

    With the id of a `newline`, the cut moves back to the start of its line, if there is one that leaves enough.
    """
    cut = len(ids) - max(2, round(len(ids) * validation_fraction))
    if newline is not None:
        line_starts = torch.nonzero(ids[:cut] == newline)[:, 0] + 1
        cut = int(line_starts[-1]) if len(line_starts) and line_starts[-1] >= 2 else cut
    return Split(train=ids[:cut], validation=ids[cut:])


def line_end(tokenizer: Tokenizer, training: TrainingConfig) -> int | None:
    """The id that ends a line, where windows begin at lines; else None. ValueError for a text without line ends."""
    if training.windows not in ("line starts", "single lines"):
        return None
    if tokenizer.unknown(NEWLINE):
        raise ValueError("This text has no line end, and windows at line starts need one. Let them begin anywhere.")
    return tokenizer.encode(NEWLINE)[-1]


def fitting_context(
    n_ctx: int, ids: Int[Tensor, " seq"], validation_fraction: float = 0.1, newline: int | None = None
) -> int:
    """The largest context, up to `n_ctx`, for which the training part holds a whole window and its next token."""
    return min(n_ctx, len(split(ids, validation_fraction, newline).train) - 1)


def window_starts(
    ids: Int[Tensor, " seq"], n_ctx: int, windows: Windows = "anywhere", newline: int | None = None
) -> Int[Tensor, " start"]:
    """Where a window of `n_ctx` ids and the id after it may begin.

    "anywhere"; at the starts of lines, which are the first id and those after a `newline` id; or in "chunks" that
    neither overlap nor touch, so that the step from one to the next is never seen.
    """
    last = len(ids) - n_ctx
    if windows == "chunks":
        return torch.arange(0, last, n_ctx + 1)
    if newline is not None:
        at_start = torch.cat([torch.ones(1, dtype=torch.bool), ids[:-1] == newline])
        return torch.nonzero(at_start[:last])[:, 0]
    return torch.arange(last)


def counted(targets: Int[Tensor, "batch query"], windows: Windows, newline: int | None) -> Bool[Tensor, "batch query"]:
    """Which targets count for the loss: all; or, of "single lines", those up to the end of the first line."""
    if windows != "single lines" or newline is None:
        return torch.ones_like(targets, dtype=torch.bool)
    ends = torch.eq(targets, newline)
    return (ends.cumsum(dim=1) - ends.long()) == 0


def random_batch(
    ids: Int[Tensor, " seq"], starts: Int[Tensor, " start"], n_ctx: int, batch_size: int, rng: torch.Generator
) -> tuple[Int[Tensor, "batch query"], Int[Tensor, "batch query"]]:
    """Windows that begin at any of the starts, and the same windows one token later."""
    chosen = starts[torch.randint(len(starts), (batch_size,), generator=rng)]
    windows = ids[chosen[:, None] + torch.arange(n_ctx + 1)]
    return windows[:, :-1], windows[:, 1:]


def even_windows(
    ids: Int[Tensor, " seq"], n_ctx: int, windows: Windows = "anywhere", newline: int | None = None
) -> Int[Tensor, "window place"]:
    """Places of windows and of the token after each, spread evenly over the ids; always the same ones, for validation.

    About 1,500 tokens, and 24 windows or more where there are so many.
    """
    n_ctx = min(n_ctx, len(ids) - 1)
    starts = window_starts(ids, n_ctx, windows, newline)
    count = min(max(24, 1536 // n_ctx), (len(ids) - 1 - n_ctx) // n_ctx + 1, len(starts))
    return starts[torch.linspace(0, len(starts) - 1, count).long()][:, None] + torch.arange(n_ctx + 1)


def held_out(
    ids: Int[Tensor, " seq"], n_ctx: int, training: TrainingConfig, newline: int | None
) -> Int[Tensor, "window place"]:
    """Places, in all the ids, of the windows that the validation loss is measured on."""
    validation = split(ids, training.validation_fraction, newline).validation
    return len(ids) - len(validation) + even_windows(validation, n_ctx, training.windows, newline)


def entropy(counts: Int[np.ndarray, " symbol"] | Float[np.ndarray, " symbol"]) -> float:
    """Shannon entropy, in nats, of the distribution that the counts estimate."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def reference_losses(
    ids: Int[Tensor, " seq"], d_vocab: int, floor: float | None = None, line_end: int | None = None
) -> ReferenceLosses:
    """ln V, and the unigram and bigram losses of the ids under their own counts (plug-in entropies, in nats a token).

    The bigram loss is H(token | token before) = H(pairs) - H(first of a pair). With a `line_end`, every line is a text
    of its own: its first token is given, never predicted, and so does not count here either.
    """
    array = ids.numpy()
    first, second = array[:-1], array[1:]
    if line_end is not None:
        first, second = first[first != line_end], second[first != line_end]
        array = second
    _, pair_counts = np.unique(first * d_vocab + second, return_counts=True)
    return ReferenceLosses(
        uniform=float(np.log(d_vocab)),
        unigram=entropy(np.bincount(array)),
        bigram=max(0.0, entropy(pair_counts) - entropy(np.bincount(first))),
        floor=floor,
    )


def fit(
    ids: Int[Tensor, " seq"],
    tokenizer: Tokenizer,
    config: GPTConfig,
    training: TrainingConfig,
    log_probability: Float[np.ndarray, " seq"] | None = None,
) -> tuple[GPTConfig, ReferenceLosses]:
    """The model's shape with the context and the vocabulary of the text, and the losses that need no model.

    log_probability: ln P of each of the ids under their source. The floor is the source's own loss on the very tokens
    that the validation loss is measured on, so that the two can be compared to the last digit.
    """
    newline = line_end(tokenizer, training)
    n_ctx = fitting_context(config.n_ctx, ids, training.validation_fraction, newline)
    floor = None
    if log_probability is not None:
        places = held_out(ids, n_ctx, training, newline)[:, 1:]
        floor = -float(log_probability[places[counted(ids[places], training.windows, newline)].numpy()].mean())
    train = split(ids, training.validation_fraction, newline).train
    alone = newline if training.windows == "single lines" else None
    references = reference_losses(train, tokenizer.d_vocab, floor, alone)
    return replace(config, n_ctx=n_ctx, d_vocab=tokenizer.d_vocab), references
