"""The whole model, in the order it computes: pattern, attention, MLP, block, transformer.

Pre-LN: `resid += attention(ln(resid)); resid += mlp(ln(resid))`, a last LN, logits out. Shapes are in the annotations;
axes are named once for the whole package: batch, layer, head, query, key, seq, and the widths d_model, d_head, d_mlp,
d_vocab.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from minigpt.config import GPTConfig

# A partial and not a lambda: a model must be able to travel to another process.
ACT_FNS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
}
EMBED_STD = 0.02
# Small for a language model of this size on purpose: 10,000, the usual base, turns too slowly to matter in 64 tokens.
ROTARY_BASE = 100.0


def causal_pattern(
    q: Float[Tensor, "*batch query d_head"],
    k: Float[Tensor, "*batch key d_head"],
    causal: bool = True,
    scale_scores: bool = True,
) -> Float[Tensor, "*batch query key"]:
    """How much each query looks at each key: softmax(q k^T / sqrt(d_head)); its rows sum to 1.

    Source: Vaswani et al., 2017, equation 1.

    The last query stands at the last key. With `causal` the weight on keys after the query is exactly 0.
    """
    n_query, n_key, d_head = q.shape[-2], k.shape[-2], q.shape[-1]
    scale = 1 / math.sqrt(d_head) if scale_scores else 1.0
    keys = k.reshape(-1, n_key, d_head).transpose(-1, -2)
    if causal:
        # Mask, scale and product in one operation.
        mask = _ahead(n_query, n_key, q.dtype, q.device)
        scores = torch.baddbmm(mask, q.reshape(-1, n_query, d_head), keys, alpha=scale)
    else:
        scores = scale * torch.bmm(q.reshape(-1, n_query, d_head), keys)
    return scores.softmax(dim=-1).view(*q.shape[:-1], n_key)


@lru_cache(maxsize=1)  # All layers of a pass need the same one, and a large one is 64 MB.
def _ahead(n_query: int, n_key: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "query key"]:
    """-inf where the key comes after the query. No large number instead: exp(-inf) is exactly 0, exp(-100) is not."""
    return torch.full((n_query, n_key), -torch.inf, dtype=dtype, device=device).triu(n_key - n_query + 1)


def sinusoids(n_ctx: int, d_model: int) -> Float[Tensor, "seq d_model"]:
    """sin and cos of the position, at wavelengths from 2 pi to 10,000 x 2 pi tokens (Vaswani et al., 2017, 3.5)."""
    position = torch.arange(n_ctx)[:, None]
    frequency = torch.exp(-math.log(10_000) * torch.arange(0, d_model, 2) / d_model)
    angle = position * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(start_dim=1)


def rotary_turns(n_ctx: int, d_head: int) -> Float[Tensor, "seq pair 2"]:
    """cos and sin of position x frequency, for `rotate` (Su et al., 2021)."""
    frequency = ROTARY_BASE ** (-torch.arange(0, d_head, 2) / d_head)
    angle = torch.arange(n_ctx)[:, None] * frequency
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def rotate(
    x: Float[Tensor, "*batch seq width"], turns: Float[Tensor, "seq pair 2"]
) -> Float[Tensor, "*batch seq width"]:
    """Turn each two neighbours by their position's angle, in place: q . k then depends on their distance alone.

    As complex numbers that is one product.
    """
    pairs = torch.view_as_complex(x.view(*x.shape[:-1], x.shape[-1] // 2, 2))
    pairs *= torch.view_as_complex(turns)
    return x


class LayerCache:
    """Keys and values of the tokens that one layer has read, in memory set aside once."""

    def __init__(self, batch: int, config: GPTConfig, like: Tensor) -> None:
        shape = (2, batch, config.n_heads, config.n_ctx, config.d_head)
        self._kv = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.length = 0

    def extend(
        self, k: Float[Tensor, "batch head query d_head"], v: Float[Tensor, "batch head query d_head"]
    ) -> tuple[Float[Tensor, "batch head key d_head"], Float[Tensor, "batch head key d_head"]]:
        """Append, and return all keys and values so far."""
        end = self.length + k.shape[2]
        self._kv[0, :, :, self.length : end] = k
        self._kv[1, :, :, self.length : end] = v
        self.length = end
        return self.contents()

    def contents(self) -> tuple[Float[Tensor, "batch head key d_head"], Float[Tensor, "batch head key d_head"]]:
        """All keys and values so far."""
        return self._kv[0, :, :, : self.length], self._kv[1, :, :, : self.length]


class MultiHeadedAttention(nn.Module):
    """All heads of a layer at once, from one fused projection for queries, keys and values."""

    turns: Tensor

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        width = config.n_heads * config.d_head
        self.qkv = nn.Linear(config.d_model, 3 * width, bias=config.bias)
        self.out = nn.Linear(width, config.d_model, bias=config.bias)
        # The pattern passes through here so that a forward hook can see it, or replace it: [batch head query key].
        self.hook_pattern = nn.Identity()
        if config.positions == "rotary":
            # Once for every head's query and key, as they stand side by side in what `qkv` puts out.
            turns = rotary_turns(config.n_ctx, config.d_head).repeat(1, 2 * config.n_heads, 1)
            self.register_buffer("turns", turns, persistent=False)

    def qkv_heads(
        self, x: Float[Tensor, "batch query d_model"], start: int = 0
    ) -> Float[Tensor, "3 batch head query d_head"]:
        """Queries, keys (both turned, if positions are rotary) and values of every head.

        `start` is the position of the first token of x.
        """
        config = self.config
        batch, n_query, _ = x.shape
        qkv = self.qkv(x)
        if config.positions == "rotary":
            rotate(qkv[..., : 2 * config.n_heads * config.d_head], self.turns[start : start + n_query])
        return qkv.view(batch, n_query, 3, config.n_heads, config.d_head).permute(2, 0, 3, 1, 4)

    def forward(
        self, x: Float[Tensor, "batch query d_model"], cache: LayerCache | None = None
    ) -> Float[Tensor, "batch query d_model"]:
        """What the heads together write to the residual stream."""
        config = self.config
        q, k, v = self.qkv_heads(x, cache.length if cache else 0)
        if cache:
            k, v = cache.extend(k, v)
        if self._fused() and cache is None:
            # One kernel, the same numbers, no pattern anywhere in memory: only where nobody listens. Not with a cache:
            # the kernel's mask lays the first query, not the last, at the edge of the keys.
            scale = None if config.scale_scores else 1.0
            z = F.scaled_dot_product_attention(q, k, v, is_causal=config.causal, scale=scale)
        else:
            z = self.hook_pattern(causal_pattern(q, k, config.causal, config.scale_scores)) @ v
        return self.out(z.transpose(1, 2).flatten(start_dim=2))

    def _fused(self) -> bool:
        heard = self.hook_pattern._forward_hooks or self.hook_pattern._forward_pre_hooks
        return self.training and not heard


@dataclass(frozen=True)
class AttentionHead:
    """One head, in readable form: a view onto its slice of a layer's fused parameters.

    The sum of a layer's heads, plus the output bias once, is the layer's output.
    """

    layer: MultiHeadedAttention
    head: int

    def __post_init__(self) -> None:
        n_heads = self.layer.config.n_heads
        if not 0 <= self.head < n_heads:
            raise ValueError(f"This layer has heads 0 to {n_heads - 1}; there is no head {self.head}.")

    def _slice(self, which: int) -> tuple[Float[Tensor, "d_head d_model"], Float[Tensor, " d_head"] | float]:
        d_head, width = self.layer.config.d_head, self.layer.config.n_heads * self.layer.config.d_head
        rows = slice(which * width + self.head * d_head, which * width + (self.head + 1) * d_head)
        bias = self.layer.qkv.bias
        return self.layer.qkv.weight[rows], 0.0 if bias is None else bias[rows]

    @property
    def W_O(self) -> Float[Tensor, "d_model d_head"]:
        """The columns of the output projection that this head writes through."""
        d_head = self.layer.config.d_head
        return self.layer.out.weight[:, self.head * d_head : (self.head + 1) * d_head]

    def pattern(self, x: Float[Tensor, "batch query d_model"]) -> Float[Tensor, "batch query key"]:
        """How much each query looks at each key."""
        (W_Q, b_Q), (W_K, b_K) = self._slice(0), self._slice(1)
        q, k = x @ W_Q.T + b_Q, x @ W_K.T + b_K
        config = self.layer.config
        if config.positions == "rotary":
            turns = self.layer.turns[: x.shape[1], : config.d_head // 2]
            q, k = rotate(q, turns), rotate(k, turns)
        return causal_pattern(q, k, config.causal, config.scale_scores)

    def __call__(self, x: Float[Tensor, "batch query d_model"]) -> Float[Tensor, "batch query d_model"]:
        """What this head alone writes to the residual stream, without the layer's output bias."""
        W_V, b_V = self._slice(2)
        return self.pattern(x) @ (x @ W_V.T + b_V) @ self.W_O.T


