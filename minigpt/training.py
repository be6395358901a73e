"""Training as a pure function in slices: `advance(state, steps) -> state`.

One slice of 1,000 steps and ten of 100 give the same bits, so a caller may pause, move or repeat a slice as it likes.
"""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from minigpt.config import GPTConfig, SamplingConfig, TrainingConfig, check_memory
from minigpt.data import (
    counted,
    encode_text,
    fit,
    held_out,
    line_end,
    n_pieces,
    random_batch,
    split_for,
    starts_within,
    unlike_at_end,
)
from minigpt.generation import generate_ids
from minigpt.history import History
from minigpt.model import Transformer
from minigpt.optimiser import Optimisers
from minigpt.tokenizer import UNKNOWN, Tokenizer, train_tokenizer

UNLIKE = (
    "The end of this text, which is held out, is unlike the rest. The validation loss will say little about the rest, "
    "and may rise. Hold out a part that is spread over the text."
)
SPREAD = "The end of this text is unlike the rest, so the held-out part is spread over the text."
IGNORED = -100  # what a target is where nothing is to be predicted


@dataclass(frozen=True)
class Failure:
    """Why a run stopped by itself, and at which step; the state around it is the last good one."""

    step: int
    message: str


@dataclass(frozen=True)
class TrainingState:
    """All that the next step depends on, and what the run remembers. Never changed in place.

    ids: the whole text as tokens; a part of it is held out for validation.
    optimiser: momentum and moments by name. rng: the state of the generator that draws batches.
    notes: what the reader should know about this run, such as a context that had to shrink.
    """

    model: Transformer
    tokenizer: Tokenizer
    training: TrainingConfig
    ids: Int[Tensor, " seq"]
    optimiser: dict[str, Tensor]
    rng: UInt8[Tensor, " byte"]
    history: History
    step: int = 0
    failure: Failure | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def config(self) -> GPTConfig:
        """The shape of the model."""
        return self.model.config

    @property
    def finished(self) -> bool:
        """Whether nothing of the plan is left to do."""
        return self.step >= self.training.steps or self.failure is not None


def begin(
    text: str,
    tokenizer: str | Tokenizer = "word",
    config: GPTConfig | None = None,
    training: TrainingConfig | None = None,
    bpe_vocab: int = 512,
    log_probability: Float[np.ndarray, " seq"] | None = None,
) -> TrainingState:
    """An untrained model for a text.

    tokenizer: "word", "character", "bpe", or a tokenizer at hand.
    log_probability: ln P of each token under the source that the text was drawn from, where that is known; it makes the
        floor on the loss plot.
    The context shrinks to fit a short text, and `notes` says so.
    Raises ValueError, in the reader's words, where text or settings cannot work.
    """
    if not isinstance(text, str):
        raise ValueError(f"The text must be a string, not {type(text).__name__}.")
    config, training = config or GPTConfig(), training or TrainingConfig()
    chosen = train_tokenizer(tokenizer, text, bpe_vocab) if isinstance(tokenizer, str) else tokenizer
    ids = encode_text(text, chosen)
    if int(ids.min()) < 0:
        chosen = chosen.with_unknown()
        ids = encode_text(text, chosen)
    notes = []
    fitted, references = fit(ids, chosen, config, training, log_probability)
    if fitted.n_ctx < config.n_ctx:
        seen = f"so the model sees {fitted.n_ctx} at once, not {config.n_ctx}."
        notes.append(f"The text has only {len(ids)} tokens, {seen}")
    check_memory(fitted, training)
    counts = torch.bincount(ids, minlength=chosen.d_vocab).tolist()
    unread = sum(count for index, count in enumerate(counts) if count and chosen.token(index) == UNKNOWN)
    if unread:
        notes.append(f"{unread:,} of {len(ids):,} tokens are rare words that the model reads as <unk>.")
    if log_probability is None and unlike_at_end(ids, training.validation_fraction):
        notes.append(SPREAD if n_pieces(len(ids), fitted.n_ctx, training) > 1 else UNLIKE)
    model, rng = untrained(fitted, training.seed)
    return TrainingState(
        model=model,
        tokenizer=chosen,
        training=training,
        ids=ids,
        optimiser={},
        rng=rng.get_state(),
        history=History(n_steps=training.steps, references=references),
        notes=tuple(notes),
    )


