"""Two models of one text that differ in one thing: how the second begins, and what both can do from a prefix."""

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F

from minigpt.diagnosis import held_out_windows
from minigpt.training import TrainingState

N_LENGTHS = 8


def begun_alike(state: TrainingState, original: TrainingState) -> TrainingState:
    """The untrained `state`, begun as `original` was: the same batches in the same order, and the same weights.

    A model draws its weights and then its batches from one stream, so a model with fewer weights would see other
    batches. Here it takes on the original's stream where the batches begin, and the original's parameters wherever
    both have one of the same name and shape, unless that is all zeros; any other is as it was drawn.
    """
    model, theirs = copy.deepcopy(state.model), dict(original.model.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in theirs and theirs[name].shape == parameter.shape and theirs[name].any():
                parameter.copy_(theirs[name])
    return replace(state, model=model, rng=original.rng)


@torch.no_grad()
def prefix_loss(state: TrainingState) -> float:
    """Mean loss, in nats, of the token after a prefix, when the model reads that prefix and nothing more.

    The prefixes begin the windows that the validation loss is measured on, in N_LENGTHS lengths up to n_ctx. A causal
    model has the same losses there in the midst of a text; one that looks ahead has not.
    """
    windows, counts = held_out_windows(state)
    windows, counts = windows.to(state.model.embed.weight.device), counts.to(state.model.embed.weight.device)
    losses = []
    for length in torch.linspace(1, counts.shape[1], N_LENGTHS).round().long().unique().tolist():
        kept = counts[:, length - 1]
        if kept.any():
            logits = state.model(windows[kept, :length])[:, -1].float()
            losses.append(F.cross_entropy(logits, windows[kept, length], reduction="none"))
    return float(torch.cat(losses).double().mean())
