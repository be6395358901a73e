"""Text and training: one handler for each event. It takes what the components hold, returns what they shall show.

Exploring has its own, in exploring.py, and so has the guide, in guiding.py.
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import gradio as gr

from minigpt import figures, limits
from minigpt.corpora import LESSONS, Settings
from minigpt.fitting import fitting
from minigpt.runs import ACTIVE, NICE, Progress, Runs, RunSettings, UnknownRun, warm_up, work
from minigpt.turns import Turn, Turns
from minigpt.ui import door, lesson_words, words
from minigpt.ui.explorer import Selection
from minigpt.ui.remembered import Remembered
from minigpt.ui.steering import buttons
from minigpt.ui.visitors import Visitors

LOOK_SECONDS = 0.1
LONG_TEXT = 100_000  # letters; to read fewer takes less than a tenth of a second
MOST_CLOSED = 1000
MOST_CURVES = 64
# A generator notices a closed page only when it yields.
HEARTBEAT_LOOKS = 200

Update = Any
T = TypeVar("T")

# What pressing Train or Step changes at once when the run at hand goes on: no message stays.
GOES_ON: list[Update] = [gr.skip(), [], gr.skip(), gr.skip(), gr.skip()]
NO_REFUSAL = ("", "")
LIVE = "live"


@cache
def _threads() -> anyio.CapacityLimiter:
    # As many as Gradio may have events: those of asyncio are few, and one that waits would hold up the pages of others.
    return anyio.CapacityLimiter(limits.EVENTS.most)


async def beside(function: Callable[..., T], *given: Any) -> T:
    """What a function returns, from a thread of its own: the event loop, and so all pages, go on meanwhile."""
    return await anyio.to_thread.run_sync(function, *given, limiter=_threads())


async def progress_of(runs: Runs, run: str) -> Progress:
    """The run as it stands; what must be read from the disk is read beside the event loop. Raises UnknownRun."""
    known = runs.at_hand(run)
    return known if known else await beside(runs.progress, run)


class Page:
    """What all visitors share: the runs, and how fast this machine is."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.speed: float | None = None  # floating-point operations a second, once a worker has been measured
        # Which run each open page follows; a page that has gone, or follows another, ends its generator.
        self._following: dict[str, object] = {}
        # What each open page looks at: a step of the film, or None where a person asked for a prompt, else the newest.
        self.looks_at: dict[str, int | str | None] = {}
        self._curves = Remembered(MOST_CURVES)  # Many pages may look at one run.
        self.visitors = Visitors(runs.folder if runs else None)
        # Texts are read in a place of their own: nothing short waits for one that is long.
        self.turns, self._reading = Turns(max(2, os.cpu_count() or 1)), Turns(1)
        self._closed: OrderedDict[str, None] = OrderedDict()  # pages that were, the newest last
        # Whether the person at each open page guesses first, as last set: an answer on its way may not know it yet.
        self.guesses: dict[str, bool] = {}

    def turn(self, request: gr.Request | None) -> AbstractContextManager[Turn]:
        """A place to work for whoever asks, as soon as nobody waits who has had less; see `Turns.turn`."""
        session = (request.session_hash if request else None) or ""
        self._closed.pop(session, None)  # It asks, so it is there again.
        return self.turns.turn(self.visitors.of(request), lambda: session not in self._closed)

    def parts(self, request: gr.Request | None, items: Iterable[T]) -> Iterator[list[T]]:
        """What takes long, for whoever asks, in parts of a second; see `Turns.parts`."""
        return self.turns.parts(self.visitors.of(request), items)

    def reading(self, request: gr.Request | None, text: str) -> AbstractContextManager[object]:
        """A place to read a text in; short ones need none."""
        long = len(text) > LONG_TEXT
        return self._reading.turn(self.visitors.of(request)) if long else contextlib.nullcontext()

    def seconds(self, plan: door.Plan, settings: RunSettings) -> float | None:
        """How long a run would take on an idle worker; None before one has been measured."""
        return work(plan.config, settings.applied()[1]) / self.speed if self.speed else None

    def warm_up(self) -> None:
        """Start the workers in the background, so that the first Train does not wait for imports, and let runs go on
        that an earlier server left at work.
        """

        def measure() -> None:
            if sys.platform == "linux":
                # There a thread has a niceness of its own, and the workers that it starts have it from their first
                # import on: the page, which opens at the same time, comes first.
                os.nice(NICE)
            with contextlib.suppress(RuntimeError):  # The server ends, or a worker died: the runs go on without.
                self.speed = warm_up(self.runs)
            self.runs.wake()

        threading.Thread(target=measure, daemon=True).start()

    # ---- panel 1: the text ----

    def pick_lesson(self, lesson: str | None, own: str, request: gr.Request) -> list[Update]:
        """Another lesson: its text, its model, its way to split it. One's own text is kept for the way back.

        The page lets go of the run it shows, which goes on: the way back to it is the browser's. None is no choice.
        """
        if lesson is None:
            return [gr.skip()] * (5 + len(door.Fields._fields) + 5)
        self._following.pop(request.session_hash or "", None)
        text = LESSONS[lesson].text if lesson in LESSONS else own
        preset, fields = door.usual(lesson)
        if lesson not in LESSONS:
            fields = fields._replace(tokenizer=door.LABELS[fitting(own).kind] if own else gr.skip())
        # The guide that is open would speak of what is not there any more.
        guide: list[Update] = []
        return [text, own, {}, words.look_for(lesson), preset, *fields, "", guide, *self._unexplored()]

    def pick_preset(self, preset: str | None, lesson: str) -> list[Update]:
        """Another size, with the steps it needs; how the text is split and what is broken stays. None is no choice."""
        if preset is None:
            return [gr.skip()] * len(door.Fields._fields)
        fields = door.preset_fields(preset, lesson)
        return list(
            fields._replace(
                tokenizer=gr.skip(),
                pieces=gr.skip(),
                breaks=gr.skip(),
                film_of=gr.skip(),
                held_share=gr.skip(),
                held_place=gr.skip(),
            )
        )

    def pick_tokenizer(self, tokenizer: str) -> Update:
        """Only pieces let one choose how many different ones there are."""
        return gr.update(visible=tokenizer == "pieces")

    def split_as(self, event: gr.SelectData) -> Update:
        """The other split that was offered for a text that words do not fit."""
        known = type(event.index) is int and 0 <= event.index < len(words.SPLITS)
        return words.SPLITS[event.index] if known else gr.skip()

    def own_text(
        self, text: str, cleared: str, fitted: str, lesson: str, drawn_with: Settings, preset: str, *fields: Any
    ) -> list[Update]:
        """Whose text is in the box: a text that is no lesson's is one's own, and is kept for the way back.

        A lesson's own model belongs to its text: another text gets the usual one, unless the settings were touched. A
        new text is split as fits it, unless somebody chose a split for the one before, which is `fitted`. What settings
        to change, from what to what, is told in JSON: what somebody changes meanwhile stays (`mgSettle` in box.js).
        Where this answer came after another lesson was picked, the one about that lesson's text puts all back.
        """
        clear = gr.update(value="Undo" if cleared and not text else "Clear")
        if not text or door.lesson_of(text, lesson, drawn_with) in LESSONS:
            return [clear, *[gr.skip()] * 6]
        known = () if lesson in LESSONS else (name for name in LESSONS if door.lesson_of(text, name, {}) == name)
        owner = next(iter(known), door.OWN_TEXT)
        asked, (_, usual) = door.Fields(*fields), door.usual(lesson)
        settled: dict[str, Any] = {}
        untouched = usual if lesson in LESSONS else usual._replace(tokenizer=asked.tokenizer)
        if owner != lesson and asked == untouched:
            size, own_fields = door.usual(owner)
            settled = {"preset": size, **own_fields._replace(tokenizer=asked.tokenizer)._asdict()}
        own = gr.skip() if owner in LESSONS else text
        before = usual.tokenizer if lesson in LESSONS or not fitted else door.LABELS[fitting(fitted).kind]
        if owner not in LESSONS and not door.is_edited(text, fitted) and asked.tokenizer == before:
            settled["tokenizer"] = door.LABELS[fitting(text).kind]
        settling = _settling({"preset": preset, **asked._asdict()}, settled)
        return [clear, owner, own, words.look_for(owner), [], own, settling]

    def show_knobs(self, lesson: str, drawn_with: Settings) -> list[Update]:
        """The settings of a lesson's text, in as many fields as it needs."""
        known = door.knobs(lesson, drawn_with)
        shown = [gr.update(label=label, value=value, visible=True) for label, value in known]
        return [gr.update(visible=bool(known)), *shown, *[gr.update(visible=False)] * (door.N_KNOBS - len(known)), []]

    def draw_anew(self, lesson: str, *typed: str) -> list[Update]:
        """The lesson's text, drawn with the settings that were typed."""
        if lesson not in LESSONS:
            return [gr.skip()] * 3
        settings, error = door.shown(door.knobs_of, lesson, typed)
        text = None
        if settings is not None:
            text, error = door.shown(lambda: door.drawn_text(lesson, settings))
        if text is None:
            return [gr.skip(), gr.skip(), words.message(error, "err")]
        return [text, settings, []]

    def clear_text(self, text: str, cleared: str) -> list[Update]:
        """Empties the box; a second press brings the text back."""
        if text:
            return ["", text, door.OWN_TEXT, words.look_for(door.OWN_TEXT)]
        return [cleared, "", door.OWN_TEXT, words.look_for(door.OWN_TEXT)]

    def describe(
        self,
        request: gr.Request,
        text: str,
        run: str,
        lesson: str,
        drawn_with: Settings,
        refused: tuple[str, str],
        examples: list[str],
        preset: str,
        *fields: Any,
    ) -> list[Update]:
        """What the text holds, what a run would use, and what pressing Train would do with it.

        refused: a text and why a file could not take its place, which is said while that text is at hand. Which prompts
        are offered now, and which were before, is told in JSON: whether one of them goes into the box is decided where
        somebody may be typing (`mgOffer` in box.js).
        """
        asked = door.Fields(*fields)
        size = door.size_name(preset, asked, lesson)
        used = gr.update(label=words.settings_label(size, asked.optimiser, asked.steps, asked.breaks))
        lesson = door.lesson_of(text, lesson, drawn_with)
        title = words.title("1", "Text", fold=True)
        planned: list[Update] = [gr.skip()] * 4
        settings, settings_error = door.shown(door.settings_of, asked, lesson, drawn_with)
        told = words.message(settings_error, "err")
        split = words.split_note(lesson, door.KINDS[asked.tokenizer], text or "")
        refusal = words.message(refused[1], "err") if refused[1] and refused[0] == text else []
        try:
            with self.reading(request, text or ""):
                reading = door.read(door.text_of(text), door.KINDS[asked.tokenizer], asked.pieces)
        except ValueError as error:
            problem = refusal or words.message(str(error), "err" if text else "note")
            return [title, split, [], [], problem, told, used, *planned, *[gr.skip()] * 4]
        if settings and not run:
            plan = door.plan(reading, settings)
            planned = [
                words.title("2", "Train", words.shape(plan.config, plan.n_params)),
                figures.loss_curve(plan.history),
                words.not_trained(self.seconds(plan, settings)),
                lesson_words.floor_note(settings, plan.history),
            ]
        ids = reading.ids.tolist()
        tokens = (reading.tokenizer.token(index) for index in ids)
        picks = list(door.offered(reading, lesson))
        return [
            words.title("1", "Text", words.plural(len(ids), "token"), fold=True),
            split,
            words.facts(reading.text, reading.tokenizer, len(ids)),
            words.preview(tokens),
            refusal,
            told,
            used,
            *([gr.skip()] * len(planned) if self._follows(request) else planned),
            words.examples(picks),
            picks,
            json.dumps([examples, picks]),
            gr.update(placeholder=door.film_of(reading, settings)) if settings else gr.skip(),
        ]

    async def estimate(self, request: gr.Request, text: str, lesson: str, drawn_with: Settings, *fields: Any) -> Update:
        """On a page that has just opened: how long Train will take, as soon as that is known."""
        settings = door.settings_of(door.Fields(*fields), lesson, drawn_with)
        plan = door.plan(door.read(door.text_of(text), settings.tokenizer, settings.bpe_vocab), settings)
        for _ in range(600):
            if self.speed:
                break
            await asyncio.sleep(LOOK_SECONDS)
        followed = dict(request.query_params).get("run") or self._follows(request)
        return gr.skip() if followed else words.not_trained(self.seconds(plan, settings))

    # ---- panel 2: training ----

    def train(
        self, request: gr.Request, run: str, text: str, lesson: str, drawn_with: Settings, *fields: Any
    ) -> list[Update]:
        """Start a run, or go on with one that is paused; one that is on its way already goes on."""
        status = self._status(run)
        if status == "paused":
            self.runs.resume(run)
        if status in (*ACTIVE, "paused"):
            return GOES_ON
        return self.begin(request, text, lesson, drawn_with, fields, None)

    def step(
        self, request: gr.Request, run: str, text: str, lesson: str, drawn_with: Settings, *fields: Any
    ) -> list[Update]:
        """One step, of the run at hand or of a new one."""
        if self._status(run) is None:
            return self.begin(request, text, lesson, drawn_with, fields, 1)
        self.runs.step(run)
        return GOES_ON

    def pause(self, run: str) -> None:
        """Rest; nothing is lost."""
        door.shown(self.runs.pause, run)

    def stop(self, run: str) -> None:
        """Rest for good."""
        door.shown(self.runs.stop, run)

    def look(self, run: str, at: int | str | None = LIVE) -> list[Update]:
        """Everything on the page that shows a run, as the run stands now; `at` is in `looks_at`."""
        progress = self.runs.progress(run)
        moving = progress.status in ACTIVE or self.runs.flying(run)

        def curve() -> str:
            return str(figures.loss_curve(progress.history, at if isinstance(at, int) else None).to_json())

        return [
            words.title("2", "Train", words.shape(progress.config, progress.n_params)),
            *buttons(progress),
            words.status(progress),
            words.run_message(progress),
            self._curves.once((run, progress.version, at), curve),
            lesson_words.lesson_notes(progress),
            words.sample(progress),
            words.empty(words.READY_TO_EXPLORE),
            gr.skip() if moving or not progress.step else f"{run} {progress.status}",
            f"{run} {progress.step} {'moving' if moving else progress.status}",
        ]

    async def follow(self, run: str, request: gr.Request) -> AsyncIterator[list[Update]]:
        """Show a run for as long as the page is open and follows it: one list of updates for each change.

        Nothing else shows a run: the answer of a button could arrive after news that it does not know of.
        """
        session, mine = request.session_hash or "", object()
        if run:
            self._following[session] = mine
            self.looks_at.pop(session, None)
        seen, looks = None, 0
        if not run and session not in self._following:
            # What a plan shows, `describe` has drawn; what only a run has goes.
            drawn = gr.skip()
            yield [drawn, *buttons(None), drawn, [], drawn, drawn, [], words.empty(words.NOTHING_TO_EXPLORE), "", ""]
        while run and self._following.get(session) is mine:
            try:
                progress = await progress_of(self.runs, run)
            except UnknownRun:
                break
            if seen != (now := (progress.version, self.looks_at.get(session, LIVE))):
                seen = now
                yield await beside(self.look, run, now[1])  # A curve takes a while; others go on.
            elif (looks := looks + 1) % HEARTBEAT_LOOKS == 0:
                yield [gr.skip()] * N_LOOK
            await asyncio.sleep(LOOK_SECONDS)

    def _follows(self, request: gr.Request) -> bool:
        return (request.session_hash or "") in self._following

    def leave(self, request: gr.Request) -> None:
        """A page was closed; its run goes on."""
        session = request.session_hash or ""
        for kept in (self.looks_at, self._following, self.guesses):
            kept.pop(session, None)
        self._closed[session] = None
        while len(self._closed) > MOST_CLOSED:
            self._closed.popitem(last=False)

    def open_page(self, request: gr.Request) -> list[Update]:
        """A page opens: with `?run=` in its address it finds that run, its text and its settings again."""
        run = dict(request.query_params).get("run", "") if request else ""
        if not run:
            return [gr.skip()] * N_OPEN
        try:
            progress = self.runs.progress(run)
        except UnknownRun as error:
            return [*[gr.skip()] * (N_OPEN - 1), words.message(str(error), "warn")]
        settings = progress.settings
        lesson = settings.lesson if settings.lesson in LESSONS else door.OWN_TEXT
        text = door.shown(self.runs.text, run)[0] or ""  # Where it is gone, the notes of the run say so.
        own = "" if lesson in LESSONS else text
        fields = door.fields_of(settings)
        if lesson_words.keeps_a_secret(settings):
            fields = fields._replace(breaks=[])
        size = door.size_of(fields, settings.lesson)
        found = [run, lesson, settings.drawn_with, text, own, own, words.look_for(lesson), size]
        # With the run, because its heads are shown as soon as it is here, over whatever prompt there is.
        return [*found, *fields, self._first_prompt(text, lesson, fields), []]

    def _first_prompt(self, text: str, lesson: str, fields: door.Fields) -> Update:
        if lesson in LESSONS:
            return LESSONS[lesson].prompts[0]
        reading, _ = door.shown(door.read, text, door.KINDS[fields.tokenizer], fields.pieces)
        return next(iter(door.offered(reading, "")), gr.skip()) if reading else gr.skip()

    def _status(self, run: str) -> str | None:
        progress = door.shown(self.runs.progress, run)[0] if run else None
        return progress.status if progress else None

    def begin(
        self,
        request: gr.Request | None,
        text: str,
        lesson: str,
        drawn_with: Settings,
        fields: tuple[Any, ...],
        steps: int | None,
    ) -> list[Update]:
        """Start a run to its planned end, or for so many steps; or say why that cannot be."""
        lesson = door.lesson_of(text, lesson, drawn_with)
        asked = drawn_with if lesson in LESSONS else {}
        settings, error = door.shown(door.settings_of, door.Fields(*fields), lesson, asked)
        run = None
        if settings:
            run, error = door.shown(lambda: self.start(request, door.text_of(text), settings, steps))
        if run is None:
            return [gr.skip(), words.message(error, "err"), *[gr.skip()] * 3]
        return [run, [], *self._unexplored()]

    def start(self, request: gr.Request | None, text: str, settings: RunSettings, steps: int | None = None) -> str:
        """Start a run that is the visitor's; ValueError, in the reader's words, where it cannot be."""
        with self.reading(request, text):
            return self.runs.start(text, settings, steps, self.visitors.of(request))

    def _unexplored(self) -> list[Update]:
        """What panel 3 shows is of an earlier model: it goes."""
        return [gr.update(visible=False), Selection(), words.title("3", "Explore")]


# How many components `look` and `open_page` speak to; the layout lists them in the same order.
N_LOOK = 13
N_OPEN = 27


def _settling(asked: dict[str, Any], settled: dict[str, Any]) -> str:
    """Which settings an answer changes, from what to what, for the browser; they are named as on the page."""
    return json.dumps({name: [asked[name], value] for name, value in settled.items()})
