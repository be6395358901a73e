"""Twins of runs, each without one part: started, remembered, and set beside the run that they are twins of."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from minigpt.api import attention_of_ids, write
from minigpt.generation import GeneratedToken
from minigpt.hooks import AttentionView
from minigpt.runs import ACTIVE, Progress, Runs, UnknownRun
from minigpt.training import TrainingState
from minigpt.twins import prefix_loss
from minigpt.ui.explorer import Exploration
from minigpt.ui.remembered import Remembered

MAX_RUNS = 256  # whose twins are known
MAX_FOUND = 64


@dataclass(frozen=True)
class Losses:
    """Of one model, in nats a token, and the step that each was measured at; a prefix is read with nothing after it."""

    step: int
    validation: float
    train: float | None
    prefix: float


@dataclass(frozen=True)
class Comparison:
    """What a twin does with the text of an exploration: what its heads look at, and how it continues the prompt."""

    view: AttentionView
    tokens: tuple[GeneratedToken, ...]


def losses(state: TrainingState, prefix: float, until: int) -> Losses:
    """The newest losses of a model up to a step."""
    step, validation = [pair for pair in state.history.validation if pair[0] <= until][-1]
    train = [loss for at, loss in state.history.train if at < until]
    return Losses(step, validation, train[-1] if train else None, prefix)


class Twins:
    """The twins of every run. They are runs themselves: whoever sees a run sees its twins."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self._twins: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._found = Remembered(MAX_FOUND)
        self._lock = threading.Lock()

    def of(self, run: str) -> dict[str, Progress]:
        """The twins of a run that are still here, by the part that each lacks."""
        with self._lock:
            known = dict(self._twins.get(run, {}))
        found = {}
        for without, twin in known.items():
            try:
                found[without] = self.runs.progress(twin)
            except UnknownRun:
                continue
        return found

    def train(self, exploration: Exploration, without: str, owner: str = "") -> str:
        """Start the twin, or let it go on, to the step of the exploration; returns its run id. owner: whose it is.

        ValueError where there is nothing to compare it with.
        """
        steps = exploration.state.step
        if not steps:
            raise ValueError("This run has taken no step yet. Train it first, then its twin.")
        twin = self.of(exploration.run).get(without)
        if twin:
            if twin.status not in ACTIVE and twin.step < steps:
                self.runs.resume(twin.run_id, steps)
            return twin.run_id
        settings = self.runs.progress(exploration.run).settings
        if settings.without:
            raise ValueError("This run is a twin itself. Train twins of the run that it was made from.")
        text = self.runs.text(exploration.run)
        started = self.runs.start(text, replace(settings, without=without), steps, owner)
        with self._lock:
            self._twins.setdefault(exploration.run, {})[without] = started
            self._twins.move_to_end(exploration.run)
            while len(self._twins) > MAX_RUNS:
                self._twins.popitem(last=False)
        return started

    def losses(self, run: str, state: TrainingState, until: int) -> Losses:
        """The losses of a run or twin, as its state has them."""
        return losses(state, self._found.once(("prefix", run, state.step), lambda: prefix_loss(state)), until)

    def compare(self, exploration: Exploration, twin: TrainingState, without: str) -> Comparison:
        """The twin over the text of the exploration, and its own continuation of the same prompt, chosen likewise."""
        key = (exploration.run, without, twin.step, exploration.ids, exploration.sampling)

        def find() -> Comparison:
            view = replace(attention_of_ids(twin, list(exploration.ids)), tokens=exploration.view.tokens)
            prompt = torch.tensor(exploration.ids[: len(exploration.prompt)])
            return Comparison(view, tuple(write(twin, prompt, exploration.sampling)))

        return self._found.once(key, find)


def change(run: AttentionView, twin: AttentionView, layer: int, head: int) -> Float[np.ndarray, "query key"] | None:
    """How much more the twin's head looks at each key than the run's; None where the twin has no such head."""
    n_layers, n_heads = twin.pattern.shape[:2]
    if layer >= n_layers or head >= n_heads:
        return None
    return twin.pattern[layer, head] - run.pattern[layer, head]
