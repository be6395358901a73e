"""What the attention figures are drawn from, and what is refused with a reason."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from minigpt.figures import style


@runtime_checkable
class View(Protocol):
    """What the figures need of an attention view.

    tokens: one string a position. pattern: shares of attention, 0 to 1, where each query's row sums to 1.
    causal: whether a token sees only itself and those before it.
    """

    @property
    def tokens(self) -> Sequence[str]: ...
    @property
    def pattern(self) -> Float[np.ndarray, "layer head query key"]: ...
    @property
    def causal(self) -> bool: ...


def checked(view: View, selected: tuple[int, int] | None) -> Float[np.ndarray, "layer head query key"]:
    """The view's pattern. Raises ValueError where it does not fit its tokens, or has no such (layer, head)."""
    pattern, n_tokens = view.pattern, len(view.tokens)
    if n_tokens == 0:
        raise ValueError("There is no token to look at: write at least one.")
    if pattern.ndim != 4 or pattern.shape[2:] != (n_tokens, n_tokens):
        raise ValueError(
            f"The pattern has the shape {pattern.shape}; {count(n_tokens, 'token')} "
            f"need [layer, head, {n_tokens}, {n_tokens}]."
        )
    if selected is not None:
        for name, index, size in zip(("layer", "head"), selected, pattern.shape[:2], strict=True):
            expect(name, index, size)
    return pattern


def expect(name: str, index: int, size: int) -> None:
    """Raise ValueError, naming what there is, unless `index` is one of `size` things called `name`."""
    if not 0 <= index < size:
        there = f"only {name} 0" if size == 1 else f"{name}s 0 to {size - 1}"
        raise ValueError(f"There is no {name} {index}: the view has {there}.")


def count(n: int, name: str) -> str:
    """A number of things in words: 1 token, 2 tokens."""
    return f"{n} {name}" if n == 1 else f"{n} {name}s"


def outline(left: float, right: float, top: float, bottom: float) -> dict[str, Any]:
    """The mark of what is selected: 2 px of ink around a part of the map, in the map's coordinates."""
    line = {"color": style.INK, "width": 2}
    return {"type": "rect", "x0": left, "x1": right, "y0": top, "y1": bottom, "line": line}
