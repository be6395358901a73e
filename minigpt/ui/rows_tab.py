"""A tab of panel 4: one token, and what every head gives to the tokens that it can see."""

from typing import Any

import gradio as gr

from minigpt import figures
from minigpt.figures.labels import for_page
from minigpt.ui import door
from minigpt.ui.explore_panel import SHOWN_NAMES
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.fragment import Fragment, h
from minigpt.ui.handlers import Update
from minigpt.ui.view import PlotlyView, place
from minigpt.ui.wires import EACH, Parts, Wires

HOW = "Each row is a head. Click one to open it."
NOTHING = "The first token has nothing before it, so no head made it. Choose another token above."
SLID = "The heatmaps do not reach back to this token any more. Choose a later one above."


class RowsTab:
    """Every head on the chosen token."""

    name, title = "rows", "Every head on this token"
    outputs: tuple[str, ...] = ("rows_title", "rows_map")

    def __init__(self, exploring: Exploring) -> None:
        self._exploring = exploring

    def build(self) -> Parts:
        """A heading and a map."""
        return {
            "rows_title": Fragment(elem_id="rows-title"),
            "rows_map": PlotlyView(label="Every head on one token", elem_id="rows-map"),
        }

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """The row of the chosen token in every head."""
        query = exploration.query_of(selection.position)
        if query is None:
            return [[h("p", SLID if selection.position else NOTHING, cls="mg-note")], None]
        view = exploration.view
        token = h("code", for_page(view.tokens[query], 24))
        heading = h("b", "What every head gives to each token when “", token, f"” ({query + 1}) looks")
        figure = figures.every_head(view, query, (selection.layer, selection.head))
        return [[h("p", heading, h("span", HOW), cls="mg-sub")], figure]

    def wire(self, wires: Wires) -> None:
        """A click on a row opens its head."""
        wires.on("select rows_map", self.pick, "selection", SHOWN_NAMES, **EACH)

    def pick(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Open the head whose row was clicked."""
        cell = place(event, 10**6, 10**6)
        exploration, _ = door.shown(self._exploring.explorer.find, selection)
        n_heads = exploration.view.pattern.shape[1] if exploration else 1
        layer, head = divmod(cell[0], n_heads + 1) if cell else (-1, -1)
        return self._exploring.open_head(selection, layer, head)
