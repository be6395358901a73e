"""A tab of panel 4: switch heads off, and see what the model writes and expects without them, and with them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from minigpt import figures
from minigpt.config import GPTConfig
from minigpt.figures.labels import for_page
from minigpt.generation import GeneratedToken
from minigpt.ui import door, words
from minigpt.ui.continuation import continuation, told
from minigpt.ui.explore_panel import SHOWN_NAMES
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.exploring import NOTHING_BEFORE, Exploring
from minigpt.ui.fragment import WRITTEN, Fragment, Node, h
from minigpt.ui.view import PlotlyView
from minigpt.ui.wires import EACH, LAST, Parts, Wires

Heads = tuple[tuple[int, int], ...]

INVITATION = "Switch a head off to see what it was for."
MOST_NAMED = 6  # heads, before a count says more than their names
TIMES = ("before", "after")
COMPARED = tuple(f"switch_{what}_{time}" for what in ("writes", "same", "title", "next") for time in TIMES)
FILLED = ("switch_verdict", *COMPARED)


@dataclass(frozen=True)
class Switches:
    """Which heads of which model are off, each a (layer, head) from zero, in order."""

    run: str = ""
    step: int = 0
    heads: Heads = ()

    def of(self, exploration: Exploration) -> Heads:
        """Those that are off in this model: none if the switches were set for another run or step."""
        return self.heads if (self.run, self.step) == (exploration.run, exploration.state.step) else ()


def pressed(heads: Heads, index: int, config: GPTConfig) -> Heads | None:
    """The heads that are off after a press on a switch; None for an index that is no switch.

    Switches count row by row through the heads, then through the layers, then "Mute all" and "Unmute all". A layer
    with some heads on is switched off whole; one that is off, on.
    """
    every = [(layer, head) for layer in range(config.n_layers) for head in range(config.n_heads)]
    off, n = set(heads), len(every)
    if 0 <= index < n:
        off ^= {every[index]}
    elif n <= index < n + config.n_layers:
        layer = {head for head in every if head[0] == index - n}
        off = off - layer if layer <= off else off | layer
    elif index == n + config.n_layers:
        off = set(every)
    elif index == n + config.n_layers + 1:
        off = set()
    else:
        return None
    return tuple(sorted(off))


def board(heads: Heads, config: GPTConfig) -> list[Node]:
    """The switches: a row a layer, a button a head; one that is pressed is off."""
    n_layers, n_heads = config.n_layers, config.n_heads
    rows: list[Node] = []
    for layer in range(n_layers):
        n_off = sum(head[0] == layer for head in heads)
        state = "true" if n_off == n_heads else "mixed" if n_off else "false"
        name = f"All of layer {layer + 1}"
        rows.append(_switch(name, f"Mute all of layer {layer + 1}", n_layers * n_heads + layer, state, (layer, 0)))
        for head in range(n_heads):
            state = "true" if (layer, head) in heads else "false"
            name = f"{layer + 1}.{head + 1}"
            rows.append(_switch(name, f"Mute {name}", layer * n_heads + head, state, (layer, head + 1)))
    first = n_layers * (n_heads + 1)
    everything = [
        h("button", name, type="button", data_index=str(first + i), data_at=f"{n_layers} {i}")
        for i, name in enumerate(("Mute all", "Unmute all"))
    ]
    grid = h("div", *rows, cls="dense" if n_heads > 6 else "", style=f"--n:{n_heads}")
    label = "Heads to switch off"
    return [
        *words.subtitle("Heads", "click to switch off"),
        h("div", grid, h("p", *everything), cls="mg-switches", role="group", aria_label=label),
    ]


def _switch(name: str, label: str, index: int, state: str, at: tuple[int, int]) -> Node:
    place = {"data_index": str(index), "data_at": f"{at[0]} {at[1]}"}
    return h("button", name, type="button", aria_label=label, aria_pressed=state, **place)


def named(heads: Heads, config: GPTConfig) -> str:
    """`2.3`, `1.1 and 2.3`, `all of layer 2`, `all 8 heads`, `9 of 16 heads`."""
    n_all = config.n_layers * config.n_heads
    if len(heads) == n_all:
        return f"all {n_all} heads" if n_all > 1 else "the only head"
    names = []
    for layer in range(config.n_layers):
        off = [f"{i + 1}.{head + 1}" for i, head in heads if i == layer]
        names += [f"all of layer {layer + 1}"] if len(off) == config.n_heads > 1 else off
    if len(names) > MOST_NAMED:
        return f"{len(heads)} of {n_all} heads"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def verdict(heads: Heads, config: GPTConfig, before: float, after: float) -> str:
    """What the validation loss, in nats a token, says of muting these heads."""
    if not heads:
        return INVITATION
    said, more = f"Muted {named(heads, config)}.", after - before
    if not math.isfinite(more):
        return f"{said} The validation loss is no number here, so it cannot say what changed."
    if abs(more) < 0.005:
        others = len(heads) < config.n_layers * config.n_heads
        why = "Another head may do the same work." if others else "So far the model predicts as well without its heads."
        return f"{said} No difference: 0.00 nats. {why}"
    how = "worse" if more > 0 else "better"
    return f"{said} Validation loss {before:.2f} → {after:.2f}, {abs(more):.2f} nats {how}."


def writes(exploration: Exploration, tokens: Sequence[GeneratedToken]) -> list[Node]:
    """Prompt and continuation; the tokens that are not those of the exploration are marked."""
    first = [token.index for token in exploration.tokens]
    chips = [h("span", for_page(name, 40), cls="t in") for name in exploration.prompt]
    for i, token in enumerate(tokens):
        same = i < len(first) and token.index == first[i]
        chips.append(h("span", for_page(token.token, 40), cls="t" if same else "t new"))
    return [h("div", *chips, cls="mg-toks mg-written", **WRITTEN)]


class SwitchboardTab:
    """Any set of heads muted, and what that changes."""

    name, title = "switch", "Switch heads off"
    outputs: tuple[str, ...] = ("switch_for",)

    def __init__(self, exploring: Exploring) -> None:
        self._exploring, self._explorer = exploring, exploring.explorer

    def build(self) -> Parts:
        """The switches, and two of everything that may change, side by side."""
        parts: Parts = {"switch_for": gr.State(Selection()), "switch_off": gr.State(Switches())}
        with gr.Row(elem_id="switchboard"):
            parts["switch_board"] = Fragment(elem_id="switch-board")
            with gr.Column(elem_id="switch-results"):
                parts["switch_verdict"] = Fragment(elem_id="switch-verdict")
                with gr.Row(elem_id="switch-compared"):
                    for what in ("writes", "same"):
                        for time in TIMES:
                            parts[f"switch_{what}_{time}"] = Fragment(elem_id=f"switch-{what}-{time}")
                    for time in TIMES:
                        with gr.Column():
                            parts[f"switch_title_{time}"] = Fragment()
                            label = f"Probability of the next token, {time}"
                            parts[f"switch_next_{time}"] = PlotlyView(label=label, elem_id=f"switch-next-{time}")
        return parts

    def wire(self, wires: Wires) -> None:
        """Presses of switches are taken one by one, each at once; what they change is found for the last of them."""
        in_turn = {**EACH, "concurrency_id": "switches"}
        known = "switch_for switch_off"
        wires.on("select switch_board", self.press, known, "switch_off switch_board switch_verdict", **in_turn)
        wires.on("change switch_for", self.draw, known, "switch_board", **in_turn)
        wires.on("change switch_for switch_off", self.fill, known, FILLED, **LAST, concurrency_limit=4)
        picks = "select switch_same_before switch_same_after"
        wires.on(picks, self._exploring.pick_token, "selection", SHOWN_NAMES, **EACH)

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """What is explored; that it changed fills the rest, as a press of a switch does."""
        return [selection]

    def draw(self, selection: Selection, switches: Switches) -> Any:
        """The switches of the model that is explored."""
        exploration, _ = door.shown(self._explorer.find, selection)
        return board(switches.of(exploration), exploration.state.config) if exploration else gr.skip()

    def press(self, selection: Selection, switches: Switches, event: gr.SelectData) -> list[Any]:
        """Switch a head, a layer or everything."""
        exploration, error = door.shown(self._explorer.find, selection)
        if exploration is None:
            return [gr.skip(), gr.skip(), words.message(error, "warn")]
        config = exploration.state.config
        # It comes from the browser, and a browser can send anything.
        heads = pressed(switches.of(exploration), event.index, config) if type(event.index) is int else None
        if heads is None:
            return [gr.skip()] * 3
        return [Switches(exploration.run, exploration.state.step, heads), board(heads, config), gr.skip()]

    def fill(self, selection: Selection, switches: Switches) -> list[Any]:
        """Before and after: what the model writes, how it reads the same text, what could come next, and the loss."""
        exploration, error = door.shown(self._explorer.find, selection)
        if exploration is None:
            return [words.message(error, "warn"), *[gr.skip()] * len(COMPARED)]
        heads, config = switches.of(exploration), exploration.state.config
        losses = [self._explorer.loss_without(exploration, off) for off in ((), heads)]
        read = [exploration, exploration.without(heads)]
        written = exploration.written_without(heads)
        same = [token.index for token in written] == [token.index for token in exploration.tokens]
        changed = "the same continuation" if same else "new tokens underlined"
        names = ["Before: continuation", f"After: {changed}"]
        columns = [
            [
                [*words.subtitle(name, f"validation loss {loss:.2f}"), *writes(exploration, tokens)],
                _surprise(time, shown, selection),
                *_next(time, shown, selection.position),
            ]
            for time, name, loss, shown, tokens in zip(
                ("Before", "After"), names, losses, read, (exploration.tokens, written), strict=True
            )
        ]
        said = words.message(verdict(heads, config, *losses))
        return [said, *(update for pair in zip(*columns, strict=True) for update in pair)]


def _surprise(time: str, shown: Exploration, selection: Selection) -> list[Node]:
    chosen = replace(selection, colour="surprise")
    losses = -np.log(np.maximum(shown.probabilities, 1e-45))
    known = losses[~np.isnan(losses)]
    fact = f"{known.mean():.2f} nats a token here" if len(known) else ""
    return [*words.subtitle(f"{time}: surprise", fact), *continuation(shown, chosen), *told(shown, chosen)]


def _next(time: str, shown: Exploration, position: int) -> list[Any]:
    candidates, n_others = shown.candidates(position)
    if not position:
        return [NOTHING_BEFORE, None]
    title = words.subtitle(f"{time}: next token after", token=shown.names[position - 1])
    return [title, figures.next_token(candidates, n_others)]
