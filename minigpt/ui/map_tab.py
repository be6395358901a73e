"""A tab of panel 4: which tokens lie near each other in the embedding, before training and now."""

from collections import OrderedDict
from typing import Any

import gradio as gr
import numpy as np

from minigpt import figures
from minigpt.figures.token_map import MOST_DRAWN
from minigpt.lens import EmbeddingMap, embedding_map
from minigpt.training import untrained
from minigpt.ui import door, words
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.fragment import Fragment, Node, h
from minigpt.ui.view import PlotlyView
from minigpt.ui.wires import Parts, Wires

# How much wider one map may be than the other, for one scale to serve both.
FAR_APART = 3
MAX_SHOWN = 8


class MapTab:
    """The embedding on a plane, twice."""

    name, title = "map", "Map of the tokens"
    outputs: tuple[str, ...] = ("map_note", "map_before_title", "map_before", "map_now_title", "map_now")

    def __init__(self) -> None:
        self._shown: OrderedDict[str, list[Any]] = OrderedDict()

    def build(self) -> Parts:
        """Two maps side by side, and what they show."""
        parts: Parts = {"map_note": Fragment(elem_id="map-note")}
        with gr.Row(elem_id="maps"):
            for when, title in (("before", "before training"), ("now", "now")):
                with gr.Column():
                    parts[f"map_{when}_title"] = Fragment(elem_id=f"map-{when}-title")
                    parts[f"map_{when}"] = PlotlyView(label=f"Map of the tokens {title}", elem_id=f"map-{when}")
        return parts

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """Both maps, with the tokens of the text in ink: the same for every head and token that is chosen."""
        drawn = self._shown.get(selection.key)
        if drawn is None:
            drawn = self._shown[selection.key] = self._drawn(exploration)
            while len(self._shown) > MAX_SHOWN:
                self._shown.popitem(last=False)
        return drawn

    def _drawn(self, exploration: Exploration) -> list[Any]:
        state = exploration.state
        begun, _ = untrained(state.config, state.training.seed)
        now, error = door.shown(embedding_map, state.model.embed.weight)
        if now is None:
            return [words.message(error, "err"), [], None, [], None]
        maps = embedding_map(begun.embed.weight), now
        counts = np.bincount(state.ids.numpy(), minlength=state.config.d_vocab)
        here = np.isin(np.arange(state.config.d_vocab), exploration.ids)
        tokens = [state.tokenizer.token(index) for index in range(state.config.d_vocab)]
        drawn = [figures.TokenMap(tokens, found.places, counts, here) for found in maps]
        reaches, scale = scaled(drawn[0].reach, drawn[1].reach)
        titles = ("Before training", f"At step {state.step:,}")
        update: list[Any] = [note(state.config.tie_unembedding, state.config.d_vocab, scale)]
        for title, found, shown, reach in zip(titles, maps, drawn, reaches, strict=True):
            update += [words.subtitle(title, explained(found)), figures.token_map(shown, reach, label=title).to_json()]
        return update

    def wire(self, wires: Wires) -> None:
        """Nothing here answers."""


def scaled(before: float, now: float) -> tuple[tuple[float, float], str]:
    """How far each map reaches, and the sentence that compares their scales."""
    widest = max(before, now)
    if widest <= FAR_APART * min(before, now):
        return (widest, widest), "Both maps have the same scale."
    smaller, factor = ("before training", now / before) if now > before else ("of now", before / now)
    return (before, now), f"The map {smaller} is drawn {factor:,.0f} times as large as the other."


def explained(found: EmbeddingMap) -> str:
    """How much of what there is lies on the map."""
    first, second = (f"{100 * share:.0f}%" for share in found.explained)
    return f"{first} + {second} of all differences; the rest is not on this map"


def note(tied: bool, d_vocab: int, scale: str) -> list[Node]:
    """Which numbers these are, and how to read them."""
    which = (
        "the embedding, which is the unembedding too: one matrix both reads and writes tokens."
        if tied
        else "the embedding, which reads tokens; the unembedding, which writes them, is a matrix of its own."
    )
    read = "The axes of each map are its own, so look only at what lies near what."
    some = f" The {MOST_DRAWN:,} most frequent of {d_vocab:,} tokens are drawn." if d_vocab > MOST_DRAWN else ""
    return [
        h(
            "p",
            f"Each point is a token's row of {which} {read} {scale}{some} ",
            h("b", "Bold"),
            ": the tokens of your text.",
            cls="mg-note",
        )
    ]
