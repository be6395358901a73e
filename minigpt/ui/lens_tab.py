"""A tab of panel 4: what each layer would answer already."""

from dataclasses import replace
from typing import Any

import gradio as gr
import torch

from minigpt import figures
from minigpt.figures.lens import row_names
from minigpt.lens import guesses, logit_lens
from minigpt.ui.explore_panel import SHOWN_NAMES
from minigpt.ui.explorer import SHOWS, Exploration, Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.fragment import Fragment, Node, h
from minigpt.ui.view import PlotlyView
from minigpt.ui.wires import EACH, LAST, Parts, Wires

HOW = "Read downwards: a token goes in at the top, each layer shows what it would answer, and the last is the answer."
KEY = h(
    "p",
    h("span", "unlikely", h("i", cls="probability"), "certain", cls="mg-key", title="The colour shows probability."),
)


class LensTab:
    """The model's answer after every layer."""

    name, title = "lens", "Layer by layer"
    outputs: tuple[str, ...] = ("lens_rows", "lens", "lens_note")

    def __init__(self, exploring: Exploring) -> None:
        self._exploring = exploring

    def build(self) -> Parts:
        """What the colour shows, the map with the names of its rows, and what to think of it."""
        parts: Parts = {}
        with gr.Row(elem_id="lens-head"):
            Fragment([h("p", HOW, cls="mg-note")])
            Fragment([KEY], elem_id="lens-key")
            Fragment([h("p", "shows", cls="mg-note")], elem_id="lens-shows-label")
            parts["lens_shows"] = gr.Radio(
                list(SHOWS), value=SHOWS[0], show_label=False, label="Shows", container=False, elem_id="lens-shows",
                elem_classes="mg-seg",
            )  # fmt: skip
        with gr.Row(elem_id="lens-body"):
            parts["lens_rows"] = Fragment(elem_id="lens-rows")
            parts["lens"] = PlotlyView(label="What each layer would answer", elem_id="lens")
        parts["lens_note"] = Fragment(elem_id="lens-note")
        return parts

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """The figure for what is read, with the chosen token's column outlined."""
        model, view, token = exploration.state.model, exploration.view, exploration.state.tokenizer.token
        after = view.dropped + 1
        logits = logit_lens(model, torch.tensor(view.ids, device=model.embed.weight.device))
        found = guesses(logits, torch.tensor(exploration.ids[after:], dtype=torch.int64))
        answers = figures.Answers(
            tokens=view.tokens,
            came=exploration.names[after:],
            first=[[token(int(index)) for index in row] for row in found.first],
            p_first=found.p_first,
            p_came=found.p_came,
            rank=found.rank,
        )
        query, of_came = exploration.query_of(selection.position), selection.shows == SHOWS[1]
        rows = [h("li", name) for name in ["what it reads", *row_names(model.config.n_layers)]]
        return [
            [h("ol", *rows, cls="mg-rows")],
            figures.lens(answers, query, of_came=of_came, alone=False),
            note(model.config.tie_unembedding),
        ]

    def wire(self, wires: Wires) -> None:
        """A click chooses the token that the cell answers with."""
        wires.on("select lens", self._exploring.pick_column, "selection", SHOWN_NAMES, **EACH)
        wires.on("input lens_shows", self._choose, "lens_shows selection", "selection", **LAST)

    def _choose(self, shows: str, selection: Selection) -> Selection:
        return replace(selection, shows=shows) if shows in SHOWS else selection


def note(tied: bool) -> list[Node]:
    """What to think of an early answer."""
    why = "An early answer is a guess: the last LayerNorm and the unembedding were trained to read the last row only."
    same = " The embedding's own guess is mostly the token just read, because one matrix both reads and writes tokens."
    return [h("p", why + (same if tied else ""), cls="mg-note")]
