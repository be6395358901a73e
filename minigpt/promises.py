"""Whether a model keeps the promise of its lesson: is the pattern there, in which head, how near is the floor."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from minigpt.corpora import Lesson, drawn
from minigpt.data import counted, held_out, line_end
from minigpt.heads import TIMES_CHANCE as TIMES_CHANCE
from minigpt.heads import even_attention, share_on
from minigpt.hooks import listening
from minigpt.model import Transformer
from minigpt.source import no_targets
from minigpt.training import TrainingState

# What one look may cost: it comes after every slice of training, and must not hold it up whatever the settings are.
LONGEST = 128  # tokens of a window
MAX_PATTERNS = 4_000_000  # numbers in the patterns of all heads and windows together
LONGEST_PREFIX = 32  # A model that sees ahead must be asked once for each: long contexts would hold up the training.


@dataclass(frozen=True)
class Finding:
    """What was found at a step. kept: whether the whole promise holds.

    share: the best head's mean attention on the targets, 0 to 1, and `chance` what even attention would give; layer and
    head say which head, from 0. Without any target there is no share.
    gap: validation loss above the floor; turn: above its lowest value so far; both in nats.
    accuracy: of the tokens that can be known for certain, the share that the model gets right when it is given only
    what stands before them.
    Each is None where the lesson has none.
    """

    step: int
    kept: bool
    share: float | None = None
    chance: float | None = None
    layer: int = 0
    head: int = 0
    gap: float | None = None
    turn: float | None = None
    accuracy: float | None = None


def find(lesson: Lesson, state: TrainingState) -> Finding:
    """Measure a model on the stretches of the lesson's text that its validation loss is measured on."""
    promise, history = lesson.promise, state.history
    newline = line_end(state.tokenizer, state.training)
    places = held_out(state.ids, state.config.n_ctx, state.training, newline)[:, : LONGEST + 1]
    numbers = (places.shape[1] - 1) ** 2 * state.config.n_layers * state.config.n_heads
    places = places[: max(1, MAX_PATTERNS // numbers)]
    counts = counted(state.ids[places[:, 1:]], state.training.windows, newline).numpy()
    losses = [loss for _, loss in history.validation] or [np.inf]
    floor = history.references.floor
    gap = None if floor is None else losses[-1] - floor
    turn = None if promise.turn is None else losses[-1] - min(losses)
    share = chance = None
    layer = head = 0
    if promise.share is not None:
        shares, chance = _shares(lesson, state, state.ids[places[:, :-1]], counts)
        if promise.layer is not None and promise.layer < len(shares):
            shares[np.arange(len(shares)) != promise.layer] = 0
        layer, head = (int(i) for i in np.unravel_index(int(shares.argmax()), shares.shape))
        share = float(shares[layer, head]) if chance else None
    conditions = (
        promise.share is None or (share or 0) >= max(promise.share, TIMES_CHANCE * (chance or 0)),
        # A model with fewer layers has no such head: it cannot keep the promise.
        promise.layer is None or layer == promise.layer,
        promise.gap is None or (gap is not None and gap <= promise.gap),
        promise.turn is None or (turn or 0) >= promise.turn,
        not promise.under_pairs or losses[-1] < history.references.bigram,
    )
    accuracy = _accuracy(lesson, state, places, counts) if promise.knowable else None
    return Finding(state.step, all(conditions), share, chance, layer, head, gap, turn, accuracy)


@torch.no_grad()
def _shares(
    lesson: Lesson,
    state: TrainingState,
    inputs: Int[Tensor, "window query"],
    counts: Bool[np.ndarray, "window query"],
) -> tuple[Float[np.ndarray, "layer head"], float]:
    """Each head's share of attention on the lesson's targets over all windows, and the share by chance."""
    rows = [lesson.source.targets([state.tokenizer.token(index) for index in row]) for row in inputs.tolist()]
    n_tokens = inputs.shape[1]
    nowhere = no_targets(range(n_tokens))
    targets = np.concatenate([nowhere if row is None else row for row in rows]) & counts.reshape(-1, 1)
    with listening(state.model) as heard:
        state.model(inputs.to(state.model.embed.weight.device))
    pattern = torch.stack(heard).float().cpu().transpose(1, 2).flatten(2, 3).numpy()  # all queries of a head in one row
    even = np.tile(even_attention(n_tokens, state.config.causal), (len(inputs), 1))
    # Some settings of a lesson leave nothing to look back at: then there is no share, and no chance of one.
    return np.nan_to_num(share_on(pattern, targets)), float(np.nan_to_num(share_on(even, targets)))


def _accuracy(
    lesson: Lesson,
    state: TrainingState,
    places: Int[Tensor, "window place"],
    counts: Bool[np.ndarray, "window query"],
) -> float | None:
    known = drawn(lesson.source).log_probability
    if known is None or len(known) != len(state.ids):
        return None
    places, counts = places[:, : LONGEST_PREFIX + 1], counts[:, :LONGEST_PREFIX]
    return prefix_accuracy(state.model, state.ids[places], counts & (known[places[:, 1:].numpy()] > -1e-9))


@torch.no_grad()
def prefix_accuracy(
    model: Transformer, windows: Int[Tensor, "window place"], certain: Bool[np.ndarray, "window query"]
) -> float:
    """Of the `certain` tokens, how many the model's first choice gets right when it reads only what stands before them.

    certain[w, q]: whether the token after place q of window w counts. With the causal mask one pass answers for all
    prefixes; without it the model must not be shown the rest, and reads each prefix by itself.
    """
    inputs, answers = windows[:, :-1].to(model.embed.weight.device), windows[:, 1:].numpy()
    if model.config.causal:
        chosen = model(inputs).argmax(dim=-1).cpu().numpy()
    else:
        ends = range(1, inputs.shape[1] + 1)
        chosen = torch.stack([model(inputs[:, :end])[:, -1].argmax(dim=-1) for end in ends], dim=1).cpu().numpy()
    return float((chosen == answers)[certain].mean()) if certain.any() else 0.0
