"""Seconds of a step against the work in it, from small models to large ones and from short contexts to long."""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt

from benchmarks.measure import Line
from benchmarks.speed import our_state
from minigpt.config import GPTConfig, TrainingConfig
from minigpt.runs.worker import keep_memory
from minigpt.training import TrainingState, advance

# Layers, width, context, batch: parameters from .1 to 10 million, then contexts with the same 2,048 tokens a step.
BY_PARAMETERS = [
    (2, 64, 64, 12),
    (2, 128, 64, 12),
    (4, 128, 64, 12),
    (4, 256, 64, 12),
    (6, 256, 64, 12),
    (6, 384, 64, 12),
]
BY_CONTEXT = [(4, 128, n_ctx, 2048 // n_ctx) for n_ctx in (32, 64, 128, 256, 512)]
ASKED = 1.3


@dataclass(frozen=True)
class Point:
    """One size: what a step of it costs, and how many floating-point operations that is."""

    n_params: int
    n_ctx: int
    flops: float
    seconds: float

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.flops / self.seconds


def flops_of_a_step(config: GPTConfig, training: TrainingConfig, n_params: int) -> float:
    """Multiplications and additions of one step with AdamW: 6 for each parameter and token, and those of attention.

    Kaplan et al., 2020, section 2.1. Embeddings are tied, so that the parameters that are looked up also multiply.
    Attention's two products are counted in full, though half of each lies ahead of its query, and three times as
    everything else: once forward, twice backward.
    """
    tokens = training.batch_size * config.n_ctx
    attention = 3 * 2 * 2 * config.n_layers * config.n_ctx * config.n_heads * config.d_head
    return float(tokens * (6 * n_params + attention))


def measured(rounds: int) -> tuple[list[Point], list[Point]]:
    """The two series, all sizes in turn, medians, one thread."""
    states: list[TrainingState] = [our_state(*size) for size in BY_PARAMETERS + BY_CONTEXT]
    seconds: list[list[float]] = [[] for _ in states]
    for _ in range(rounds):
        for state, taken in zip(states, seconds, strict=True):
            n_steps = max(1, round(3e5 / state.model.n_params))
            started = time.perf_counter()
            advance(state, n_steps)
            taken.append((time.perf_counter() - started) / n_steps)
    points = [
        Point(n, state.config.n_ctx, flops_of_a_step(state.config, state.training, n), statistics.median(taken))
        for state, taken in zip(states, seconds, strict=True)
        for n in (state.model.n_params,)
    ]
    return points[: len(BY_PARAMETERS)], points[len(BY_PARAMETERS) :]


def spread(points: list[Point]) -> float:
    """How far the farthest point lies from seconds = operations / rate, for the rate that fits best."""
    rates = [point.rate for point in points]
    return float((max(rates) / min(rates)) ** 0.5)


def growth(rounds: int, picture: Path | None = None) -> list[Line]:
    """How far a step's seconds stray from its work; the picture shows every size."""
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=keep_memory) as worker:
        series = worker.submit(measured, rounds).result()
    lines = []
    for points, what in zip(series, ("parameters, 0.1 to 10 M", "context, 32 to 512"), strict=True):
        rates = [point.rate / 1e9 for point in points]
        said = f"{min(rates):.0f} to {max(rates):.0f} GFLOP/s, smallest to largest: " + ", ".join(
            f"{r:.0f}" for r in rates
        )
        lines.append(
            Line(f"a step's seconds over its operations, by {what}", spread(points), ASKED, said, at_most=True)
        )
    if picture:
        draw(*series, picture)
    return lines


def draw(by_parameters: list[Point], by_context: list[Point], picture: Path) -> None:
    """Seconds a step in both series, and the line along which seconds are operations over one rate."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, points, place in zip(axes, (by_parameters, by_context), ("n_params", "n_ctx"), strict=True):
        x = [getattr(point, place) for point in points]
        rate = (max(p.rate for p in points) * min(p.rate for p in points)) ** 0.5
        expected = [point.flops / rate for point in points]
        band = [second / ASKED for second in expected], [second * ASKED for second in expected]
        axis.fill_between(x, *band, color="#d9e2ec", label=f"within {ASKED} ×")
        axis.plot(x, expected, color="#7b8794", linewidth=1, label=f"operations / {rate / 1e9:.0f} GFLOP/s")
        axis.plot(x, [point.seconds for point in points], "o", color="#1f5fbf", label="measured")
        axis.set(xscale="log", yscale="log")
        axis.legend(frameon=False)
    axes[0].set(xlabel="parameters (context 64, batch 12)", ylabel="seconds a step, one thread")
    axes[1].set(xlabel="context (0.8 M parameters, 2,048 tokens a step)")
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)
