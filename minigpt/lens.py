"""Inside the model: what each layer would answer already, and which tokens lie near each other in its embedding."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.model import Transformer


@contextmanager
def residuals(model: Transformer) -> Iterator[list[Float[Tensor, "batch seq d_model"]]]:
    """While inside, each forward pass appends the residual stream: before the first block, then after each.

    The hooks go whatever happens. Only passes of the thread that listens are heard.
    """
    heard: list[Tensor] = []
    listener = threading.get_ident()

    def hear_before(_module: object, inputs: tuple[object, ...]) -> None:
        if threading.get_ident() == listener:
            heard.append(cast(Tensor, inputs[0]))

    def hear_after(_module: object, _inputs: object, resid: Tensor) -> None:
        if threading.get_ident() == listener:
            heard.append(resid)

    handles = [model.blocks[0].register_forward_pre_hook(hear_before)]
    handles += [block.register_forward_hook(hear_after) for block in model.blocks]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def logit_lens(model: Transformer, ids: Int[Tensor, " seq"]) -> Float[Tensor, "layer seq d_vocab"]:
    """Logits of the next token, as if the model ended after each layer, from one forward pass over at most n_ctx ids.

    Layer 0 is the embedding, before any block; the last of the n_layers + 1 is the model's own answer, bit for bit.
    Each residual stream goes through the last LayerNorm and the unembedding, which were trained for the last one only:
    what an early layer seems to say is a guess. Source: nostalgebraist, 2020, "interpreting GPT: the logit lens".
    Raises ValueError where there are no ids, or more than n_ctx.
    """
    if not len(ids):
        raise ValueError("There are no ids: to look into the layers takes at least one token.")
    with residuals(model) as heard:
        logits = model(ids)
    *inner, _ = heard
    early = [model.unembed(model.ln_final(resid))[0] for resid in inner]
    return torch.stack([*early, logits])


@dataclass(frozen=True)
class Guesses:
    """What each layer would answer after each token.

    first, p_first: the id of the likeliest token, and its probability.
    p_came, rank: of the token that came; rank 1 is the first choice. NaN and 0 where none has come.
    """

    first: Int[np.ndarray, "layer seq"]
    p_first: Float[np.ndarray, "layer seq"]
    p_came: Float[np.ndarray, "layer seq"]
    rank: Int[np.ndarray, "layer seq"]


def guesses(logits: Float[Tensor, "layer seq d_vocab"], came: Int[Tensor, " came"]) -> Guesses:
    """The layers' first choices, and how likely each thought the token that came.

    logits: as `logit_lens` gives them. came: ids of the tokens after the first, the second and so on, at most seq.
    """
    p = logits.float().softmax(dim=-1).cpu()
    p_first, first = p.max(dim=-1)
    p_came, rank = torch.full_like(p_first, torch.nan), torch.zeros_like(first)
    # What the vocabulary lacks has the id -1, and no chance to come: the last column.
    own = F.pad(p, (0, 1))[:, torch.arange(len(came)), came.cpu()]
    p_came[:, : len(came)] = own
    rank[:, : len(came)] = 1 + (p[:, : len(came)] > own[..., None]).sum(dim=-1)
    return Guesses(first.numpy(), p_first.numpy(), p_came.numpy(), rank.numpy())


@dataclass(frozen=True)
class EmbeddingMap:
    """Where each token lies on the plane that keeps most of an embedding's variance.

    explained: the share of all variance along each of the two axes, the larger first. The rest is not on the map: two
    tokens may be near each other here and far apart in the model.
    """

    places: Float[np.ndarray, "d_vocab 2"]
    explained: tuple[float, float]


def embedding_map(weight: Float[Tensor, "d_vocab d_model"]) -> EmbeddingMap:
    """The two principal components of an embedding, such as `model.embed.weight`.

    Each axis points to where its largest entry over d_model is positive, so that the same weights give the same map.
    An axis along which nothing differs is 0 for all tokens, and explains 0. Source: Pearson, 1901.
    Raises ValueError for an embedding that is not all numbers.
    """
    rows = weight.detach().double().cpu().numpy()
    if not np.isfinite(rows).all():
        raise ValueError("Parts of this embedding are not numbers, so it has no map; a lower learning rate may help.")
    centred = rows - rows.mean(axis=0)
    # The triangle of a QR has the same principal axes, and is small where the vocabulary is large.
    _, spreads, axes = np.linalg.svd(np.linalg.qr(centred, mode="r"), full_matrices=False)
    axes = axes[:2]
    largest = np.abs(axes).argmax(axis=1)
    axes *= np.sign(axes[np.arange(len(axes)), largest])[:, None]
    places, explained = np.zeros((len(rows), 2)), np.zeros(2)
    # Below that it is rounding: the mean of equal rows need not be exactly their value.
    if spreads[0] > 1e-12 * np.abs(rows).max():
        places[:, : len(axes)] = centred @ axes.T
        explained[: len(axes)] = spreads[:2] ** 2 / (spreads**2).sum()
    return EmbeddingMap(places, (float(explained[0]), float(explained[1])))