class MLP(nn.Module):
    """Two linear maps with a non-linearity between, on each token by itself."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.d_model, config.width_of_mlp, bias=config.bias)
        self.down = nn.Linear(config.width_of_mlp, config.d_model, bias=config.bias)
        self.act_fn = ACT_FNS[config.act_fn]

    def forward(self, x: Float[Tensor, "batch seq d_model"]) -> Float[Tensor, "batch seq d_model"]:
        """What the MLP writes to the residual stream."""
        return self.down(self.act_fn(self.up(x)))


def layer_norm(config: GPTConfig) -> nn.Module:
    """LayerNorm over d_model, or nothing where the config switches it off."""
    return nn.LayerNorm(config.d_model, bias=config.bias) if config.layer_norm else nn.Identity()


class TransformerBlock(nn.Module):
    """Attention moves information between tokens, the MLP works on each; both add to the residual stream."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.residual = config.residual
        self.ln_attention = layer_norm(config)
        self.attention = MultiHeadedAttention(config)
        if config.width_of_mlp:
            self.ln_mlp = layer_norm(config)
            self.mlp: MLP | None = MLP(config)
        else:
            self.mlp = None

    def forward(
        self, resid: Float[Tensor, "batch seq d_model"], cache: LayerCache | None = None
    ) -> Float[Tensor, "batch seq d_model"]:
        """The residual stream after this block."""
        written = self.attention(self.ln_attention(resid), cache)
        resid = resid + written if self.residual else written
        if self.mlp is not None:
            written = self.mlp(self.ln_mlp(resid))
            resid = resid + written if self.residual else written
        return resid


