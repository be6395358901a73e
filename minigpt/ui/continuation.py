"""Prompt and continuation as tokens to click, each on a background that says something of it."""

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float

from minigpt.copies import Copies, Span
from minigpt.figures.labels import for_page
from minigpt.ui import guessing, words
from minigpt.ui.explorer import AT_LEAST, Exploration, Selection
from minigpt.ui.fragment import WRITTEN, Node, h

# For each colour: what its least and its most stand for.
ENDS = {
    "probability": ("unlikely", "certain"),
    "surprise": ("expected", "surprising"),
    "attention": ("not looked at", "looked at"),
}


# What a token is called, and how exactly a copy agrees, by how the text is split.
UNITS = {
    "word": ("word", "word for word"),
    "character": ("letter", "letter for letter"),
    "bpe": ("piece", "piece for piece"),
}
MOST_PLACES = 3


def continuation(exploration: Exploration, chosen: Selection, copies: Copies | None = None) -> list[Node]:
    """All tokens, the chosen one outlined, a rule under those that are copied, and how many these are in a line below.

    A token that is still to be guessed is covered, and says nothing.
    """
    shares, n_prompt = shades(exploration, chosen), len(exploration.prompt)
    hidden = guessing.covered(exploration, chosen)
    spans = {n_prompt + span.start + i: span for span in copies.spans for i in range(span.length)} if copies else {}
    chips = [
        _covered(index, index == chosen.position)
        if index in hidden
        else _chip(name, index, n_prompt, float(share), index == chosen.position, spans.get(index))
        for index, (name, share) in enumerate(zip(exploration.names, shares, strict=True))
    ]
    if chosen.position == len(exploration.ids):
        chips.append(h("span", "?", cls="t on", title="what would come next"))
    shown = h("div", *chips, cls=f"mg-toks shaded {chosen.colour}", **WRITTEN)
    if copies is None or not copies.n_tokens:
        return [shown]
    line = "What is copied is told once all of it is uncovered." if hidden else novelty(exploration, copies)
    return [shown, h("p", line, cls="mg-note mg-copies")]


def novelty(exploration: Exploration, copies: Copies) -> str:
    """How much of a continuation stands in the training text, where, and how much is new."""
    kind = exploration.state.tokenizer.kind
    (unit, exactly), at_least = UNITS[kind], AT_LEAST[kind]
    if copies.n_tokens < at_least:
        written = words.plural(copies.n_tokens, unit)
        return f"Too short to tell what is copied: {written} written, and a copy has {at_least} or more."
    new = f"{100 * copies.novelty:.0f}% is new."
    if not copies.spans:
        return f"Nothing of {at_least} {unit}s or more is copied. {new}"
    n_copied = sum(span.length for span in copies.spans)
    places = [f"from token {span.place + 1:,} ({span.length:,})" for span in islice(copies.spans, MOST_PLACES)]
    more = [f"and {len(copies.spans) - MOST_PLACES:,} more"] if len(copies.spans) > MOST_PLACES else []
    told = f"{n_copied:,} of {words.plural(copies.n_tokens, 'token')} stand {exactly} in the training text: "
    return f"{told}{', '.join([*places, *more])}. {new}"


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


def _chip(name: str, index: int, n_prompt: int, share: float, chosen: bool, span: Span | None) -> Node:
    kind = f"t{' in' * (index < n_prompt)}{' on' * chosen}{' none' * math.isnan(share)}{' copied' * bool(span)}"
    copy = f"; copied: {words.plural(span.length, 'token')}, from token {span.place + 1:,} of the text" if span else ""
    return h(
        "button",
        for_page(name, 40),
        cls=kind,
        type="button",
        style="" if math.isnan(share) else f"--p:{share:.3f}",
        title=f"token {index + 1:,}" + ("" if math.isnan(share) else f": {share:.3f}") + copy,
        aria_pressed="true" if chosen else "false",
        data_index=str(index),
    )


def _covered(index: int, chosen: bool) -> Node:
    return h(
        "button",
        guessing.COVER,
        cls=f"t cover{' on' * chosen}",
        type="button",
        title=f"token {index + 1:,}, covered until you guess",
        aria_label=f"token {index + 1:,}, covered",
        aria_pressed="true" if chosen else "false",
        data_index=str(index),
    )


def _said(exploration: Exploration, chosen: Selection) -> Sequence[Node]:
    if guessing.asks(exploration, chosen):
        return [f"Token {chosen.position + 1:,} is covered until you guess it"]
    said = exploration.told(chosen.position)
    number = f"Token {chosen.position + 1:,}"
    if chosen.position == len(exploration.ids):
        assert said is not None
        return [f"{number}, not written yet: entropy ", h("b", f"{said.entropy:.2f}"), " nats"]
    name = h("code", for_page(exploration.names[chosen.position], 24))
    if said is None or said.probability is None or said.loss is None or said.rank is None:
        return [f"{number}, ", name, ": the model was not asked for it"]
    rank = guessing.RANKS.get(said.rank, f"choice {said.rank:,}")
    probability = f"{said.probability:.2f}" if said.probability >= 0.01 else f"{said.probability:.3f}"
    return [
        f"{number}, ", name, ": probability ", h("b", probability), f", {rank}; surprise ", h("b", f"{said.loss:.2f}"),
        ", entropy ", h("b", f"{said.entropy:.2f}"), " nats",
    ]  # fmt: skip
