"""A tab of panel 4: every head as a row of a table, in words and in numbers, against chance."""

import math
import secrets
import time
from typing import Any

import gradio as gr
import numpy as np

from minigpt.diagnosis import Diagnosis
from minigpt.heads import ROLES, HeadScores
from minigpt.ui import door, head_words, words
from minigpt.ui.explore_panel import SHOWN_NAMES
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.fragment import Fragment, Node, h
from minigpt.ui.handlers import Update
from minigpt.ui.wires import EACH, LAST, QUIET, Parts, Wires

PATIENCE = 2.0  # seconds; what muting costs is measured unasked where that is done by then


class HeadsTab:
    """What every head does, and what muting it costs."""

    name, title = "heads", "What each head does"
    outputs: tuple[str, ...] = ("heads_note", "heads_measure", "heads_table")

    def __init__(self, exploring: Exploring) -> None:
        self._exploring, self._explorer = exploring, exploring.explorer

    def build(self) -> Parts:
        """A note and a button above a table."""
        with gr.Row(elem_id="heads-above"):
            note = Fragment(elem_id="heads-note")
            button = gr.Button("", size="sm", visible=False, elem_id="heads-measure")
        return {
            "heads_note": note,
            "heads_measure": button,
            "heads_table": Fragment(elem_id="heads-table"),
            "heads_asked": gr.State(("", 0)),
            "heads_measured": gr.State(""),
        }

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """A row a head, with the costs that are known, and a button where those that are not would take long."""
        diagnosis = self._explorer.diagnosis(exploration)
        left, n_heads = len(self._unknown(exploration)), math.prod(exploration.view.pattern.shape[:2])
        note = head_words.unscored(exploration.state.config)
        if diagnosis:
            note = f"{head_words.scored_on(diagnosis)} Small numbers: an even spread, which is chance."
        if left and left < n_heads:
            note += f" {n_heads - left} of {n_heads} heads muted so far."
        button: Update = gr.update(visible=False)
        if left and self._explorer.knows(exploration, ()) and not self._soon(exploration):
            about = words.duration(left * self._explorer.loss_seconds(exploration))
            button = gr.update(visible=True, value=f"Measure what muting each head costs, {about}")
        return [[h("p", note, cls="mg-note")], button, [self._table(exploration, diagnosis, selection)]]

    def empty(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """As high as `show` will be, with nothing measured."""
        note = head_words.unscored(exploration.state.config)
        return [[h("p", note, cls="mg-note")], gr.update(visible=False), [self._table(exploration, None, selection)]]

    def wire(self, wires: Wires) -> None:
        """A press on the name of a head opens it; costs that are missing are measured a few at a time."""
        wires.on("select heads_table", self.pick, "selection", SHOWN_NAMES, **EACH)
        measure = {"concurrency_limit": 2, **LAST}
        asked = wires.on("click heads_measure", self.ask, "selection", "heads_asked")
        begun = wires.named("selection heads_asked"), wires.named("heads_measured")
        asked.then(self.measure, *begun, **{**QUIET, "concurrency_limit": 2})
        wires.on("change heads_table", self.measure, "selection heads_asked", "heads_measured", **measure)
        wires.on("change heads_measured", self.refresh, "selection", self.outputs, **EACH)

    def pick(self, selection: Selection, event: gr.SelectData) -> list[Update]:
        """Open the head whose name was pressed."""
        exploration, _ = door.shown(self._explorer.find, selection)
        n_heads = exploration.view.pattern.shape[1] if exploration else 1
        layer, head = divmod(event.index, n_heads) if type(event.index) is int else (-1, -1)
        return self._exploring.open_head(selection, layer, head)

    def ask(self, selection: Selection) -> tuple[str, int]:
        """Measure this model's heads however long it takes."""
        exploration, _ = door.shown(self._explorer.find, selection)
        return (exploration.run, exploration.state.step) if exploration else ("", 0)

    def measure(self, selection: Selection, asked: tuple[str, int]) -> Update:
        """Mute heads for a moment, and tell that there is something new: the table then asks for the rest."""
        exploration, _ = door.shown(self._explorer.find, selection)
        if exploration is None or exploration.film_step is not None or not self._unknown(exploration):
            return gr.skip()
        new = not self._explorer.knows(exploration, ())
        self._explorer.loss_without(exploration)
        if self._soon(exploration) or tuple(asked) == (exploration.run, exploration.state.step):
            until, new = time.monotonic() + PATIENCE, True
            for head in self._unknown(exploration):
                self._explorer.loss_without(exploration, (head,))
                if time.monotonic() > until:
                    break
        return secrets.token_hex(4) if new else gr.skip()

    def refresh(self, selection: Selection) -> list[Update]:
        """The table of the model that is open by now."""
        exploration, _ = door.shown(self._explorer.find, selection)
        if exploration is None or exploration.film_step is not None:
            return [gr.skip()] * len(self.outputs)
        return self.show(exploration, selection)

    def _unknown(self, exploration: Exploration) -> list[tuple[int, int]]:
        shape = exploration.view.pattern.shape[:2]
        return [head for head in np.ndindex(*shape) if self._explorer.cost(exploration, head) is None]

    def _soon(self, exploration: Exploration) -> bool:
        """Whether all heads are muted before anybody loses patience."""
        n_heads = math.prod(exploration.view.pattern.shape[:2])
        return n_heads * self._explorer.loss_seconds(exploration) <= PATIENCE

    def _table(self, exploration: Exploration, diagnosis: Diagnosis | None, selection: Selection) -> Node:
        tokenizer = exploration.state.tokenizer
        names = [
            "Head",
            "Role",
            *(head_words.name_of(role, tokenizer.kind) for role in ROLES),
            "entropy",
            "Loss without it",
        ]
        headings = [h("th", h("button", name[:1].upper() + name[1:], type="button"), scope="col") for name in names]
        n_layers, n_heads = exploration.view.pattern.shape[:2]
        rows = []
        for place, (layer, head) in enumerate(np.ndindex(n_layers, n_heads)):
            chosen = (layer, head) == (selection.layer, selection.head)
            name = f"{layer + 1}.{head + 1}"
            opener = h(
                "button", name, type="button", data_index=str(place), aria_label=f"Open head {name}",
                **({"aria_current": "true"} if chosen else {}),
            )  # fmt: skip
            cells = [h("th", opener, scope="row", data_value=str(place + 1))]
            scored = diagnosis.scores[layer][head] if diagnosis else None
            cells += self._scores(scored, tokenizer) if scored else [h("td", "–")] * (len(ROLES) + 2)
            cells.append(_cost(self._explorer.cost(exploration, (layer, head))))
            rows.append(h("tr", *cells, data_place=str(place), **({"cls": "on"} if chosen else {})))
        shown = h("caption", "Every head of the model. Press a heading to sort by it, a head to open it.")
        table = h("table", shown, h("thead", h("tr", *headings)), h("tbody", *rows), cls="mg-table", data_sortable="")
        return h("div", table, cls="mg-scroll", tabindex="0", role="region", aria_label="Table of heads")

    def _scores(self, scored: HeadScores, tokenizer: Any) -> list[Node]:
        role = head_words.role(scored, tokenizer)
        # Sorted by what a role's share is, so that clear ones come first.
        share = max(
            (getattr(scored, name) for name in ROLES if head_words.name_of(name, tokenizer.kind) == role), default=0
        )
        cells = [h("td", role, data_value=f"{share:.6f}", **({"cls": "quiet"} if role in ("even", "unclear") else {}))]
        for name in ROLES:
            cells.append(_share(getattr(scored, name), getattr(scored.chance, name)))
        return [*cells, h("td", f"{scored.entropy:.2f}", data_value=f"{scored.entropy:.6f}", cls="n")]


def _share(value: float, chance: float) -> Node:
    """A share and what chance would give; nothing where no query has such a key."""
    if math.isnan(value):
        return h("td", "–", cls="n")
    return h("td", f"{value:.0%} ", h("small", f"{chance:.0%}"), data_value=f"{value:.6f}", cls="n")


def _cost(cost: float | None) -> Node:
    if cost is None:
        return h("td", "not measured", cls="n quiet")
    return h("td", f"{cost:+.3f}".replace("-", "−"), data_value=f"{cost:.6f}", cls="n")
