"""From a prompt to all that panel 3 shows, and the memory of it: models and arrays stay on the server, and bounded."""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from minigpt.api import attention_of_ids, mistaken_ids, prompt_ids, write
from minigpt.config import SamplingConfig
from minigpt.generation import GeneratedToken
from minigpt.hooks import AttentionView
from minigpt.runs import Runs
from minigpt.training import TrainingState

MAX_KEPT = 64
N_BARS = 8


@dataclass(frozen=True)
class Exploration:
    """One prompt, its continuation, and what every head looked at, for one snapshot of a run."""

    run: str
    state: TrainingState
    prompt: tuple[str, ...]
    unknown: tuple[str, ...]
    tokens: tuple[GeneratedToken, ...]
    view: AttentionView

    def query_of(self, position: int) -> int | None:
        """The row of the heatmaps that made generated token `position`; None if it has slid out of the window."""
        query = len(self.prompt) + position - 1 - self.view.dropped
        return query if query >= 0 else None

    def candidates(self, position: int) -> tuple[list[tuple[str, float]], int]:
        """The likeliest tokens at a position, best first, and how many others there are.

        From the logits of the very pass that made the heatmaps, wherever that pass still holds the position.
        """
        query = self.query_of(position)
        token = self.tokens[position]
        if query is None or token.slid:
            best = list(token.candidates[:N_BARS])
            return best, token.n_others + len(token.candidates) - len(best)
        p = softmax(self.view.logits[query])
        best_ids = np.argsort(-p, kind="stable")[:N_BARS]
        return [(self.state.tokenizer.token(int(i)), float(p[i])) for i in best_ids], len(p) - len(best_ids)

    def before(self, position: int) -> str:
        """The token that stands before generated token `position`."""
        return self.tokens[position - 1].token if position else self.prompt[-1]


@dataclass(frozen=True)
class Selection:
    """What a page has open: an exploration by its key, a head of a layer, and a generated token. Indices from zero."""

    key: str = ""
    layer: int = 0
    head: int = 0
    position: int = 0


def softmax(logits: Float[np.ndarray, " d_vocab"]) -> Float[np.ndarray, " d_vocab"]:
    """Probabilities of the logits."""
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def sharpest_head(view: AttentionView) -> tuple[int, int]:
    """The head worth opening first: its rows put most on a single key, the first token's column aside."""
    if len(view.tokens) < 3:
        return 0, 0
    focus = view.pattern[:, :, 2:, 1:].max(axis=-1).mean(axis=-1)
    layer, head = np.unravel_index(int(focus.argmax()), focus.shape)
    return int(layer), int(head)


class Explorer:
    """Explores prompts and remembers the latest explorations, so that a click on a head costs nothing."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._kept: OrderedDict[str, Exploration] = OrderedDict()
        self._lock = threading.Lock()

    def explore(self, run_id: str, prompt: str, sampling: SamplingConfig) -> Exploration:
        """Continue a prompt, and look at every head over prompt and continuation. ValueError where that cannot be."""
        state = self._runs.state(run_id)
        ids = prompt_ids(state, prompt)
        written = [state.tokenizer.token(index) for index in ids.tolist()]
        if "vocabulary" in self._runs.progress(run_id).settings.breaks:
            ids = mistaken_ids(state, prompt)
        tokens = tuple(write(state, ids, sampling))
        everything = [*ids.tolist(), *(token.index for token in tokens)]
        view = attention_of_ids(state, everything)
        # On the axes stands what the reader wrote, whatever the model was made to read.
        names = (*written, *(token.token for token in tokens))[view.dropped :]
        return Exploration(
            run=run_id,
            state=state,
            prompt=tuple(written),
            unknown=tuple(state.tokenizer.unknown(prompt)),
            tokens=tokens,
            view=replace(view, tokens=names),
        )

    def keep(
        self, exploration: Exploration, selection: Selection, promised: tuple[int, int] | None = None
    ) -> Selection:
        """Remember an exploration; returns the selection that shows it, on the same head where it still exists.

        promised: the layer and head to open first, where a lesson has one; else the sharpest.
        """
        key = secrets.token_urlsafe(12)
        with self._lock:
            self._kept[key] = exploration
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        n_layers, n_heads = exploration.view.pattern.shape[:2]
        layer, head = selection.layer, selection.head
        if not selection.key or layer >= n_layers or head >= n_heads:
            layer, head = promised or sharpest_head(exploration.view)
        return replace(selection, key=key, layer=layer, head=head, position=0)

    def find(self, selection: Selection) -> Exploration:
        """The exploration that a selection shows; ValueError once it is forgotten."""
        with self._lock:
            exploration = self._kept.get(selection.key)
            if exploration is None:
                raise ValueError("This picture is no longer in memory. Press Generate to make it again.")
            self._kept.move_to_end(selection.key)
            return exploration
