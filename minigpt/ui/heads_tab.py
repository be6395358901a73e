"""A tab of panel 4: every head in words, against chance, as a table."""

from typing import Any

from minigpt.heads import in_words
from minigpt.ui import words
from minigpt.ui.explorer import Exploration, Explorer, Selection
from minigpt.ui.fragment import Fragment, h
from minigpt.ui.wires import Parts, Wires


class HeadsTab:
    """What every head does."""

    name, title = "heads", "What each head does"
    outputs: tuple[str, ...] = ("heads_table",)

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer

    def build(self) -> Parts:
        """A table."""
        return {"heads_table": Fragment(elem_id="heads-table")}

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """A row a head."""
        found = self._explorer.diagnosis(exploration)
        if found is None:
            return [words.message("These heads cannot be scored.")]
        rows = [
            h("tr", h("th", f"{layer + 1}.{head + 1}", scope="row"), h("td", in_words(scored).caption))
            for layer, row in enumerate(found.scores)
            for head, scored in enumerate(row)
        ]
        return [[h("table", h("tbody", *rows), cls="mg-table")]]

    def wire(self, wires: Wires) -> None:
        """Nothing here answers."""