class Transformer(nn.Module):
    """Token ids in, logits of the next token out, at every position."""

    sinusoids: Tensor

    def __init__(self, config: GPTConfig, rng: torch.Generator | None = None) -> None:
        """Random parameters, drawn from `rng` (torch's global generator if None)."""
        super().__init__()
        if config.d_vocab < 1:
            raise ValueError("A model needs d_vocab of at least 1: the number of tokens its tokenizer knows.")
        self.config = config
        # torch's modules fill themselves from the global generator when they are made; nobody else's draws may change.
        with torch.random.fork_rng(devices=[]):
            self._build(config)
        self._initialise(rng)

    def _build(self, config: GPTConfig) -> None:
        self.embed = nn.Embedding(config.d_vocab, config.d_model)
        if config.positions == "learned":
            self.position = nn.Embedding(config.n_ctx, config.d_model)
        elif config.positions == "sinusoidal":
            # As large as the token embeddings at the start, so that neither drowns the other.
            scale = (EMBED_STD if config.init_std is None else config.init_std) * math.sqrt(2)
            self.register_buffer("sinusoids", scale * sinusoids(config.n_ctx, config.d_model), persistent=False)
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.n_layers))
        self.ln_final = layer_norm(config)
        self.unembed = nn.Linear(config.d_model, config.d_vocab, bias=False)
        if config.tie_unembedding:
            self.unembed.weight = self.embed.weight

    @torch.no_grad()
    def _initialise(self, rng: torch.Generator | None) -> None:
        std = self.config.init_std
        for name, parameter in self.named_parameters():
            if "ln_" in name:
                continue
            if name.endswith("bias"):
                parameter.zero_()
            elif name.endswith(("out.weight", "down.weight")) and std is None:
                # What writes to the residual stream starts at zero: every block begins as the identity.
                parameter.zero_()
            elif name.startswith(("embed", "position", "unembed")):
                parameter.normal_(std=EMBED_STD if std is None else std, generator=rng)
            else:
                parameter.normal_(std=1 / math.sqrt(parameter.shape[1]) if std is None else std, generator=rng)

    @property
    def n_params(self) -> int:
        """How many numbers training can change; a tied unembedding counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def new_cache(self, batch: int = 1) -> list[LayerCache]:
        """An empty cache for each layer."""
        return [LayerCache(batch, self.config, self.embed.weight) for _ in self.blocks]

    def forward(
        self, ids: Int[Tensor, "*batch seq"], cache: list[LayerCache] | None = None
    ) -> Float[Tensor, "*batch seq d_vocab"]:
        """Logits of the token after each of the ids, batched or not.

        An id below 0 is of a token that the vocabulary lacks.
        With a cache, `ids` are the tokens after those that the cache holds, and the cache grows by them.
        """
        start = cache[0].length if cache else 0
        end = start + ids.shape[-1]
        if end > self.config.n_ctx:
            raise ValueError(f"The model sees {self.config.n_ctx} tokens at once, and got {end}.")
        rows = ids.reshape(-1, ids.shape[-1])
        # A token that the vocabulary lacks says nothing but its place: it is read as zeros.
        unknown = rows < 0
        resid = self.embed(rows.masked_fill(unknown, 0)).masked_fill(unknown[..., None], 0)
        if self.config.positions == "learned":
            resid = resid + self.position.weight[start:end]
        elif self.config.positions == "sinusoidal":
            resid = resid + self.sinusoids[start:end]
        for index, block in enumerate(self.blocks):
            resid = block(resid, cache[index] if cache else None)
        logits: Tensor = self.unembed(self.ln_final(resid))
        return logits.view(*ids.shape, -1)
