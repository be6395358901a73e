"""Where the time of our own work goes: training and looking by torch's profiler, writing by its products alone."""

from collections.abc import Callable

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import interleaved
from benchmarks.speed import D_VOCAB, N_CTX, SHAPES, on, our_steps
from minigpt.config import GPTConfig, SamplingConfig
from minigpt.generation import generate_ids
from minigpt.hooks import patterns_and_logits
from minigpt.model import Transformer

# What an operation of torch is counted as: the first kind of which a part is in its name.
KINDS = {
    "attention": ("scaled_dot_product", "aten::_softmax", "masked_fill"),
    "matrix products": ("aten::mm", "bmm", "addmm"),
    "activation and norm": ("relu", "clamp_min", "threshold", "gelu", "layer_norm"),
    "copies and gathers": ("copy", "cat", "index", "embedding", "stack", "fill", "zero"),
}
REST = "all else, each small"
TIMES = 10


def works() -> dict[str, Callable[[], object]]:
    """What is profiled, TIMES over, on one thread."""
    model = Transformer(GPTConfig(D_VOCAB, 256, 128, 4, 6)).eval()

    def look(n_tokens: int) -> Callable[[], object]:
        ids = torch.arange(n_tokens) % D_VOCAB
        return on(1, lambda: [patterns_and_logits(model, ids) for _ in range(TIMES)])

    return {
        "a training step, S": our_steps("S", TIMES, 1),
        "a training step, M": our_steps("M", TIMES, 1),
        "patterns and logits of 64 tokens": look(64),
        "patterns and logits of 256 tokens": look(256),
    }


def kind_of(operation: str) -> str:
    """One of KINDS, or REST."""
    return next((kind for kind, parts in KINDS.items() if any(part in operation for part in parts)), REST)


def shares(work: Callable[[], object]) -> tuple[float, dict[str, float]]:
    """Milliseconds of torch's operations in one of TIMES, and each kind's share; Python between them is not in it."""
    work()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    spent = dict.fromkeys([*KINDS, REST], 0.0)
    for event in seen.key_averages():
        spent[kind_of(event.key)] += event.self_cpu_time_total
    total = sum(spent.values())
    return total / TIMES / 1000, {kind: one / total for kind, one in spent.items()}


def products_of_writing(name: str, n_new: int = 58) -> tuple[float, float]:
    """Milliseconds to write so many tokens, and the share of it that the weights' products alone would take."""
    n_layers, d_model, _ = SHAPES[name]
    model = Transformer(GPTConfig(D_VOCAB, N_CTX, d_model, 4, n_layers)).eval()
    widths = [(3 * d_model, d_model), (d_model, d_model), (4 * d_model, d_model), (d_model, 4 * d_model)] * n_layers
    weights = [np.ones(shape, np.float32) for shape in (*widths, (D_VOCAB, d_model))]
    sides = [(np.ones(weight.shape[1], np.float32), np.empty(weight.shape[0], np.float32)) for weight in weights]

    def products() -> None:
        for _ in range(n_new):
            for weight, (x, out) in zip(weights, sides, strict=True):
                weight.dot(x, out=out)

    write = on(1, lambda: list(generate_ids(model, torch.arange(6), SamplingConfig(n_new, 0.8))))
    taken = interleaved({"write": write, "products": products}, 9)
    return 1000 * taken["write"].median, taken["products"].median / taken["write"].median


def section() -> str:
    """Markdown: a row for each kind of work, a column for each kind of operation; below, what writing is made of."""
    kinds = [*KINDS, REST]
    rows = ["| | ms | " + " | ".join(kinds) + " |", "|---|---|" + "---|" * len(kinds)]
    for name, work in works().items():
        ms, share = shares(work)
        rows.append(f"| {name} | {ms:.1f} | " + " | ".join(f"{share[kind]:.0%}" for kind in kinds) + " |")
    written = []
    for name in SHAPES:
        ms, share_of_products = products_of_writing(name)
        written.append(f"{name} {share_of_products:.0%} of {ms:.1f} ms")
    return (
        "\n".join(rows)
        + f"\n\nThe weights' products alone, of the time that 58 written tokens take: {', '.join(written)}."
    )
