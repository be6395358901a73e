"""What the heads of a trained model do, on text that it was not trained on: their roles, and what muting them costs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor

from minigpt.data import counted, held_out, line_end, split_for
from minigpt.heads import HeadScores, probe
from minigpt.hooks import head_scores, muted
from minigpt.training import TrainingState

ScoredOn = Literal["random tokens", "a line held out"]


@dataclass(frozen=True)
class Diagnosis:
    """scores: what each head does, as [layer][head]; scored_on: what was read for it, and ids: its tokens."""

    scores: tuple[tuple[HeadScores, ...], ...]
    scored_on: ScoredOn
    ids: tuple[int, ...]


def scoring_ids(state: TrainingState) -> tuple[Int[np.ndarray, " seq"], ScoredOn]:
    """What to score the heads of a model on: `minigpt.heads.probe`, random tokens of its text and the same again.

    A model that learned from lines that stand alone knows no such text: for it the longest line held out, whole.
    Raises ValueError where the vocabulary or the context is too small for a probe.
    """
    newline = line_end(state.tokenizer, state.training)
    if newline is None:
        # A piece that the text never holds was never trained: what a head does with it says nothing.
        known = np.unique(split_for(state.ids, state.config.n_ctx, state.training, newline).train.numpy())
        return known[probe(len(known), state.config.n_ctx)], "random tokens"
    places = held_out(state.ids, state.config.n_ctx, state.training, newline)[:, :-1]
    windows = state.ids[places]
    ends = torch.eq(windows, newline)
    # A line that does not end inside its window is as long as the window.
    lengths = torch.where(ends.any(dim=1), ends.int().argmax(dim=1) + 1, windows.shape[1])
    longest = int(lengths.argmax())
    return windows[longest, : int(lengths[longest])].numpy(), "a line held out"


def diagnose(state: TrainingState) -> Diagnosis | None:
    """What each head does, from one forward pass; None where that cannot be said.

    Heads that may look ahead have no such roles, and a very small vocabulary or context has room for no probe.
    """
    if not state.config.causal:
        return None
    try:
        ids, scored_on = scoring_ids(state)
    except ValueError:
        return None
    return Diagnosis(head_scores(state.model, ids), scored_on, tuple(int(index) for index in ids))


def held_out_windows(state: TrainingState) -> tuple[Int[Tensor, "window place"], Bool[Tensor, "window query"]]:
    """The windows that the validation loss is measured on, each with its next token, and which targets count."""
    newline = line_end(state.tokenizer, state.training)
    windows = state.ids[held_out(state.ids, state.config.n_ctx, state.training, newline)]
    return windows, counted(windows[:, 1:], state.training.windows, newline)


@torch.no_grad()
def loss_without(state: TrainingState, heads: Iterable[tuple[int, int]] = ()) -> float:
    """The validation loss, in nats a token, while these (layer, head) write nothing.

    Without any it is the model's own. A head costs what the loss is more without it; below 0 the model predicts better.
    That is not its share of the work: heads that do the same cost nothing one by one. Raises ValueError for a head that
    the model does not have.
    """
    windows, counts = (each.to(state.model.embed.weight.device) for each in held_out_windows(state))
    with muted(state.model, heads):
        logits = state.model(windows[:, :-1]).float().flatten(0, 1)
    losses = F.cross_entropy(logits, windows[:, 1:].flatten(), reduction="none")
    return float(losses[counts.flatten()].double().mean())
