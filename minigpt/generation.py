"""Writing: one token at a time, with a key-value cache, as an iterator that the caller may stop at any token."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from minigpt.config import SamplingConfig
from minigpt.decoder import Decoder, decodable
from minigpt.model import LayerCache, Transformer
from minigpt.tokenizer import Tokenizer

N_CANDIDATES = 10


@dataclass(frozen=True)
class GeneratedToken:
    """One token of a continuation.

    token: as it stands on an axis. text: what it adds to the continuation, space before it included.
    probability, rank: the model's own for this token, before temperature, top-k and top-p; rank 1 is the first choice.
    candidates: the most probable tokens with their probabilities, best first. n_others: how many tokens are not listed.
    slid: whether the oldest tokens had to be left out because the context was full.
    """

    index: int
    token: str
    text: str
    probability: float
    rank: int
    candidates: tuple[tuple[str, float], ...]
    n_others: int
    slid: bool


def choose(logits: Float[np.ndarray, " d_vocab"], sampling: SamplingConfig, rng: np.random.Generator) -> int:
    """The next id under temperature, then top-k, then top-p (Holtzman et al., 2020)."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    # From the best one down: however small the temperature, the best stays at 0, and the rest falls to -inf at worst.
    with np.errstate(over="ignore"):
        falls = (logits.astype(np.float64) - logits.max()) / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < len(falls):
        falls[falls < np.partition(falls, -sampling.top_k)[-sampling.top_k]] = -np.inf
    weights = np.exp(falls)
    if sampling.top_p is not None:
        order = np.argsort(-weights, kind="stable")
        # A token stays while what stands before it is under p; the first always stays.
        before = np.cumsum(weights[order]) - weights[order]
        dropped = before >= sampling.top_p * weights.sum()
        dropped[0] = False
        weights[order[dropped]] = 0
    reached = weights.cumsum()
    return int(np.searchsorted(reached, rng.random() * reached[-1], side="right"))


def generate_ids(
    model: Transformer, ids: Int[Tensor, " seq"], sampling: SamplingConfig, stop: int | None = None
) -> Iterator[tuple[int, Float[np.ndarray, " d_vocab"], bool]]:
    """Yield each new id, the logits it was chosen from, and whether the window slid; after the id `stop` no more.

    Beyond n_ctx tokens the model sees the newest n_ctx; keys and values of a window that slides must be made anew,
    because each position changes. So must those of a model without a causal mask: each new token changes all before it.
    """
    model.eval()
    n_ctx = model.config.n_ctx
    rng = np.random.default_rng(sampling.seed)
    window = ids.tolist()
    plain, decoder, cache, fresh = decodable(model), None, model.new_cache(), window[-n_ctx:]
    for _ in range(sampling.max_new_tokens):
        slid = len(window) > n_ctx
        if len(window) > n_ctx or not model.config.causal:
            decoder, cache, fresh = None, model.new_cache(), window[-n_ctx:]
        if decoder:
            logits = decoder.read(window[-1]).copy()
        else:
            logits = _read(model, fresh, cache)
            if plain and len(window) < n_ctx:
                decoder = Decoder(model, cache)
        index = choose(logits, sampling, rng)
        yield index, logits, slid
        if index == stop:
            return
        window.append(index)
        fresh = [index]


@torch.no_grad()
def _read(model: Transformer, ids: list[int], cache: list[LayerCache]) -> Float[np.ndarray, " d_vocab"]:
    """Logits of the token after these ids, from one pass of the model; the cache grows by them."""
    logits: np.ndarray = (
        model(torch.tensor([ids], device=model.embed.weight.device), cache)[0, -1].float().cpu().numpy()
    )
    return logits


def generate_tokens(
    model: Transformer,
    tokenizer: Tokenizer,
    ids: Int[Tensor, " seq"],
    sampling: SamplingConfig,
    stop: int | None = None,
) -> Iterator[GeneratedToken]:
    """Yield the continuation of a prompt's ids, token by token, up to the id `stop` where there is one.

    The model must not be one that trains meanwhile.
    """
    write = tokenizer.writer()
    for index in ids.tolist():
        write(index, False)
    for count, (index, logits, slid) in enumerate(generate_ids(model, ids, sampling, stop), start=1):
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        best = np.argpartition(-probabilities, min(N_CANDIDATES, len(logits)) - 1)[:N_CANDIDATES]
        best = best[np.argsort(-probabilities[best], kind="stable")]
        candidates = zip(best.tolist(), probabilities[best].tolist(), strict=True)
        yield GeneratedToken(
            index=index,
            token=tokenizer.token(index),
            text=write(index, count == sampling.max_new_tokens),
            probability=float(probabilities[index]),
            rank=int(np.count_nonzero(probabilities > probabilities[index])) + 1,
            candidates=tuple((tokenizer.token(i), p) for i, p in candidates),
            n_others=len(probabilities) - len(best),
            slid=slid,
        )
