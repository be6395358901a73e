"""The film of training: one sentence, and what every head made of it at moments of a run, from step 0 on.

A film has at most `MOST_FRAMES` frames and about `MAX_BYTES` bytes. Where a frame is large there are fewer of them.
"""

from contextlib import suppress
from dataclasses import astuple, dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from minigpt.config import GPTConfig, TrainingConfig
from minigpt.data import line_end, split_for
from minigpt.diagnosis import scoring_ids
from minigpt.excerpts import place_of, stretch
from minigpt.heads import ROLES, HeadScores, Measures, in_words
from minigpt.hooks import head_scores, patterns_and_logits
from minigpt.tokenizer import Tokenizer
from minigpt.training import TrainingState

MOST_FRAMES = 40  # the newest among them
MAX_BYTES = 8_000_000
LONGEST = 32  # tokens of the sentence
USUAL = {"word": 12, "character": 24, "bpe": 16}  # where it is taken from a text that has no lines to end it
WHOLE = 255  # what an attention of 1 is kept as
MEASURES = tuple(measure.name for measure in fields(Measures))


@dataclass(frozen=True)
class Frame:
    """One moment. pattern: attention times `WHOLE`, rounded. logits: of the token after each query.

    measures: of each head, in the order of `MEASURES`, and of one that looks everywhere evenly; NaN where heads cannot
    be scored.
    """

    step: int
    ids: Int[np.ndarray, " query"]
    pattern: UInt8[np.ndarray, "layer head query key"]
    logits: Float[np.ndarray, "query d_vocab"]
    measures: Float[np.ndarray, "layer head measure"]
    chance: Float[np.ndarray, " measure"]

    def scores(self) -> tuple[tuple[HeadScores, ...], ...] | None:
        """What each head does, as [layer][head]; None where that cannot be said."""
        if np.isnan(self.measures).all():
            return None
        even = Measures(**_named(self.chance))
        return tuple(tuple(HeadScores(**_named(head), chance=even) for head in layer) for layer in self.measures)

    def jobs(self) -> list[tuple[int, int, int]]:
        """(layer, head, role) of the heads that do a job or a part of one; the role as its place in `ROLES`."""
        found = []
        for layer, row in enumerate(self.scores() or ()):
            for head, scored in enumerate(row):
                said = in_words(scored)
                found += [(layer, head, list(ROLES).index(role)) for role in (*said.roles, *said.partly)[:1]]
        return found


def _named(measures: Float[np.ndarray, " measure"]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(MEASURES, measures, strict=True)}


def frame_bytes(config: GPTConfig, n_tokens: int) -> int:
    """Size of a frame; `config` with its vocabulary."""
    return config.n_layers * config.n_heads * n_tokens**2 + 2 * n_tokens * config.d_vocab


def moments(n_steps: int, most: int = MOST_FRAMES - 1) -> tuple[int, ...]:
    """Steps to capture: 0, 1, 2, 3, 5, 8 and so on, but never more than a twentieth of the run apart; at most `most`.

    >>> moments(100)
    (0, 1, 2, 3, 5, 8, 13, 18, 23, 28, 33, 38, 43, 48, 53, 58, 63, 68, 73, 78, 83, 88, 93, 98, 100)
    """
    steps, furthest = [0, 1, 2], -(-n_steps // 20)
    while steps[-1] < n_steps:
        steps.append(min(n_steps, steps[-1] + min(steps[-2], furthest)))
    steps = [step for step in steps if step <= n_steps]
    if len(steps) <= most:
        return tuple(steps)
    return tuple(steps[round(place)] for place in np.linspace(0, len(steps) - 1, most))


def sentence(
    ids: Int[Tensor, " seq"],
    tokenizer: Tokenizer,
    config: GPTConfig,
    training: TrainingConfig,
    asked: str = "",
    prompt: str = "",
) -> tuple[int, ...]:
    """The ids that a film is of: of the sentence asked for, else of a piece of the training text.

    That piece goes on from the `prompt`, where the text has it; else it is the beginning of what is held out. It ends
    with its line, where the model learns from lines. All is cut to what model and film can hold.
    """
    most = min(LONGEST, config.n_ctx)
    shape = GPTConfig(**{**vars(config), "d_vocab": tokenizer.d_vocab})
    while most > 1 and frame_bytes(shape, most) > MAX_BYTES // 4:
        most -= 1
    written = tokenizer.encode(asked)
    if written:
        return tuple(written[:most])
    newline = line_end(tokenizer, training)
    at_prompt = start = place_of(ids, tokenizer.encode(prompt))
    if start is None:
        start = split_for(ids, config.n_ctx, training, newline).validation_runs[0][0]
    found = ids[start : start + most].tolist()
    if newline is None:
        usual = min(most, USUAL[tokenizer.kind])
        # Whole signs that read back as they were split; where there are none within reach, what there is.
        return tuple(stretch(ids, tokenizer, start, usual, well_begun=at_prompt is None) or found[:usual])
    return tuple(found[: found.index(newline)] if newline in found[1:] and found[0] != newline else found)


class Camera:
    """Takes the frames of one run; it depends on nothing that training changes."""

    def __init__(self, state: TrainingState, asked: str = "", prompt: str = "") -> None:
        ids = sentence(state.ids, state.tokenizer, state.config, state.training, asked, prompt)
        self._ids = torch.tensor(ids)
        most = MAX_BYTES // frame_bytes(state.config, len(ids)) - 1
        self.moments = moments(state.training.steps, max(3, min(MOST_FRAMES - 1, most)))
        self._scored_on: Int[np.ndarray, " seq"] | None = None
        if state.config.causal:
            with suppress(ValueError):  # Too small a vocabulary or context.
                self._scored_on = scoring_ids(state)[0]

    def frame(self, state: TrainingState) -> Frame:
        """The moment at which a state of the run stands."""
        pattern, logits = patterns_and_logits(state.model, self._ids.to(state.model.embed.weight.device))
        shape = (*pattern.shape[:2], len(MEASURES))
        measures, chance = np.full(shape, np.nan, np.float32), np.full(len(MEASURES), np.nan, np.float32)
        if self._scored_on is not None:
            scored = head_scores(state.model, self._scored_on)
            rows = [[[getattr(head, name) for name in MEASURES] for head in layer] for layer in scored]
            measures, chance = np.array(rows, np.float32), np.array(astuple(scored[0][0].chance), np.float32)
        return Frame(
            step=state.step,
            ids=self._ids.numpy(),
            pattern=(pattern.float().cpu() * WHOLE).round().to(torch.uint8).numpy(),
            logits=logits.half().cpu().numpy(),
            measures=measures,
            chance=chance,
        )
