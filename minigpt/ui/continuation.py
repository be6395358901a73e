"""Prompt and continuation as tokens to click, each on a background that says something of it."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from minigpt.figures.labels import for_page
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.fragment import Node, h

# For each colour: what its least and its most stand for.
ENDS = {
    "probability": ("unlikely", "certain"),
    "surprise": ("expected", "surprising"),
    "attention": ("not looked at", "looked at"),
}


def continuation(exploration: Exploration, chosen: Selection) -> list[Node]:
    """All tokens, the chosen one outlined."""
    shares = shades(exploration, chosen)
    n_prompt = len(exploration.prompt)
    chips = [
        _chip(name, index, n_prompt, float(share), index == chosen.position)
        for index, (name, share) in enumerate(zip(exploration.names, shares, strict=True))
    ]
    if chosen.position == len(exploration.ids):
        chips.append(h("span", "?", cls="t on", title="what would come next"))
    return [h("div", *chips, cls=f"mg-toks shaded {chosen.colour}")]


def told(exploration: Exploration, chosen: Selection) -> list[Node]:
    """What the model said of the chosen token before it came, and what the colour means."""
    least, most = ENDS[chosen.colour]
    key = h("span", least, h("i", cls=chosen.colour), most, cls="mg-key", title=f"The colour shows {chosen.colour}.")
    return [h("p", h("span", *_said(exploration, chosen)), key, cls="mg-said")]


def shades(exploration: Exploration, chosen: Selection) -> Float[np.ndarray, " seq"]:
    """How deep the colour behind each token is, 0 to 1; NaN for none.

    probability: of each token that the model wrote; in a film, of each that it read. surprise: -ln of the probability,
    over ln of the vocabulary, where 1 is an even guess. attention: what the chosen row of the chosen head gives to each
    token.
    """
    probabilities = exploration.probabilities
    if chosen.colour == "surprise":
        guess = math.log(max(2, exploration.state.config.d_vocab))
        return np.clip(-np.log(np.maximum(probabilities, 1e-45)) / guess, 0, 1)
    if chosen.colour == "attention":
        shown = np.full(len(exploration.ids), np.nan)
        query = exploration.query_of(chosen.position)
        if query is not None:
            end = exploration.view.dropped + (query + 1 if exploration.view.causal else len(exploration.view.tokens))
            row = exploration.view.pattern[chosen.layer, chosen.head, query]
            shown[exploration.view.dropped : end] = row[: end - exploration.view.dropped]
        return shown
    shown = probabilities.copy()
    if exploration.film_step is None:
        shown[: len(exploration.prompt)] = np.nan
    return shown


def _chip(name: str, index: int, n_prompt: int, share: float, chosen: bool) -> Node:
    kind = f"t{' in' * (index < n_prompt)}{' on' * chosen}{' none' * math.isnan(share)}"
    return h(
        "button",
        for_page(name, 40),
        cls=kind,
        type="button",
        style="" if math.isnan(share) else f"--p:{share:.3f}",
        title=f"token {index + 1:,}" + ("" if math.isnan(share) else f": {share:.3f}"),
        aria_pressed="true" if chosen else "false",
        data_index=str(index),
    )


def _said(exploration: Exploration, chosen: Selection) -> Sequence[Node]:
    said = exploration.told(chosen.position)
    number = f"Token {chosen.position + 1:,}"
    if chosen.position == len(exploration.ids):
        assert said is not None
        return [f"{number}, not written yet: entropy ", h("b", f"{said.entropy:.2f}"), " nats"]
    name = h("code", for_page(exploration.names[chosen.position], 24))
    if said is None or said.probability is None or said.loss is None or said.rank is None:
        return [f"{number}, ", name, ": the model was not asked for it"]
    rank = {1: "first choice", 2: "second choice", 3: "third choice"}.get(said.rank, f"choice {said.rank:,}")
    probability = f"{said.probability:.2f}" if said.probability >= 0.01 else f"{said.probability:.3f}"
    return [
        f"{number}, ", name, ": probability ", h("b", probability), f", {rank}; surprise ", h("b", f"{said.loss:.2f}"),
        ", entropy ", h("b", f"{said.entropy:.2f}"), " nats",
    ]  # fmt: skip
