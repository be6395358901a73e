"""From a prompt to all that panel 3 shows, and the memory of it: models and arrays stay on the server, and bounded."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float

from minigpt import limits
from minigpt.api import attention_of_ids, mistaken_ids, prompt_ids, write
from minigpt.config import SamplingConfig
from minigpt.copies import Copies, copied
from minigpt.diagnosis import Diagnosis, diagnose, loss_without
from minigpt.film import WHOLE, Frame
from minigpt.generation import GeneratedToken
from minigpt.hooks import AttentionView, muted, patterns_and_logits
from minigpt.runs import Runs
from minigpt.runs.seen import n_bytes
from minigpt.training import TrainingState
from minigpt.ui.remembered import Found, Remembered

MAX_KEPT = 64
MAX_FINDINGS = 4096  # numbers and score tables, small ones
N_BARS = 10
# How many tokens in a row make a copy, by how the text is split: all texts share short rows of letters.
AT_LEAST = {"word": 5, "bpe": 8, "character": 20}
FILM = "film "  # How the key of a moment of a film begins; those of explorations hold no space.


@dataclass(frozen=True)
class Told:
    """What the model said of a token before it came.

    probability, rank: of this token, before temperature, top-k and top-p; rank 1 is the first choice. loss: -ln of the
    probability, in nats. entropy: of all that could have come, in nats. The first three are None for what has not come.
    """

    probability: float | None
    rank: int | None
    loss: float | None
    entropy: float


@dataclass(frozen=True)
class Exploration:
    """One prompt, its continuation, and what every head looked at, for one snapshot of a run.

    Tokens are counted through prompt and continuation from 0; the position behind the last is what would come next.
    ids: of all tokens, as the model read them. names: of all tokens, as the reader wrote them.
    film_step: the step at which the view was taken, where that is not the snapshot's: only the view is of that step.
    asked, sampling: the prompt as it was typed, and how the continuation was chosen.
    muted: the heads, each a (layer, head), that write nothing in the view.
    """

    run: str
    state: TrainingState
    prompt: tuple[str, ...]
    unknown: tuple[str, ...]
    tokens: tuple[GeneratedToken, ...]
    view: AttentionView
    ids: tuple[int, ...]
    film_step: int | None = None
    asked: str = ""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    muted: tuple[tuple[int, int], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.prompt, *(token.token for token in self.tokens))

    @property
    def step(self) -> int:
        """The training step of what is shown."""
        return self.state.step if self.film_step is None else self.film_step

    def query_of(self, position: int) -> int | None:
        """The row of the heatmaps that made the token at a position; None if it has slid out of the window."""
        query = position - 1 - self.view.dropped
        return query if 0 <= query < len(self.view.tokens) else None

    def position_of(self, query: int) -> int:
        """The position of the token that a row of the heatmaps makes."""
        return query + 1 + self.view.dropped

    def distribution(self, position: int) -> Float[np.ndarray, " d_vocab"] | None:
        """The probabilities of all tokens for a position; None for the first token, before which nothing stands.

        From the logits of the very pass that made the heatmaps, wherever the model had the same tokens before it.
        """
        if position == 0:
            return None
        begin, query = max(0, position - self.state.config.n_ctx), self.query_of(position)
        if query is not None and begin == self.view.dropped:
            return softmax(self.view.logits[query])
        return softmax(self._logits(begin, position)[-1])

    def _logits(self, begin: int, end: int) -> Float[np.ndarray, "query d_vocab"]:
        """Asked anew of some of the tokens."""
        ids = torch.tensor(self.ids[begin:end], device=self.state.model.embed.weight.device)
        with muted(self.state.model, self.muted):
            return patterns_and_logits(self.state.model, ids)[1].float().cpu().numpy()

    def without(self, heads: tuple[tuple[int, int], ...]) -> "Exploration":
        """The same text, read while these heads write nothing; itself where there are none.

        The continuation stays the one that the whole model wrote: see `written_without`.
        """
        if not heads:
            return self
        with muted(self.state.model, heads):
            view = attention_of_ids(self.state, list(self.ids))
        return replace(self, view=replace(view, tokens=self.view.tokens), muted=heads)

    def written_without(self, heads: tuple[tuple[int, int], ...]) -> tuple[GeneratedToken, ...]:
        """How the prompt goes on while these heads write nothing: the same sampling, the same seed."""
        if not heads:
            return self.tokens
        prompt = torch.tensor(self.ids[: len(self.ids) - len(self.tokens)])
        # Muting ends with the block, so the last token is written before it.
        with muted(self.state.model, heads):
            return tuple(write(self.state, prompt, self.sampling))

    def told(self, position: int) -> Told | None:
        """What the model said of the token at a position before it came; None for the first token."""
        p = self.distribution(position)
        if p is None:
            return None
        entropy = float(-(p[p > 0] * np.log(p[p > 0])).sum())
        if position >= len(self.ids):
            return Told(None, None, None, entropy)
        own = chance(p, self.ids[position])
        return Told(own, 1 + int((p > own).sum()), -float(np.log(max(own, 1e-45))), entropy)

    @cached_property
    def probabilities(self) -> Float[np.ndarray, " seq"]:
        """The model's probability of each token, given those before it; NaN where it was not asked.

        That is the first token, and of a prompt longer than the context what stands behind it.
        """
        found, n_ctx = np.full(len(self.ids), np.nan), self.state.config.n_ctx
        logits = self.view.logits if not self.view.dropped else self._logits(0, n_ctx)
        for position in range(1, min(len(self.ids), n_ctx + 1)):
            found[position] = chance(softmax(logits[position - 1]), self.ids[position])
        for position, token in enumerate(self.tokens, start=len(self.prompt)):
            if position <= n_ctx:
                continue
            # What the whole model said while it wrote is not what a muted one says.
            p = self.distribution(position) if self.muted else None
            found[position] = token.probability if p is None else p[token.index]
        return found

    def candidates(self, position: int) -> tuple[list[tuple[str, float]], int]:
        """The likeliest tokens for a position, best first, and how many others there are; none for the first token."""
        p = self.distribution(position)
        if p is None:
            return [], 0
        best = np.argsort(-p, kind="stable")[:N_BARS]
        return [(self.state.tokenizer.token(int(i)), float(p[i])) for i in best], len(p) - len(best)


@dataclass(frozen=True)
class Game:
    """Guess first: each next token stays covered until the reader has guessed it.

    guesses: (position, id) of those made in the exploration that is open. played, right: how many were made in all, and
    how many of them came; first: how often the model's first choice came.
    """

    on: bool = False
    guesses: tuple[tuple[int, int], ...] = ()
    played: int = 0
    right: int = 0
    first: int = 0


@dataclass(frozen=True)
class Selection:
    """What a page has open: an exploration by its key, a head of a layer, and a token. Indices from zero.

    colour: what the background of the tokens shows, one of COLOURS. picked: whether a person chose the head.
    shows: whose probability the layers' answers are coloured by, one of SHOWS.
    """

    key: str = ""
    layer: int = 0
    head: int = 0
    position: int = 0
    colour: str = "probability"
    shows: str = "first choice"
    game: Game = Game()
    picked: bool = False


COLOURS = ("probability", "surprise", "attention")
SHOWS = ("first choice", "the token that came")


def softmax(logits: Float[np.ndarray, " d_vocab"]) -> Float[np.ndarray, " d_vocab"]:
    """Probabilities of the logits."""
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def chance(p: Float[np.ndarray, " d_vocab"], index: int) -> float:
    """The probability of an id; 0 for the one that stands for what the vocabulary lacks."""
    return float(p[index]) if index >= 0 else 0.0


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
        self.runs = runs
        self._kept: OrderedDict[str, Exploration] = OrderedDict()
        self._known = Remembered(MAX_FINDINGS)
        self._lock = threading.Lock()

    def explore(
        self,
        run_id: str,
        prompt: str,
        sampling: SamplingConfig,
        each: Callable[[Iterable[GeneratedToken]], Iterable[GeneratedToken]] = iter,
    ) -> Exploration:
        """Continue a prompt, and look at every head over prompt and continuation. ValueError where that cannot be.

        each: the tokens go through it as they are written.
        """
        state = self.runs.state(run_id)
        ids = prompt_ids(state, prompt)
        written = [state.tokenizer.token(index) for index in ids.tolist()]
        if "vocabulary" in self.runs.progress(run_id).settings.breaks:
            ids = mistaken_ids(state, prompt)
        limits.LOOK_CELLS.check(state.config.n_pattern_cells(len(ids) + sampling.max_new_tokens))
        tokens = tuple(each(write(state, ids, sampling)))
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
            ids=tuple(everything),
            asked=prompt,
            sampling=sampling,
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
            while len(self._kept) > 1 and (
                len(self._kept) > MAX_KEPT or self.n_bytes() > 1e6 * limits.EXPLORED_MB.most
            ):
                self._kept.popitem(last=False)
        return replace(self.placed(exploration, selection, promised), key=key)

    def n_bytes(self) -> int:
        """What the explorations that are kept take: their patterns, their models, and the texts these learned from."""
        kept = list(self._kept.values())
        views = sum(each.view.pattern.nbytes + each.view.logits.nbytes for each in kept)
        return views + n_bytes(each.state for each in kept)

    @staticmethod
    def placed(exploration: Exploration, selection: Selection, promised: tuple[int, int] | None) -> Selection:
        """Where a selection that showed something else lands in this exploration: behind its prompt."""
        n_layers, n_heads = exploration.view.pattern.shape[:2]
        layer, head = selection.layer, selection.head
        by_itself = selection.key.startswith(FILM) and not selection.picked
        if not selection.key or by_itself or layer >= n_layers or head >= n_heads:
            layer, head = promised or sharpest_head(exploration.view)
        game = replace(selection.game, guesses=())
        return replace(selection, layer=layer, head=head, position=len(exploration.prompt), game=game)

    def find(self, selection: Selection) -> Exploration:
        """The exploration that a selection shows; ValueError once it is forgotten."""
        if selection.key.startswith(FILM):
            _, run, *step = selection.key.split()
            return self.film(run, int(step[0]) if step else None)
        with self._lock:
            exploration = self._kept.get(selection.key)
            if exploration is None:
                raise ValueError("This picture is no longer in memory. Press Generate to make it again.")
            self._kept.move_to_end(selection.key)
            return exploration

    def film(self, run_id: str, step: int | None = None) -> Exploration:
        """The moment of a run's film nearest to a step, the newest for None; ValueError where it has no film.

        Its key, `FILM` and the run, then the step unless it is the newest, finds it: nothing is kept.
        """
        film = self.runs.film(run_id)
        if not film:
            raise ValueError("This run has no film. Train again, and it will have one.")
        frame = film[max(film) if step is None else min(film, key=lambda known: abs(known - step))]
        ids, names = tuple(frame.ids.tolist()), self.names(run_id, film)
        pattern = frame.pattern.astype(np.float32) / WHOLE
        state = self.runs.any_state(run_id)
        view = AttentionView(names, ids, pattern, frame.logits.astype(np.float32), state.config.causal)
        return Exploration(run_id, state, names, (), (), view, ids, frame.step)

    def names(self, run_id: str, film: dict[int, Frame]) -> tuple[str, ...]:
        """The tokens of the sentence that a film is of."""
        ids = next(iter(film.values())).ids.tolist() if film else []
        return tuple(self.runs.any_state(run_id).tokenizer.token(index) for index in ids)

    def diagnosis(self, exploration: Exploration) -> Diagnosis | None:
        """What the heads of the model do, remembered: it is the same for every prompt."""
        return self._once(exploration, "diagnosis", lambda: diagnose(exploration.state))

    def loss_without(self, exploration: Exploration, heads: tuple[tuple[int, int], ...] = ()) -> float:
        """The validation loss while these heads write nothing, remembered."""
        return self._timed_loss(exploration, heads)[0]

    def loss_seconds(self, exploration: Exploration) -> float:
        """How long it takes to measure one such loss: how long the first took."""
        return self._timed_loss(exploration, ())[1]

    def cost(self, exploration: Exploration, head: tuple[int, int]) -> float | None:
        """How much the validation loss rises without a head, in nats a token; None before that was measured."""
        if not (self.knows(exploration, ()) and self.knows(exploration, (head,))):
            return None
        return self.loss_without(exploration, (head,)) - self.loss_without(exploration)

    def knows(self, exploration: Exploration, what: object) -> bool:
        """Whether an answer would come at once: "diagnosis", or the heads of a loss."""
        return self._key(exploration, what) in self._known

    def _timed_loss(self, exploration: Exploration, heads: tuple[tuple[int, int], ...]) -> tuple[float, float]:
        def measure() -> tuple[float, float]:
            began = time.perf_counter()
            return loss_without(exploration.state, heads), time.perf_counter() - began

        return self._once(exploration, heads, measure)

    def _key(self, exploration: Exploration, what: object) -> tuple[object, ...]:
        return exploration.run, exploration.state.step, what

    def copies(self, exploration: Exploration) -> Copies:
        """What of the continuation stands in the training text, remembered; the prompt counts for nothing."""
        ids = tuple(token.index for token in exploration.tokens)
        at_least = AT_LEAST[exploration.state.tokenizer.kind]
        return self._once(exploration, ("copies", ids), lambda: copied(ids, exploration.state.ids.numpy(), at_least))

    def _once(self, exploration: Exploration, what: object, find: Callable[[], Found]) -> Found:
        return self._known.once(self._key(exploration, what), find)
