"""Things to take out of a sound model, one by one, to see what each was for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from minigpt.config import GPTConfig, TrainingConfig


@dataclass(frozen=True)
class Break:
    """One thing done wrong on purpose.

    title: its name on the page. why: in one sentence, what comes of it and why. config, training: what it changes.
    """

    title: str
    why: str
    config: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)


BREAKS: dict[str, Break] = {
    "mask": Break(
        "no causal mask",
        "Without the causal mask each token sees the one it should predict: the loss falls below what anybody could "
        "reach by predicting, and from a prefix, where nothing stands ahead, the model fails.",
        config={"causal": False},
    ),
    "positions": Break(
        "no positions",
        "Without positions a head sees which tokens came before, but not where they stood or in which order.",
        config={"positions": "none"},
    ),
    "scaling": Break(
        "no scaling",
        "Without the division by √d_head the scores start so far apart that the softmax puts everything on one token, "
        "and where a softmax is that sure it passes hardly any gradient back.",
        config={"scale_scores": False},
    ),
    "layer": Break(
        "one layer",
        "With one layer no head can build on what another has found, such as which letter came one place before.",
        config={"n_layers": 1},
    ),
    "softmax": Break(
        "softmax twice",
        "The loss takes a softmax of its own, so probabilities that go in as logits are flattened: even a perfect "
        "model cannot show a low loss.",
        training={"softmax_twice": True},
    ),
    "chunks": Break(
        "chunks of five",
        "Cut into chunks of five that do not overlap, the text holds nothing further back than four tokens, and every "
        "fifth step, from one chunk to the next, is never learned.",
        config={"n_ctx": 4},
        training={"windows": "chunks"},
    ),
    "vocabulary": Break(
        "vocabulary of the prompt",
        "The vocabulary is built again from the prompt, so the prompt's ids mean other tokens than in training: the "
        "model reads a different text from the one that was written.",
    ),
}

# What a twin goes without: parts of a sound model, in the order in which a token meets them.
PARTS: dict[str, Break] = {
    "mask": BREAKS["mask"],
    "positions": BREAKS["positions"],
    "scaling": BREAKS["scaling"],
    "mlp": Break(
        "no MLP",
        "Without the MLP nothing works on each token by itself: heads only move what embeddings hold from one token to "
        "another.",
        config={"d_mlp": 0},
    ),
    "norm": Break(
        "no LayerNorm",
        "Without LayerNorm each layer reads the residual stream at whatever size it has grown to, so large steps of "
        "training can throw the model off its course.",
        config={"layer_norm": False},
    ),
    "residual": Break(
        "no residual stream",
        "Without the residual stream each layer replaces what came before it instead of adding to it, so a token's own "
        "embedding is lost unless every layer passes it on.",
        # What writes to the stream starts at zero else, and without one zero would let nothing through, for ever.
        config={"residual": False, "init_std": 0.02},
    ),
    "layer": BREAKS["layer"],
    "head": Break(
        "one head",
        "With one head as wide as all of them together, each token has a single pattern a layer, and cannot look for "
        "two things at once.",
        config={"n_heads": 1, "d_head": 0},
    ),
}


def checked_breaks(names: Iterable[str]) -> tuple[str, ...]:
    """The names in the order of `BREAKS`, each once; ValueError, naming the choices, for an unknown one."""
    asked = set(names)
    unknown = sorted(asked - BREAKS.keys())
    if unknown:
        raise ValueError(f"A model can be broken by {', '.join(BREAKS)}, not by {unknown[0]!r}.")
    return tuple(name for name in BREAKS if name in asked)


def broken(
    names: Iterable[str], config: GPTConfig, training: TrainingConfig, without: str = ""
) -> tuple[GPTConfig, TrainingConfig]:
    """The settings with all these things done wrong, and `without` one of PARTS; "" leaves every part in."""
    taken = [BREAKS[name] for name in checked_breaks(names)]
    if without:
        if without not in PARTS:
            raise ValueError(f"A twin can go without {', '.join(PARTS)}, not without {without!r}.")
        taken.append(PARTS[without])
    for known in taken:
        config = replace(config, **known.config)  # type: ignore[arg-type]
        training = replace(training, **known.training)  # type: ignore[arg-type]
    return config, training


def removable(config: GPTConfig) -> list[str]:
    """The PARTS that this model has, so that a twin without one of them is another model."""
    return [name for name in PARTS if broken([], config, TrainingConfig(), name)[0] != config]