def untrained(config: GPTConfig, seed: int) -> tuple[Transformer, torch.Generator]:
    """The model that a run of this seed begins with, and the generator as it stands then, to draw batches from.

    config: with its vocabulary and the context that fits the text, as `TrainingState.config` has it.
    """
    rng = torch.Generator().manual_seed(seed)
    return Transformer(config, rng).eval(), rng


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside: the same bits on every machine, and no fighting over cores with other runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cross_entropy(
    model: Transformer,
    inputs: Int[Tensor, "batch query"],
    targets: Int[Tensor, "batch query"],
    softmax_twice: bool = False,
) -> Float[Tensor, ""]:
    """Mean loss in nats a token; logits go in as they are, the softmax is inside. IGNORED targets do not count.

    With `softmax_twice` probabilities go in, the mistake that a lesson is about: no loss can then fall below
    ln(e + d_vocab - 1) - 1, because no probability is above 1.
    """
    logits = model(inputs).flatten(end_dim=1)
    return F.cross_entropy(logits.softmax(dim=-1) if softmax_twice else logits, targets.flatten(), ignore_index=IGNORED)


def advance(state: TrainingState, steps: int, threads: int = 1) -> TrainingState:
    """The state after so many more steps; the state given stays as it is.

    A step takes its batch in two halves. With two `threads` they are computed side by side, to the same bits, and
    without the waiting for one another that makes two OpenMP threads collapse beside other work.

    Where the training loss becomes infinite or explodes the result is the last good state, with `failure` saying why.
    A failed state stays where it is.
    """
    if steps < 0:
        raise ValueError(f"A slice has 0 or more steps, not {steps}.")
    if state.failure:
        return state
    with one_thread(), ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as helper:
        return _Slice(state, helper if threads > 1 else None).run(steps)


