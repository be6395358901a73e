"""Through forward hooks: attention patterns, from the very pass that makes the logits shown, and heads muted."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.config import GPTConfig
from minigpt.heads import HeadScores, all_scores, checked_ids
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


def head_scores(model: Transformer, ids: Sequence[int] | Int[np.ndarray, " seq"]) -> tuple[tuple[HeadScores, ...], ...]:
    """What every head does on these ids, as [layer][head], from one forward pass; made for `minigpt.heads.probe`.

    Raises ValueError as `minigpt.heads.scores` does: for a model without a causal mask, too.
    """
    read = torch.tensor(checked_ids(ids), device=model.embed.weight.device)
    return all_scores(attention_patterns(model, read).float().cpu().numpy(), ids)


@contextmanager
def muted(model: Transformer, heads: Iterable[tuple[int, int]]) -> Iterator[None]:
    """While inside, these heads, each a (layer, head), write nothing; the hooks go whatever happens.

    A layer whose heads are all muted still writes its output bias. A muted head's pattern is 0 for those who listen
    from then on. Only passes of the thread that mutes are changed: others may use the same model at the same time.
    Raises ValueError for a head that the model does not have.
    """
    by_layer = _by_layer(heads, model.config)
    muter = threading.get_ident()

    def mute(silent: list[int]) -> Callable[[object, object, Tensor], Tensor | None]:
        def hook(_module: object, _inputs: object, pattern: Tensor) -> Tensor | None:
            if threading.get_ident() != muter:
                return None
            # A copy, not a product with 0: whoever has heard the pattern keeps it, and 0 x NaN would not be silence.
            return pattern.index_fill(1, torch.tensor(silent, device=pattern.device), 0)

        return hook

    handles = [
        model.blocks[layer].get_submodule("attention.hook_pattern").register_forward_hook(mute(silent))
        for layer, silent in by_layer.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _by_layer(heads: Iterable[tuple[int, int]], config: GPTConfig) -> dict[int, list[int]]:
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        # No counting from the end: -1 is more often a slip than the last head.
        if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
            raise ValueError(
                f"This model has layers 0 to {config.n_layers - 1} of heads 0 to {config.n_heads - 1}; "
                f"there is no head {head} in layer {layer}."
            )
        by_layer.setdefault(layer, []).append(head)
    return by_layer
