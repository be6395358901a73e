"""Panel 4: looks into the model that take room of their own, a tab each. Only the tab that is open is ever computed."""

from collections.abc import Sequence
from typing import Any, Protocol

import gradio as gr

from minigpt.ui import door, guessing, words
from minigpt.ui.explorer import Exploration, Explorer, Selection
from minigpt.ui.fragment import Fragment
from minigpt.ui.heads_tab import HeadsTab
from minigpt.ui.wires import LAST, QUIET, Parts, Wires

GUESSING = "Guess first keeps the answer covered. Guess the token, or switch it off, to look deeper."
FILM = "The film holds heatmaps and next tokens, not the model. Press Generate to look deeper at the newest."


class Tab(Protocol):
    """One look into the model. `wire` connects events of its own components; names of components begin with the tab's.

    outputs: the components that `show` fills, in its order.
    """

    name: str
    title: str
    outputs: tuple[str, ...]

    def build(self) -> Parts:
        """Make the components, by name."""

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """What they show of an exploration."""

    def wire(self, wires: Wires) -> None:
        """Answer events of these components."""


class Deeper:
    """The panel: its tabs, and the handler that fills the one that is open."""

    def __init__(self, explorer: Explorer, tabs: Sequence[Tab]) -> None:
        self._explorer, self.tabs = explorer, {tab.name: tab for tab in tabs}

    def build(self) -> Parts:
        """The panel with all tabs; it appears with the first exploration."""
        parts: Parts = {"open_tab": gr.State(next(iter(self.tabs)))}
        with gr.Column(elem_id="p-deeper", elem_classes="mg-panel", visible=False) as parts["deeper"]:
            parts["deeper_title"] = Fragment(words.title("4", "Look deeper"))
            parts["deeper_message"] = Fragment(elem_id="deeper-message")
            with gr.Tabs(elem_id="deeper-tabs"):
                for tab in self.tabs.values():
                    with gr.Tab(tab.title, id=tab.name, elem_id=f"tab-{tab.name}") as parts[f"tab_{tab.name}"]:
                        parts |= tab.build()
        return parts

    def wire(self, wires: Wires) -> None:
        """Fill the open tab when it is opened, and when what is explored changes."""
        outputs = ("deeper", "deeper_message", *(name for tab in self.tabs.values() for name in tab.outputs))
        for name, tab in self.tabs.items():
            opened = wires.on(f"select tab_{name}", lambda name=name: name, (), "open_tab")
            opened.then(self.show, wires.named("selection open_tab"), wires.named(outputs), **QUIET)
            tab.wire(wires)
        wires.on("change selection", self.show, "selection open_tab", outputs, **LAST)

    def show(self, selection: Selection, open_tab: str) -> list[Any]:
        """What the panel shows of a selection: nothing before one, and in the open tab only."""
        exploration = door.shown(self._explorer.find, selection)[0] if selection.key else None
        told = words.message(closed(exploration, selection)) if exploration else []
        updates: list[Any] = [gr.update(visible=exploration is not None), told]
        for name, tab in self.tabs.items():
            shown: list[Any]
            if exploration is None or name != open_tab:
                shown = [gr.skip()] * len(tab.outputs)
            elif told:  # In a frame what is hidden keeps its room, so that the page does not grow when the run ends.
                shown = [gr.skip()] * len(tab.outputs)
                if exploration.film_step is not None and isinstance(tab, HeadsTab):
                    shown = tab.empty(exploration, selection)
            else:
                shown = tab.show(exploration, selection)
            assert len(shown) == len(tab.outputs), name
            updates += shown
        return updates


def closed(exploration: Exploration, selection: Selection) -> str:
    """Why no tab is shown, "" where they are; the style sheet hides them behind what is said here."""
    if exploration.film_step is not None:
        return FILM
    return GUESSING if guessing.asks(exploration, selection) else ""
