"""Seconds of training to a validation loss, for whole recipes: what a person waits for."""

import hashlib
import math
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from minigpt.config import PRESETS, GPTConfig, TrainingConfig
from minigpt.data import encode_text
from minigpt.model import Transformer
from minigpt.runs.worker import keep_memory
from minigpt.tokenizer import train_tokenizer
from minigpt.training import advance, begin

SOURCE = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
LOOK_EVERY = 10  # steps between two looks at the validation loss, which take no time on this clock
Slices = Iterator[tuple[Transformer, float]]


def common_text(path: Path) -> str:
    """Tiny Shakespeare from a file, fetched there first if it is missing. Raises SystemExit if it is something else."""
    if not path.exists():
        try:
            with urllib.request.urlopen(SOURCE, timeout=30) as answer:
                fetched = answer.read()
        except OSError as error:
            raise SystemExit(
                f"{SOURCE} is out of reach ({error}). Put a copy of it at {path}, or say TEXT=…"
            ) from error
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fetched)
    found = path.read_bytes()
    if hashlib.sha256(found).hexdigest() != SHA256:
        raise SystemExit(f"{path} is not the text that others measure on; delete it to fetch {SOURCE} anew.")
    return found.decode("utf-8")


def letters(text: str) -> Int[Tensor, " seq"]:
    """The text as ids, a character each, as every recipe reads it."""
    return encode_text(text, train_tokenizer("character", text))


@dataclass(frozen=True)
class Recipe:
    """A way to train. `slices` yields, for a seed, the model and the seconds spent, again after each few steps."""

    title: str
    n_params: int
    slices: Callable[[int], Slices]


def ours(text: str, title: str, config: GPTConfig, training: TrainingConfig) -> Recipe:
    """This package's own training, as a lone run on two cores has it in its worker."""
    # Its own looks at the loss, and samples, are left out: the clock is for training, for every recipe alike.
    plan = replace(training, sample_tokens=0, eval_every=training.steps)

    def slices(seed: int) -> Slices:
        keep_memory()
        state = advance(begin(text, "character", config, replace(plan, seed=seed)), 0)
        spent = 0.0
        while not state.finished:
            started = time.perf_counter()
            state = advance(state, LOOK_EVERY, threads=2)
            spent += time.perf_counter() - started
            yield state.model, spent

    return Recipe(title, begin(text, "character", config, plan).model.n_params, slices)


def usual(text: str, title: str, config: GPTConfig, steps: int, rates: tuple[float, float], warmup: int) -> Recipe:
    """The usual loop: whole batches of 12, AdamW with nanoGPT's settings for a CPU, torch's own threads.

    rates: the peak of the learning rate, and where its cosine ends.
    """
    ids = letters(text)
    train = ids[: len(ids) * 9 // 10]
    config = replace(config, d_vocab=begin(text, "character", config).config.d_vocab)

    def slices(seed: int) -> Slices:
        rng = torch.Generator().manual_seed(seed)
        model = Transformer(config, rng).train()
        decayed = [p for p in model.parameters() if p.ndim >= 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": [p for p in model.parameters() if p.ndim < 2]}]
        adamw = torch.optim.AdamW(groups, lr=rates[0], betas=(0.9, 0.99), weight_decay=0.0, fused=True)
        spent, started = 0.0, time.perf_counter()
        for step in range(steps):
            for group in adamw.param_groups:
                group["lr"] = _rate(step, steps, rates, warmup)
            starts = torch.randint(len(train) - config.n_ctx, (12,), generator=rng)
            rows = train[starts[:, None] + torch.arange(config.n_ctx + 1)]
            loss = F.cross_entropy(model(rows[:, :-1]).flatten(end_dim=1), rows[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adamw.step()
            adamw.zero_grad(set_to_none=True)
            if (step + 1) % LOOK_EVERY == 0:
                spent += time.perf_counter() - started
                yield model, spent
                started = time.perf_counter()

    return Recipe(title, Transformer(config).n_params, slices)


def _rate(step: int, steps: int, rates: tuple[float, float], warmup: int) -> float:
    peak, last = rates
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return last + (peak - last) * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


@torch.no_grad()
def validation_loss(model: Transformer, ids: Int[Tensor, " seq"], n_windows: int = 200) -> float:
    """Mean loss in nats over windows of 64 tokens, spread evenly over the last tenth of the text.

    A model that sees less than 64 tokens is asked about the same stretches in pieces, which is harder for it.
    """
    held_out, n_ctx = ids[len(ids) * 9 // 10 :], min(64, model.config.n_ctx)
    starts = torch.linspace(0, len(held_out) - 65, n_windows).long()
    pieces = (starts[:, None] + torch.arange(0, 65 - n_ctx, n_ctx)).flatten()
    rows = held_out[pieces[:, None] + torch.arange(n_ctx + 1)]
    was_training = model.training
    model.train()  # The fused kernel; nothing else differs.
    loss = F.cross_entropy(model(rows[:, :-1]).flatten(end_dim=1), rows[:, 1:].flatten()).item()
    model.train(was_training)
    return loss


@dataclass(frozen=True)
class Reached:
    """When the validation loss first stood at a target or below."""

    seconds: float
    steps: int


def reached(recipe: Recipe, ids: Int[Tensor, " seq"], targets: tuple[float, ...], seed: int) -> dict[float, Reached]:
    """When each target was first met; one that never was is left out. Stops where all are."""
    met: dict[float, Reached] = {}
    for count, (model, spent) in enumerate(recipe.slices(seed), start=1):
        loss = validation_loss(model, ids)
        met |= {
            target: Reached(spent, count * LOOK_EVERY) for target in targets if loss <= target and target not in met
        }
        if len(met) == len(targets):
            break
    return met


NANOGPT = GPTConfig(n_layers=4, d_model=128, n_heads=4, n_ctx=64, positions="learned", act_fn="gelu", init_std=0.02)
DEFAULT = next(iter(PRESETS.values()))
RECIPES: dict[str, Callable[[str], Recipe]] = {
    "ours": lambda text: ours(text, "the page's default", DEFAULT.config, DEFAULT.training),
    "published": lambda text: usual(text, "nanoGPT's published CPU settings", NANOGPT, 2000, (1e-3, 1e-4), 100),
    "tuned": lambda text: usual(text, "the same model, AdamW tuned for a short run", NANOGPT, 1000, (8e-3, 0.0), 50),
    "same model": lambda text: ours(
        text,
        "the same model, our training",
        replace(NANOGPT, init_std=None),
        TrainingConfig(steps=450, learning_rate=0.02),
    ),
}


def reached_by(name: str, text: str, targets: tuple[float, ...], seed: int) -> dict[float, Reached]:
    """`reached` of one of `RECIPES`, in a process of its own: it leaves no thread and no memory to the next."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_reached_by, name, text, targets, seed).result()


def _reached_by(name: str, text: str, targets: tuple[float, ...], seed: int) -> dict[float, Reached]:
    return reached(RECIPES[name](text), letters(text), targets, seed)
