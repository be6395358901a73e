"""The film of training, under the loss curve: a slider through its moments, the birth of heads, and panel 3 live."""

from typing import Any

import gradio as gr
import numpy as np

from minigpt import figures
from minigpt.figures.labels import for_page
from minigpt.film import MEASURES, Frame
from minigpt.heads import ROLES
from minigpt.runs import ACTIVE, Progress
from minigpt.ui import door, words
from minigpt.ui.explorer import FILM, Selection
from minigpt.ui.exploring import N_EXPLORE, Exploring
from minigpt.ui.fragment import Fragment, Node, h
from minigpt.ui.handlers import LIVE, Page, Update
from minigpt.ui.head_words import name_of
from minigpt.ui.view import PlotlyView
from minigpt.ui.wires import LAST, Parts, Wires

BIRTHS = "how well a head does one job, 0 to 1"
NOTHING = words.subtitle("Film of training", "begins with Train")


class Filming:
    """The handlers of the film. A page that nobody touches follows the newest moment, and its heads move."""

    outputs = ("film_title", "film", "film_note", "births")

    def __init__(self, page: Page, exploring: Exploring) -> None:
        self._page, self._runs, self._exploring = page, page.runs, exploring

    def build(self) -> Parts:
        """Slider and births, as wide as the curve above them."""
        with gr.Column():
            parts: Parts = {"film_title": Fragment(NOTHING, elem_id="film-title")}
            parts["film"] = gr.Slider(
                0, 1, 0, step=1, label="Film of training", show_label=False, interactive=False, elem_id="film",
                buttons=[],
            )  # fmt: skip
            parts["film_note"] = Fragment(elem_id="film-note")
        with gr.Column(elem_classes="mg-wide"):
            Fragment(words.subtitle("Birth of heads", BIRTHS))
            parts["births"] = PlotlyView(births({}, 1, ""), label="Birth of heads", elem_id="births")
        return parts

    def wire(self, wires: Wires, explored: tuple[str, ...], sampling: tuple[str, ...]) -> None:
        """Answer news of a run, and the slider."""
        asked = ("prompt", "selection", *sampling)
        at_work = {"concurrency_limit": 4, **LAST}
        wires.on("change news", self.tell, ("news", *asked), (*self.outputs, *explored), **at_work)
        wires.on("input film", self.scrub, ("film", "run", *asked), ("film_title", "film", *explored), **at_work)

    def tell(self, request: gr.Request, news: str, prompt: str, selection: Selection, *sampling: Any) -> list[Update]:
        """There is news of the run that the page follows: a new moment, or it has come to rest."""
        run, session = news.partition(" ")[0], request.session_hash or ""
        progress = door.shown(self._runs.progress, run)[0] if run else None
        if progress is None:
            gone: list[Update] = [NOTHING, gr.update(value=0, interactive=False), [], births({}, 1, "")]
            return [*gone, *[gr.skip()] * N_EXPLORE]
        film = self._runs.film(run)
        at = self._page.looks_at.get(session, LIVE)
        last, chosen = max(progress.n_steps, progress.step), at if isinstance(at, int) else None
        # A run whose model is damaged still has its film, but nobody knows of which tokens: it shows when heads began.
        names = door.shown(self._exploring.explorer.names, run, film)[0] or ()
        shown = [
            title(film, chosen),
            gr.update(maximum=last, interactive=bool(names), value=max(film, default=0) if chosen is None else chosen),
            note(film, progress, names),
            births(film, last, progress.settings.tokenizer),
        ]
        heads: list[Update] = [gr.skip()] * N_EXPLORE
        if progress.status in ACTIVE or self._runs.flying(run):
            if at == LIVE and film and self._may_move(run, selection):
                heads = self._exploring.film(request, run, None, selection)
        elif chosen is None:
            heads = self._exploring.arrive(request, run, prompt, selection, *sampling)
        # Somebody may have asked for something else meanwhile: what was asked for stays.
        if self._page.looks_at.get(session, LIVE) != at:
            shown[:2], heads = [gr.skip()] * 2, [gr.skip()] * N_EXPLORE
        return [*shown, *heads]

    def scrub(
        self, request: gr.Request, step: float, run: str, prompt: str, selection: Selection, *sampling: Any
    ) -> list[Update]:
        """The slider was moved: show the moment nearest to it. At its right end is the newest, and no film any more."""
        film = (door.shown(self._runs.film, run)[0] if run else None) or {}
        if not film:
            return [gr.skip()] * (2 + N_EXPLORE)
        session, chosen = request.session_hash or "", min(film, key=lambda known: abs(known - step))
        if chosen != max(film):
            self._page.looks_at[session] = chosen
            return [title(film, chosen), gr.skip(), *self._exploring.film(request, run, chosen, selection)]
        self._page.looks_at.pop(session, None)
        newest = [title(film, None), gr.update(value=chosen)]
        if self._runs.progress(run).status in ACTIVE:
            return [*newest, *self._exploring.film(request, run, None, selection)]
        return [*newest, *self._exploring.arrive(request, run, prompt, selection, *sampling)]

    def _may_move(self, run: str, selection: Selection) -> bool:
        """Whether nothing but the film of this run is on show: what a prompt has opened stays."""
        if not selection.key or selection.key.startswith(FILM):
            return True
        kept, _ = door.shown(self._exploring.explorer.find, selection)
        return kept is None or kept.run != run


def title(film: dict[int, Frame], chosen: int | None) -> list[Node]:
    """Heading of the slider; `chosen` is None for the newest."""
    if not film:
        return words.subtitle("Film of training", "this run has none yet")
    newest = max(film)
    step = newest if chosen is None else chosen
    return words.subtitle("Film of training", f"showing step {step:,}" + (", the newest" if step == newest else ""))


def note(film: dict[int, Frame], progress: Progress, names: tuple[str, ...]) -> list[Node]:
    """What the film holds, in one line, and its steps for the slider's keys."""
    if not film or not names:
        return []
    steps = ",".join(map(str, film))
    of = (" " if progress.settings.tokenizer == "word" else "").join(for_page(name, 24) for name in names)
    kept = f"{words.plural(len(film), 'moment')} from step {min(film):,} of "
    return [h("p", kept, h("code", of), cls="mg-film", title=kept + of, data_steps=steps)]


def births(film: dict[int, Frame], last_step: int, kind: str) -> Any:
    """The figure of the birth of heads; the jobs that count are those of the newest moment. kind: of the tokenizer."""
    frames, roles = list(film.values()), list(ROLES)
    names, columns = [name_of(role, kind) for role in roles], [MEASURES.index(role) for role in roles]
    if not frames:
        return figures.births([], np.empty((0, 0, 0, len(names))), np.zeros(len(names)), names, [], last_step)
    shares = np.stack([frame.measures[..., columns] for frame in frames])
    return figures.births(list(film), shares, frames[-1].chance[columns], names, frames[-1].jobs(), last_step)
