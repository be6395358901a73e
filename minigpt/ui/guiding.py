"""The guide as it is walked: what each of its buttons does, and what it makes the page do."""

import secrets
from dataclasses import replace
from typing import Any

import gradio as gr

from minigpt.breaks import BREAKS
from minigpt.corpora import Settings
from minigpt.runs import Progress
from minigpt.ui import door, lesson_words
from minigpt.ui.exploring import N_EXPLORE, Exploring
from minigpt.ui.guides import GUIDES, Place, placed
from minigpt.ui.handlers import Page, Update

# How many components `press` and `act` speak to; the layout lists them in the same order.
N_GUIDE = 4
N_ACT = 1 + 2 + N_EXPLORE


class Guiding:
    """The handlers of the guide. Where a reader stands is kept by the browser, which can send anything."""

    def __init__(self, page: Page, exploring: Exploring) -> None:
        self._page, self._exploring = page, exploring

    def arrive(self, kept: str, lesson: str) -> list[Update]:
        """A page opens, with the place that its browser remembers."""
        return [kept, self.offer(kept, lesson)]

    def offer(self, kept: str, lesson: str) -> Update:
        """For the lesson that is picked: the button that opens its guide."""
        return lesson_words.guide_offer(placed(kept), lesson)

    def open(self, kept: str, lesson: str, run: str) -> list[Update]:
        """Start the guide of the lesson that is picked, or go on where it was left."""
        place = placed(kept)
        return self._guided(place if place.lesson == lesson else Place(lesson), run)

    def refresh(self, kept: str, arrived: str, card: str) -> Update:
        """A run has come to rest: the card that waited for its numbers shows them, if it is open."""
        is_open = card not in ("", "[]", None)
        return lesson_words.guide(placed(kept), self._progress(arrived.partition(" ")[0])) if is_open else gr.skip()

    def press(self, kept: str, run: str, event: gr.SelectData) -> list[Update]:
        """A button of the guide was pressed."""
        place, pressed = placed(kept), event.index
        steps = GUIDES.get(place.lesson, ())
        if not steps or type(pressed) is not int:
            return [gr.skip()] * N_GUIDE
        step = steps[place.step]
        if pressed == lesson_words.CLOSE or (pressed == lesson_words.NEXT and place.step == len(steps) - 1):
            # Done is done: the next time it starts from the beginning. Closed in the middle, it goes on there.
            left = place if pressed == lesson_words.CLOSE else Place(place.lesson)
            return [[], left.kept(), lesson_words.guide_offer(left, left.lesson), gr.skip()]
        if pressed == lesson_words.DO and step.does:
            return [*self._guided(place, run)[:3], f"{step.does} {secrets.token_hex(4)}"]
        if pressed == lesson_words.BACK and place.step:
            return self._guided(Place(place.lesson, place.step - 1), run)
        if pressed == lesson_words.NEXT:
            return self._guided(Place(place.lesson, place.step + 1), run)
        chosen = pressed - lesson_words.ANSWER
        if step.question and place.answer is None and 0 <= chosen < len(step.question.options):
            return self._guided(replace(place, answer=chosen), run)
        return [gr.skip()] * N_GUIDE

    def act(
        self, request: gr.Request, asked: str, run: str, text: str, lesson: str, drawn_with: Settings, *rest: Any
    ) -> list[Update]:
        """Do what a step of the guide asked for: train, train with something broken, or show the promised place."""
        fields, sampling = rest[: len(door.Fields._fields)], rest[len(door.Fields._fields) :]
        verb, *names = asked.split()[:-1] or [""]
        nothing: list[Update] = [gr.skip()] * N_ACT
        if verb == "show":
            prompt, *explored = self._exploring.show_promise(request, run, *sampling)
            return [prompt, *nothing[:2], *explored]
        if verb != "train":
            return nothing
        planned = door.Fields(*fields)._replace(breaks=[BREAKS[name].title for name in names if name in BREAKS])
        started = self._page.begin(text, lesson, drawn_with, planned, None)
        running, message, explored, selection, title = started
        shown: list[Update] = [gr.skip()] * (N_EXPLORE - 3)
        return [gr.skip(), running, message, *shown, selection, explored, title]

    def _guided(self, place: Place, run: str) -> list[Update]:
        card = lesson_words.guide(place, self._progress(run))
        return [card, place.kept(), lesson_words.guide_offer(place, place.lesson), gr.skip()]

    def _progress(self, run: str) -> Progress | None:
        return door.shown(self._page.runs.progress, run)[0] if run else None
