"""Training as a pure function in slices: `advance(state, steps) -> state`.

One slice of 1,000 steps and ten of 100 give the same bits, so a caller may pause, move or repeat a slice as it likes.
"""

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from minigpt.config import GPTConfig, SamplingConfig, TrainingConfig, check_memory
from minigpt.data import encode_text, even_windows, fitting_context, random_batch, reference_losses, split
from minigpt.generation import generate_ids
from minigpt.history import History
from minigpt.model import Transformer
from minigpt.optimiser import Optimisers
from minigpt.tokenizer import Tokenizer, train_tokenizer


@dataclass(frozen=True)
class Failure:
    """Why a run stopped by itself, and at which step; the state around it is the last good one."""

    step: int
    message: str


@dataclass(frozen=True)
class TrainingState:
    """All that the next step depends on, and what the run remembers. Never changed in place.

    ids: the whole training text as tokens; its last part is for validation.
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
    floor: float | None = None,
) -> TrainingState:
    """An untrained model for a text.

    tokenizer: "word", "character", "bpe", or a tokenizer at hand. floor: the best loss possible, where it is known.
    The context shrinks to fit a short text, and `notes` says so.
    Raises ValueError, in the reader's words, where text or settings cannot work.
    """
    if not isinstance(text, str):
        raise ValueError(f"The text must be a string, not {type(text).__name__}.")
    config, training = config or GPTConfig(), training or TrainingConfig()
    chosen = train_tokenizer(tokenizer, text, bpe_vocab) if isinstance(tokenizer, str) else tokenizer
    ids = encode_text(text, chosen)
    notes = []
    n_ctx = fitting_context(config.n_ctx, ids, training.validation_fraction)
    if n_ctx < config.n_ctx:
        notes.append(f"The text has only {len(ids)} tokens, so the model sees {n_ctx} at once, not {config.n_ctx}.")
    config = replace(config, n_ctx=n_ctx, d_vocab=chosen.d_vocab)
    check_memory(config, training)
    unread = int((ids == 0).sum()) if chosen.unknown(text) else 0
    if unread:
        notes.append(f"{unread:,} of {len(ids):,} tokens are rare words that the model reads as <unk>.")
    rng = torch.Generator().manual_seed(training.seed)
    model = Transformer(config, rng).eval()
    references = reference_losses(split(ids, training.validation_fraction).train, config.d_vocab, floor)
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
    model: Transformer, inputs: Int[Tensor, "batch query"], targets: Int[Tensor, "batch query"]
) -> Float[Tensor, ""]:
    """Mean loss in nats a token; logits go in as they are, the softmax is inside."""
    return F.cross_entropy(model(inputs).flatten(end_dim=1), targets.flatten())


def advance(state: TrainingState, steps: int) -> TrainingState:
    """The state after so many more steps; the state given stays as it is.

    Where the loss becomes infinite or explodes the result is the last good state, with `failure` saying why.
    A failed state stays where it is.
    """
    if steps < 0:
        raise ValueError(f"A slice has 0 or more steps, not {steps}.")
    if state.failure:
        return state
    with one_thread():
        return _Slice(state).run(steps)


class _Slice:
    """The mutable insides of one call of `advance`."""

    def __init__(self, state: TrainingState) -> None:
        self.start = self.good = state
        self.training, self.step = state.training, state.step
        self.model = copy.deepcopy(state.model).train()
        self.optimisers = Optimisers(self.model, state.training)
        self.optimisers.load(state.optimiser)
        self.rng = torch.Generator()
        self.rng.set_state(state.rng)
        parts = split(state.ids, state.training.validation_fraction)
        # The batch is drawn on the CPU, so that a seed means the same batches everywhere.
        self.ids, self.device = parts.train, state.model.embed.weight.device
        self.held_out = [part.to(self.device) for part in even_windows(parts.validation, state.config.n_ctx)]
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
                if self.exploded(self.evaluate()):
                    return self.failed(self.validation.pop()[1])
                self.good = self.state()
        if self.exploded(loss := self.next_loss()):
            return self.failed(loss)
        result = self.state()
        if steps == 0:
            return result
        tokens = steps * self.training.batch_size * result.config.n_ctx
        speed = (*result.history.tokens_per_second, (self.step, tokens / (time.perf_counter() - started)))
        return replace(result, history=replace(result.history, tokens_per_second=speed))

    def one_step(self) -> float:
        """One update; returns the loss before it."""
        batch = random_batch(self.ids, self.model.config.n_ctx, self.training.batch_size, self.rng)
        loss = cross_entropy(self.model, batch[0].to(self.device), batch[1].to(self.device))
        loss.backward()
        if self.training.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.clip_norm)
        self.optimisers.step(self.step)
        return loss.item()

    @torch.no_grad()
    def next_loss(self) -> float:
        """What the next step would see: the last update may have blown the model up, and no later slice can undo it."""
        if self.good.step == self.step:
            return 0.0
        rng = torch.Generator()
        rng.set_state(self.rng.get_state())
        inputs, targets = random_batch(self.ids, self.model.config.n_ctx, self.training.batch_size, rng)
        return cross_entropy(self.model, inputs.to(self.device), targets.to(self.device)).item()

    @torch.no_grad()
    def evaluate(self) -> float:
        """Record the validation loss, and a sample that begins with the text's first token."""
        loss = cross_entropy(self.model, *self.held_out).item()
        self.validation.append((self.step, loss))
        length = self.training.sample_tokens
        if length and math.isfinite(loss):
            sampling = SamplingConfig(max_new_tokens=length, seed=self.training.seed)
            written = [index for index, _, _ in generate_ids(self.model, self.ids[:1], sampling)]
            self.samples.append((self.step, self.start.tokenizer.decode([int(self.ids[0]), *written])))
            self.model.train()
        return loss

    def exploded(self, loss: float) -> bool:
        # An untrained model stands near ln V; twice that and more is no noise.
        return not loss < 2 * self.start.history.references.uniform + 4

    def failed(self, loss: float) -> TrainingState:
        what = f"rose to {loss:.1f}" if math.isfinite(loss) else "became infinite"
        rate = self.training.peak_learning_rate
        usual = TrainingConfig(optimiser=self.training.optimiser).peak_learning_rate
        better = usual if rate > usual else rate / 10
        message = f"The loss {what}. A learning rate of {rate:g} is too large for this model. Try {better:g}."
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
