"""Reading one token after another without waiting: the transformer's arithmetic on plain arrays.

A token costs a small model a few hundred thousand multiplications, and in torch far more time for starting some eighty
operations than for doing them. Here a layer is four products of a matrix and a vector and a handful of operations on
short arrays, all into memory set aside once. The numbers are those of `Transformer` up to rounding.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from minigpt.model import MLP, LayerCache, MultiHeadedAttention, Transformer, TransformerBlock


def decodable(model: Transformer) -> bool:
    """Whether a `Decoder` can stand in for the model: it is of the usual kind, on a CPU, and no hook waits for it.

    A hook may want to see or to change any token, so a model with hooks is always run as it is.
    """
    config, weight = model.config, model.embed.weight
    usual = config.causal and config.residual and config.layer_norm and config.act_fn == "relu"
    at_hand = weight.device.type == "cpu" and weight.dtype == torch.float32
    heard = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    return usual and at_hand and not heard


class Decoder:
    """Reads tokens behind a text that the model has read itself, one at a time, and says what could come next.

    It keeps copies: the model may change meanwhile.
    """

    def __init__(self, model: Transformer, cache: Sequence[LayerCache]) -> None:
        """`cache` is what the model filled while it read the text."""
        config = model.config
        self.length = cache[0].length
        self._embed = _array(model.embed.weight)
        self._positions: np.ndarray | None = None
        if config.positions == "learned":
            self._positions = _array(model.position.weight)
        elif config.positions == "sinusoidal":
            self._positions = _array(model.sinusoids)
        self._layers = [_Layer(block, read) for block, read in zip(model.blocks, cache, strict=True)]  # type: ignore[arg-type]
        self._unembed = _Normed(model.ln_final, model.unembed)  # type: ignore[arg-type]
        self._resid = np.empty(config.d_model, np.float32)

    def read(self, index: int) -> Float[np.ndarray, " d_vocab"]:
        """Logits of the token after this one, in memory that the next call writes over."""
        np.copyto(self._resid, self._embed[index])
        if self._positions is not None:
            self._resid += self._positions[self.length]
        for layer in self._layers:
            layer.add_to(self._resid, self.length)
        self.length += 1
        return self._unembed(self._resid)


class _Normed:
    """A LayerNorm and the linear map behind it: its scale and shift are part of the map's weight and bias."""

    def __init__(self, norm: nn.LayerNorm, linear: nn.Linear) -> None:
        weight = _array(linear.weight)
        bias = None if linear.bias is None else _array(linear.bias)
        if norm.bias is not None:
            shift = weight @ _array(norm.bias)
            bias = shift if bias is None else bias + shift
        self._weight, self._bias, self._eps = weight * _array(norm.weight), bias, norm.eps
        d_out, d_in = weight.shape
        self._mean = np.full(d_in, 1 / d_in, np.float32)
        self._x, self._out = np.empty(d_in, np.float32), np.empty(d_out, np.float32)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        centred = np.subtract(x, x.dot(self._mean), out=self._x)
        out: np.ndarray = self._weight.dot(centred, out=self._out)
        out *= 1 / math.sqrt(centred.dot(centred) / len(x) + self._eps)
        if self._bias is not None:
            out += self._bias
        return out


class _Layer:
    """One block: its parameters, and the keys and values of what it has read."""

    def __init__(self, block: TransformerBlock, read: LayerCache) -> None:
        attention: MultiHeadedAttention = block.attention
        config = attention.config
        n_heads, d_head, n_ctx = config.n_heads, config.d_head, config.n_ctx
        self._shape = (3, n_heads, d_head)
        # The two numbers that are turned together stand side by side: each pair is one complex number.
        self._turn = _array(attention.turns).view(np.complex64)[..., 0] if config.positions == "rotary" else None
        self._qkv = _Normed(block.ln_attention, attention.qkv)  # type: ignore[arg-type]
        self._scale = np.float32(1 / math.sqrt(d_head) if config.scale_scores else 1)
        self._out = _array(attention.out.weight)
        self._out_bias = None if attention.out.bias is None else _array(attention.out.bias)
        self._keys = np.zeros((n_heads, n_ctx, d_head), np.float32)
        # One column of ones: what it sums up to is what the softmax divides by.
        self._values = np.ones((n_heads, n_ctx, d_head + 1), np.float32)
        keys, values = (_array(part[0, :, : read.length]) for part in read.contents())
        self._keys[:, : read.length] = keys
        self._values[:, : read.length, :-1] = values
        self._scores = np.empty((n_heads, n_ctx, 1), np.float32)
        self._mixed = np.empty((n_heads, 1, d_head + 1), np.float32)
        self._z = np.empty((n_heads, d_head), np.float32)
        self._write = np.empty(config.d_model, np.float32)
        self._mlp: MLP | None = block.mlp
        if block.mlp is not None:
            self._up = _Normed(block.ln_mlp, block.mlp.up)  # type: ignore[arg-type]
            self._down = _array(block.mlp.down.weight)
            self._down_bias = None if block.mlp.down.bias is None else _array(block.mlp.down.bias)

    def add_to(self, resid: np.ndarray, place: int) -> None:
        """Add to the residual stream of the token at this place what attention and MLP write to it."""
        resid += self._attention(resid, place)
        if self._out_bias is not None:
            resid += self._out_bias
        if self._mlp is None:
            return
        hidden = self._up(resid)
        np.maximum(hidden, 0, out=hidden)
        resid += self._down.dot(hidden, out=self._write)
        if self._down_bias is not None:
            resid += self._down_bias

    def _attention(self, resid: np.ndarray, place: int) -> np.ndarray:
        flat = self._qkv(resid)
        if self._turn is not None:
            turned = flat[: 2 * self._turn.shape[1]].view(np.complex64)
            turned *= self._turn[place]
        qkv = flat.reshape(self._shape)
        seen = place + 1
        self._keys[:, place] = qkv[1]
        self._values[:, place, :-1] = qkv[2]
        scores = self._scores[:, :seen]
        np.matmul(self._keys[:, :seen], qkv[0][:, :, None], out=scores)
        scores *= self._scale
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        np.matmul(scores.transpose(0, 2, 1), self._values[:, :seen], out=self._mixed)
        np.divide(self._mixed[:, 0, :-1], self._mixed[:, 0, -1:], out=self._z)
        return self._out.dot(self._z.ravel(), out=self._write)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().copy()
