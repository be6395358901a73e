"""Ids -> what a step of training needs: the split, one random batch, and the losses that need no model."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.config import GPTConfig, TrainingConfig, Windows
from minigpt.fitting import NO_SPACES, fitting
from minigpt.history import ReferenceLosses
from minigpt.source import NEWLINE
from minigpt.splitting import clean, split_words
from minigpt.tokenizer import UNKNOWN, Tokenizer

MIN_TOKENS = 4
ENOUGH_LETTERS = 20  # of which something can be learned letter by letter
UNITS = {"word": "word", "character": "letter", "bpe": "piece"}  # what a token is, by the tokenizer's kind
# Of a part held out that is spread over the text: at most so many pieces, of at least so many tokens.
MOST_PIECES, PIECE_TOKENS = 10, 32


def text_to_tensor(text: str, word_index: dict[str, int]) -> Int[Tensor, " seq"]:
    """Ids of the words of a text under `create_word_index`'s vocabulary; a word it lacks becomes `<unk>`'s id."""
    unknown = word_index[UNKNOWN]
    return torch.tensor([word_index.get(word, unknown) for word in split_words(clean(text))], dtype=torch.int64)


def encode_text(text: str, tokenizer: Tokenizer) -> Int[Tensor, " seq"]:
    """Ids of a training text.

    Raises ValueError, in the reader's words, where nothing could be learned from it.
    """
    ids = tokenizer.encode(text)
    if len(ids) < MIN_TOKENS and tokenizer.kind == "word" and fitting(text).why == NO_SPACES:
        raise ValueError(f"{NO_SPACES}: split it into letters or pieces.")
    if not ids:
        raise ValueError("There is no text to learn from. Paste at least 20 words, or pick a lesson.")
    if len(ids) < MIN_TOKENS and tokenizer.kind == "bpe" and len(clean(text)) >= ENOUGH_LETTERS:
        raise ValueError("This text repeats itself so much that it is hardly a few pieces: split it into letters.")
    if len(ids) < MIN_TOKENS:
        count = {1: "One token is", 2: "Two tokens are", 3: "Three tokens are"}[len(ids)]
        raise ValueError(f"{count} too little to learn from. Paste at least 20 words, or pick a lesson.")
    return torch.tensor(ids, dtype=torch.int64)


@dataclass(frozen=True)
class Split:
    """The training part of some ids, and the validation part.

    train_runs, validation_runs: the stretches of ids that each part is made of, as (first place, place after the last).
    """

    ids: Int[Tensor, " seq"]
    train_runs: tuple[tuple[int, int], ...]
    validation_runs: tuple[tuple[int, int], ...]

    @property
    def train(self) -> Int[Tensor, " seq"]:
        """The ids to learn from, one stretch after the other."""
        return torch.cat([self.ids[start:stop] for start, stop in self.train_runs])

    @property
    def validation(self) -> Int[Tensor, " seq"]:
        """The ids held out, one stretch after the other."""
        return torch.cat([self.ids[start:stop] for start, stop in self.validation_runs])


def n_pieces(n_ids: int, n_ctx: int, training: TrainingConfig) -> int:
    """In how many pieces so many ids are held out.

    Those spread over a text have room for a few words each, and between them stay two windows to train on. Where the
    text is too short for that, its end is held out in one.
    """
    n_held = _n_held(n_ids, training.validation_fraction)
    if training.validation_place == "end":
        return 1
    return max(1, min(MOST_PIECES, n_held // PIECE_TOKENS, (n_ids - n_held) // (2 * n_ctx + 2)))


def _n_held(n_ids: int, validation_fraction: float) -> int:
    return max(2, round(n_ids * validation_fraction))


def split(
    ids: Int[Tensor, " seq"], validation_fraction: float = 0.1, newline: int | None = None, pieces: int = 1
) -> Split:
    """Cut the ids in two parts of at least two tokens, so that each holds something to predict.

    One piece is held out from the end, several from the middles of as many equal sections. With the id of a `newline`,
    each cut moves back to the start of its line, if there is one that leaves enough.
    """
    n, n_held = len(ids), _n_held(len(ids), validation_fraction)
    cuts = [n - n_held, n]
    if pieces > 1:
        length = n_held // pieces
        middles = [n * (2 * piece + 1) // (2 * pieces) for piece in range(pieces)]
        cuts = [cut for middle in middles for cut in (middle - length // 2, middle - length // 2 + length)]
    if newline is not None:
        line_starts = (torch.nonzero(ids == newline)[:, 0] + 1).numpy()
        for index, cut in enumerate(cuts):
            before = int(np.searchsorted(line_starts, cut, side="right"))
            enough = (cuts[index - 1] if index else 0) + 2
            if cut < n and before and line_starts[before - 1] >= enough:
                cuts[index] = int(line_starts[before - 1])
    held = tuple(zip(cuts[::2], cuts[1::2], strict=True))
    between = tuple(zip([0, *cuts[1::2]], [*cuts[::2], n], strict=True))
    return Split(ids, tuple(run for run in between if run[0] < run[1]), held)


def split_for(ids: Int[Tensor, " seq"], n_ctx: int, training: TrainingConfig, newline: int | None) -> Split:
    """How a run of these settings cuts its text."""
    return split(ids, training.validation_fraction, newline, n_pieces(len(ids), n_ctx, training))


def line_end(tokenizer: Tokenizer, training: TrainingConfig) -> int | None:
    """The id that ends a line, where windows begin at lines; else None. ValueError for a text without line ends."""
    if training.windows not in ("line starts", "single lines"):
        return None
    if tokenizer.unknown(NEWLINE):
        raise ValueError("This text has no line end, and windows at line starts need one. Let them begin anywhere.")
    return tokenizer.encode(NEWLINE)[-1]


def fitting_context(
    n_ctx: int, ids: Int[Tensor, " seq"], training: TrainingConfig | None = None, newline: int | None = None
) -> int:
    """The largest context, up to `n_ctx`, for which the training part holds a whole window and its next token."""
    runs = split_for(ids, n_ctx, training or TrainingConfig(), newline).train_runs
    return min(n_ctx, max(stop - start for start, stop in runs) - 1)


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


def starts_within(
    ids: Int[Tensor, " seq"],
    runs: tuple[tuple[int, int], ...],
    n_ctx: int,
    windows: Windows = "anywhere",
    newline: int | None = None,
) -> Int[Tensor, " start"]:
    """Where, in all the ids, a window may begin that stays within one of the runs."""
    found = [
        start + window_starts(ids[start:stop], n_ctx, windows, newline) for start, stop in runs if stop - start > n_ctx
    ]
    return torch.cat(found)


def even_windows(
    ids: Int[Tensor, " seq"],
    n_ctx: int,
    windows: Windows = "anywhere",
    newline: int | None = None,
    runs: tuple[tuple[int, int], ...] = (),
) -> Int[Tensor, "window place"]:
    """Places of windows and of the token after each, spread evenly over the ids; always the same ones, for validation.

    About 1,500 tokens, and 24 windows or more where there are so many. runs: the stretches that windows stay within;
    without any it is all the ids. Where runs are short, windows are as long as they are on average.
    """
    runs = runs or ((0, len(ids)),)
    lengths = [stop - start for start, stop in runs]
    n_ctx = min(n_ctx, sum(lengths) // len(lengths) - 1)
    starts = starts_within(ids, runs, n_ctx, windows, newline)
    room = sum(max(0, length - 1) // n_ctx for length in lengths)
    count = min(max(24, 1536 // n_ctx), room, len(starts))
    return starts[torch.linspace(0, len(starts) - 1, count).long()][:, None] + torch.arange(n_ctx + 1)


def held_out(
    ids: Int[Tensor, " seq"], n_ctx: int, training: TrainingConfig, newline: int | None
) -> Int[Tensor, "window place"]:
    """Places, in all the ids, of the windows that the validation loss is measured on."""
    runs = split_for(ids, n_ctx, training, newline).validation_runs
    return even_windows(ids, n_ctx, training.windows, newline, runs)


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
    n_ctx = fitting_context(config.n_ctx, ids, training, newline)
    floor = None
    if log_probability is not None:
        places = held_out(ids, n_ctx, training, newline)[:, 1:]
        floor = -float(log_probability[places[counted(ids[places], training.windows, newline)].numpy()].mean())
    train = split_for(ids, n_ctx, training, newline).train
    alone = newline if training.windows == "single lines" else None
    references = replace(reference_losses(train, tokenizer.d_vocab, floor, alone), unit=UNITS[tokenizer.kind])
    return replace(config, n_ctx=n_ctx, d_vocab=tokenizer.d_vocab), references


def unlike_at_end(ids: Int[Tensor, " seq"], validation_fraction: float) -> bool:
    """Whether the end of a text, so long a share of it, is unlike the rest: another language, a licence, an index.

    Each part of that length is predicted from the counts of single tokens in all the others. The end is unlike them
    where it is predicted worse by half a nat than they are on average, and by three times their deviation.
    """
    array, length = ids.numpy(), _n_held(len(ids), validation_fraction)
    if length < PIECE_TOKENS or len(ids) < 4 * length:
        return False
    total = np.bincount(array)
    losses = []
    for stop in range(len(array), length - 1, -length):
        part = array[stop - length : stop]
        rest = total - np.bincount(part, minlength=len(total)) + 0.5
        losses.append(-float(np.log(rest[part] / rest.sum()).mean()))
    end, others = losses[0], np.array(losses[1:])
    return end > float(others.mean()) + max(0.5, 3 * float(others.std()))
