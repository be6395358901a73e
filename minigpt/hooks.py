"""Attention patterns, taken through forward hooks on the very pass that makes the logits shown."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.model import Transformer


@dataclass(frozen=True)
class AttentionView:
    """What every head of every layer looked at, for one text.

    pattern: rows (queries) sum to 1. logits: of the token after each query, from the same pass.
    dropped: how many tokens at the start were left out because the model sees only n_ctx.
    """

    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    pattern: Float[np.ndarray, "layer head query key"]
    logits: Float[np.ndarray, "query d_vocab"]
    causal: bool
    dropped: int = 0


@contextmanager
def listening(
    model: Transformer, keep: Callable[[Tensor], Tensor] = lambda pattern: pattern
) -> Iterator[list[Float[Tensor, "batch head query key"]]]:
    """While inside, each forward pass appends every layer's pattern to the list; the hooks go whatever happens.

    keep: what of a pattern is kept, such as a copy elsewhere that lets the model use its memory again.
    Only passes of the thread that listens are heard: others may use the same model at the same time.
    """
    heard: list[Tensor] = []
    listener = threading.get_ident()

    def hear(_module: object, _inputs: object, pattern: Tensor) -> None:
        if threading.get_ident() == listener:
            heard.append(keep(pattern))

    handles = [block.get_submodule("attention.hook_pattern").register_forward_hook(hear) for block in model.blocks]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def patterns_and_logits(
    model: Transformer, ids: Int[Tensor, " seq"]
) -> tuple[Float[Tensor, "layer head query key"], Float[Tensor, "query d_vocab"]]:
    """One forward pass: what every head looked at, and the logits that came of it."""
    config, n_tokens = model.config, len(ids)
    patterns = model.embed.weight.new_empty(config.n_layers, config.n_heads, n_tokens, n_tokens)
    places = iter(patterns)
    # Copied at once, into memory that is set aside: to keep every layer's own and stack them takes twice as long.
    with torch.inference_mode(), listening(model, keep=lambda pattern: next(places).copy_(pattern[0])):
        logits = model(ids)
    # What is made in inference mode refuses most of what a reader may want to do with it; a copy does not.
    return patterns, logits.clone()


def attention_patterns(model: Transformer, ids: Int[Tensor, " seq"]) -> Float[Tensor, "layer head query key"]:
    """What every head of every layer looks at; rows sum to 1. At most n_ctx ids."""
    return patterns_and_logits(model, ids)[0]
