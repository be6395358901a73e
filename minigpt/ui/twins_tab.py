"""A tab of panel 4: the same model trained again without one part, beside the run at hand."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import gradio as gr

from minigpt import figures
from minigpt.breaks import PARTS, removable
from minigpt.runs import ACTIVE, Progress, UnknownRun
from minigpt.ui import door, twins_words, words
from minigpt.ui.explore_panel import SHOWN_NAMES
from minigpt.ui.explorer import Exploration, Selection
from minigpt.ui.exploring import Exploring
from minigpt.ui.fragment import Fragment
from minigpt.ui.handlers import HEARTBEAT_LOOKS, LOOK_SECONDS, Update, beside, progress_of
from minigpt.ui.twins import Losses, Twins, change
from minigpt.ui.view import PlotlyView
from minigpt.ui.wires import EACH, LAST, QUIET, Parts, Wires

# What the handlers fill, in this order.
MOVING = ("twins_train", "twins_stop", "twins_status", "twins_body", "twins_curves")
HEADS = ("twins_heads", "twins_title", "twins_change", "twins_missing", "twins_grid_title", "twins_grid",
         "twins_written")  # fmt: skip
FILLED = ("twins_without", "twins_follow", "twins_note", "twins_message", *MOVING, "twins_verdict", "twins_table",
          *HEADS)  # fmt: skip


class TwinsTab:
    """What happens without a part of the model."""

    name, title = "twins", "What happens without …"
    outputs: tuple[str, ...] = ("twins_seen",)

    def __init__(self, exploring: Exploring) -> None:
        self._exploring, self._explorer = exploring, exploring.explorer
        self._twins = Twins(self._explorer.runs)
        # Which twin each open page follows; one that follows another, or none, ends its generator.
        self._following: dict[str, object] = {}
        self._fresh = count()

    def build(self) -> Parts:
        """What to leave out, then curves, heads and continuations of both."""
        parts: Parts = {
            "twins_seen": gr.State(Selection()),
            "twins_follow": gr.State(""),
            # A state that a generator changes is no event, a textbox that it changes is one.
            "twins_done": gr.Textbox(visible="hidden", elem_id="twins-done", container=False),
        }
        with gr.Row(elem_id="twins-ask"):
            choices = [(twins_words.phrase(name), name) for name in PARTS]
            parts["twins_without"] = gr.Dropdown(
                choices, value=choices[0][1], label="Twin", filterable=False, elem_id="twins-without"
            )
            parts["twins_train"] = gr.Button("Train the twin", variant="primary", elem_id="twins-train")
            parts["twins_stop"] = gr.Button("Stop", interactive=False, elem_id="twins-stop")
        parts["twins_note"] = Fragment(elem_id="twins-note")
        parts["twins_status"] = Fragment(elem_id="twins-status")
        parts["twins_message"] = Fragment(elem_id="twins-message")
        with gr.Column(visible=False, elem_id="twins-body") as parts["twins_body"]:
            with gr.Column(elem_id="twins-losses"):
                parts["twins_verdict"] = Fragment(elem_id="twins-verdict")
                Fragment(words.subtitle("Loss of both", "nats a token, by step"))
                parts["twins_curves"] = PlotlyView(label="Loss of run and twin by step", elem_id="twins-curves")
                parts["twins_table"] = Fragment(elem_id="twins-table")
            with gr.Column(elem_id="twins-heads", visible=False) as parts["twins_heads"]:
                with gr.Column():
                    parts["twins_title"] = Fragment(elem_id="twins-title")
                    parts["twins_change"] = PlotlyView(label="Change of one head", elem_id="twins-change")
                    parts["twins_missing"] = Fragment(elem_id="twins-missing")
                with gr.Column():
                    parts["twins_grid_title"] = Fragment(elem_id="twins-grid-title")
                    parts["twins_grid"] = PlotlyView(label="Attention of all heads of the twin", elem_id="twins-grid")
            parts["twins_written"] = Fragment(elem_id="twins-written")
        return parts

    def show(self, exploration: Exploration, selection: Selection) -> list[Any]:
        """Only what is seen: which twin to set beside it, the tab's own components know."""
        return [selection]

    def wire(self, wires: Wires) -> None:
        """Train, stop, follow and compare."""
        asked = "selection twins_without"
        wires.on("change twins_seen twins_done", self.fill, asked, FILLED, **LAST)
        wires.on("input twins_without", self.fill, asked, FILLED, **LAST)
        wires.on("click twins_train", self.train, asked, "twins_message twins_follow", concurrency_limit=4)
        # Like the buttons of the run: it must not wait behind work.
        wires.on("click twins_stop", self.stop, asked, (), queue=False)
        follow = {"concurrency_limit": None, "trigger_mode": "multiple"}
        wires.on("change twins_follow", self.follow, "twins_follow selection", (*MOVING, "twins_done"), **follow)
        opened = wires.on("select twins_table", self.open, "selection", "twins_without")
        opened.then(self.fill, wires.named(asked), wires.named(FILLED), **QUIET)
        wires.on("select twins_grid", self._exploring.pick_head, "selection", SHOWN_NAMES, **EACH)

    def train(self, request: gr.Request, selection: Selection, without: str) -> list[Update]:
        """Start the twin, and follow it."""
        exploration, error = door.shown(self._explorer.find, selection)
        twin = None
        if exploration:
            twin, error = door.shown(self._twins.train, exploration, without, self._exploring.page.visitors.of(request))
        return [words.message(error, "err"), self._to_follow(twin) if twin else gr.skip()]

    def stop(self, selection: Selection, without: str) -> None:
        """Rest; what the twin has learned is kept."""
        exploration, _ = door.shown(self._explorer.find, selection)
        twin = self._twins.of(exploration.run).get(without) if exploration else None
        if twin:
            door.shown(self._twins.runs.stop, twin.run_id)

    def open(self, selection: Selection, event: gr.SelectData) -> Update:
        """Another twin, by its place in the table."""
        exploration, _ = door.shown(self._explorer.find, selection)
        rested = list(self._rested(exploration)) if exploration else []
        known = type(event.index) is int and 0 <= event.index < len(rested)
        return rested[event.index] if known else gr.skip()

    async def follow(self, followed: str, selection: Selection, request: gr.Request) -> AsyncIterator[list[Update]]:
        """Show a twin for as long as it trains and this page has it open."""
        session, mine = request.session_hash or "", object()
        twin, _, _ = followed.partition(" ")
        exploration, _ = await beside(door.shown, self._explorer.find, selection)
        if not twin or exploration is None:
            # A generator that yields nothing empties its components.
            yield [gr.skip()] * (len(MOVING) + 1)
            return
        self._following[session] = mine
        version, looks = -1, 0
        try:
            while self._following.get(session) is mine:
                runs = self._twins.runs
                progress = await progress_of(runs, twin)
                moving = progress.status in ACTIVE or runs.flying(twin)
                if progress.version != version:
                    version = progress.version
                    yield [*await beside(self._moving, exploration, progress), gr.skip()]
                elif not moving:
                    yield [*[gr.skip()] * len(MOVING), self._to_follow(twin)]
                    return
                elif (looks := looks + 1) % HEARTBEAT_LOOKS == 0:
                    yield [gr.skip()] * (len(MOVING) + 1)
                await asyncio.sleep(LOOK_SECONDS)
        except UnknownRun:
            return
        finally:
            if self._following.get(session) is mine:
                del self._following[session]

    def _to_follow(self, twin: str) -> str:
        """The name of a twin as news: no two are equal, so that a component that holds it changes."""
        return f"{twin} {next(self._fresh)}"

    def fill(self, selection: Selection, without: str, request: gr.Request) -> list[Update]:
        """Everything that shows a twin, as it stands now."""
        self._following.pop(request.session_hash or "", None)
        exploration, error = door.shown(self._explorer.find, selection)
        progress = None
        if exploration:
            progress, error = door.shown(self._twins.runs.progress, exploration.run)
        if exploration is None or progress is None:
            told = words.message(error, "warn")
            return [gr.skip() if name != "twins_message" else told for name in FILLED]
        choices = removable(exploration.state.config)
        without = without if without in choices else next(iter(choices), "")
        picked = gr.update(choices=[(twins_words.phrase(name), name) for name in choices], value=without)
        twin = self._twins.of(exploration.run).get(without)
        active = twin is not None and (twin.status in ACTIVE or self._twins.runs.flying(twin.run_id))
        rested = self._rested(exploration)
        known = exploration.state.history.references
        said: Any = []
        table: Any = []
        if rested:
            run = self._losses(exploration, exploration.run, exploration.state.step)
            table = twins_words.table(run, rested, without, known)
        if without in rested and twin and not active and not twin.failure:
            # At the last step that both have been measured at.
            run = self._losses(exploration, exploration.run, rested[without].step)
            said = twins_words.verdict(without, run, rested[without], known)
        return [
            picked,
            self._to_follow(twin.run_id) if twin and active else "",
            twins_words.note(without, progress.settings),
            twins_words.failure(twin) if twin else [],
            *self._moving(exploration, twin),
            said,
            table,
            *self._heads(exploration, selection, None if active else twin, without),
        ]

    def _losses(self, exploration: Exploration, run: str, until: int) -> Losses:
        state = exploration.state if run == exploration.run else self._twins.runs.state(run)
        return self._twins.losses(run, state, until)

    def _rested(self, exploration: Exploration) -> dict[str, Losses]:
        """The losses of the twins that are at rest, in the order in which they were trained."""
        found = self._twins.of(exploration.run).items()
        return {
            without: self._losses(exploration, twin.run_id, exploration.state.step)
            for without, twin in found
            if twin.status not in ACTIVE and twin.step and exploration.state.step
        }

    def _moving(self, exploration: Exploration, twin: Progress | None) -> list[Update]:
        """The buttons, how far the twin is, and its curves."""
        steps = exploration.state.step
        active = twin is not None and twin.status in ACTIVE
        open_end = twin is None or (not active and not twin.failure and twin.step < steps)
        return [
            gr.update(
                value="Train the twin on" if twin and open_end else "Train the twin",
                interactive=open_end,
                variant="primary" if open_end else "secondary",
            ),
            gr.update(interactive=active),
            twins_words.status(twin, steps),
            gr.update(visible=twin is not None),
            figures.twin_curves(exploration.state.history, twin.history, max(steps, twin.step)) if twin else None,
        ]

    def _heads(
        self, exploration: Exploration, selection: Selection, twin: Progress | None, without: str
    ) -> list[Update]:
        """What the twin's heads look at, against the run's, and how it continues the prompt."""
        if twin is None or not twin.step:
            return [gr.update(visible=False), [], None, [], [], None, []]
        state = self._twins.runs.state(twin.run_id)
        found = self._twins.compare(exploration, state, without)
        layer, head = selection.layer, selection.head
        name, causal = f"Layer {layer + 1} head {head + 1}", exploration.view.causal and found.view.causal
        changed = change(exploration.view, found.view, layer, head)
        figure = None
        if changed is not None:
            query = exploration.query_of(selection.position)
            figure = figures.difference(exploration.view.tokens, changed, causal, query)
        missing = twins_words.missing(exploration.view, found.view)
        title = words.subtitle(f"{name}, twin minus run", "violet more, gold less")
        return [
            gr.update(visible=True),
            title if figure else words.subtitle(f"{name} has no twin"),
            figure,
            words.message(missing),
            words.subtitle("All heads of the twin", f"at step {state.step:,}, click to open"),
            figures.heads_grid(found.view, None if changed is None else (layer, head)),
            twins_words.written(exploration.prompt, exploration.tokens, found.tokens, twins_words.phrase(without)),
        ]