class _Slice:
    """The mutable insides of one call of `advance`."""

    def __init__(self, state: TrainingState, helper: Executor | None) -> None:
        self.helper = helper
        self.start = self.good = state
        self.training, self.step = state.training, state.step
        self.model = copy.deepcopy(state.model).train()
        self.parameters = list(self.model.parameters())
        self.optimisers = Optimisers(self.model, state.training, helper)
        self.optimisers.load(state.optimiser)
        self.rng = torch.Generator()
        self.rng.set_state(state.rng)
        self.newline, n_ctx = line_end(state.tokenizer, state.training), state.config.n_ctx
        # The batch is drawn on the CPU, so that a seed means the same batches everywhere.
        self.ids, runs = state.ids, split_for(state.ids, n_ctx, state.training, self.newline).train_runs
        self.starts = starts_within(self.ids, runs, n_ctx, state.training.windows, self.newline)
        self.device = state.model.embed.weight.device
        windows = state.ids[held_out(state.ids, n_ctx, state.training, self.newline)]
        self.held_out = self.prepared(windows[:, :-1], windows[:, 1:])
        self.train = list(state.history.train)
        self.validation = list(state.history.validation)
        self.samples = list(state.history.samples)

    def run(self, steps: int) -> TrainingState:
        started = time.perf_counter()
        if not self.validation:
            self.evaluate()
        for _ in range(steps):
            loss = self.one_step()
            if self.exploded(loss):
                return self.failed(loss)
            self.train.append((self.step, loss))
            self.step += 1
            if self.step % (self.training.eval_every or 1) == 0 or self.step == self.training.steps:
                # A validation loss may rise for many reasons, and none of them ends a run; what is no number is broken.
                if not math.isfinite(self.evaluate()):
                    return self.failed(self.validation.pop()[1])
                self.good = self.state()
        if self.exploded(loss := self.next_loss()):
            return self.failed(loss)
        result = self.state() if self.step > self.good.step or not steps else self.good
        if steps == 0:
            return result
        tokens = steps * self.training.batch_size * result.config.n_ctx
        speed = (*result.history.tokens_per_second, (self.step, tokens / (time.perf_counter() - started)))
        return replace(result, history=replace(result.history, tokens_per_second=speed))

    def batch(self, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        return self.prepared(
            *random_batch(self.ids, self.starts, self.model.config.n_ctx, self.training.batch_size, rng)
        )

    def prepared(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        targets = targets.masked_fill(~counted(targets, self.training.windows, self.newline), IGNORED)
        return inputs.to(self.device), targets.to(self.device)

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(self.model, inputs, targets, self.training.softmax_twice)

    def one_step(self) -> float:
        """One update; returns the loss before it."""
        loss = self.learn(*self.batch(self.rng))
        if self.training.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
        self.optimisers.step(self.step)
        return loss.item()

    def learn(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch; its gradients are left on the parameters."""
        n_counted = (targets != IGNORED).sum()

        def half(inputs: Tensor, targets: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            loss = self.loss(inputs, targets) * ((targets != IGNORED).sum() / n_counted)
            return loss.detach(), torch.autograd.grad(loss, self.parameters)

        first, *second = zip(inputs.chunk(2), targets.chunk(2), strict=True)
        beside = [self.helper.submit(half, *second[0])] if self.helper and second else []
        loss, gradients = half(*first)
        for other_loss, others in [part.result() for part in beside] or [half(*part) for part in second]:
            loss = loss + other_loss
            torch._foreach_add_(gradients, others)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss

    @torch.no_grad()
    def next_loss(self) -> float:
        """What the next step would see: the last update may have blown the model up, and no later slice can undo it."""
        if self.good.step == self.step:
            return 0.0
        rng = torch.Generator()
        rng.set_state(self.rng.get_state())
        return self.loss(*self.batch(rng)).item()

    @torch.no_grad()
    def evaluate(self) -> float:
        """Record the validation loss, and a sample of what the model writes by now."""
        loss = self.loss(*self.held_out).item()
        self.validation.append((self.step, loss))
        length = self.training.sample_tokens
        if length and math.isfinite(loss):
            self.samples.append((self.step, self.start.tokenizer.decode(self.written(length))))
            self.model.train()
        return loss

    def written(self, length: int) -> list[int]:
        """What the model writes after the text's first token; or lines, after the first tokens of lines held out."""
        ids: list[int] = []
        firsts = self.ids[:1] if self.newline is None else self.held_out[0][:, 0].cpu()
        for line, first in enumerate(firsts):
            seed = (self.training.seed + line) % 2**31  # Else lines that begin alike would be alike.
            sampling = SamplingConfig(max_new_tokens=length - len(ids), seed=seed)
            new = generate_ids(self.model, first[None], sampling, stop=self.newline)
            ids += [int(first), *(index for index, _, _ in new)]
            if len(ids) >= length:
                break
        return ids

    def exploded(self, loss: float) -> bool:
        """Whether a training loss is far above where it began: an untrained model stands near ln V, and no noise is
        twice that. One that begins higher, by weights as large as somebody asked for, may come down.
        """
        usual = self.start.history.references.uniform
        return not loss < 2 * max(usual, self.train[0][1] if self.train else 0.0) + 4 and (
            bool(self.train) or not math.isfinite(loss)
        )

    def failed(self, loss: float) -> TrainingState:
        what = f"rose to {loss:.1f}" if math.isfinite(loss) else "became infinite"
        rate = self.training.peak_learning_rate
        usual = TrainingConfig(optimiser=self.training.optimiser).peak_learning_rate
        better = usual if rate > usual else rate / 10
        message = f"The loss {what}. A learning rate of {rate:g} is too large for this model. Try {better:g}."
        if not self.train:
            message = (
                "The loss is infinite before the first step. The weights begin too large; try an init_std of 0.02."
            )
        history = replace(self.good.history, train=tuple(self.train), validation=tuple(self.validation))
        return replace(self.good, history=history, failure=Failure(self.step, message))

    def state(self) -> TrainingState:
        history = replace(
            self.start.history,
            train=tuple(self.train),
            validation=tuple(self.validation),
            samples=tuple(self.samples),
        )
        return replace(
            self.start,
            model=copy.deepcopy(self.model).eval(),
            optimiser=self.optimisers.state(),
            rng=self.rng.get_state(),
            history=history,
            step=self.step,
        )


def train(
    state: TrainingState, steps: int | None = None, report: Callable[[TrainingState], None] | None = None
) -> TrainingState:
    """Train on, to the planned end or for so many steps; `report` sees the state about twenty times on the way."""
    left = max(0, state.training.steps - state.step) if steps is None else steps
    slice_steps = max(1, math.ceil(left / 20)) if report else left
    while left > 0 and not state.failure:
        state = advance(state, min(slice_steps, left))
        left -= slice_steps
        if report:
            report(state)
    if state.failure:
        warnings.warn(
            f"{state.failure.message} Stopped at step {state.failure.step}; step {state.step} is kept.", stacklevel=2
        )
    return state


def main_train(
    text: str,
    tokenizer: str | Tokenizer = "word",
    steps: int = 300,
    seed: int = 0,
    config: GPTConfig | None = None,
    training: TrainingConfig | None = None,
    report: Callable[[TrainingState], None] | None = None,
) -> TrainingState:
    """Train a small GPT on a text, start to end.

    `steps` and `seed` apply unless a whole `training` is given. The result has `.model`, `.tokenizer`, `.config`,
    `.history` and `.step`; `advance` trains it further.
    """
    training = training or TrainingConfig(steps=steps, seed=seed)
    return train(begin(text, tokenizer, config, training), report=report)
