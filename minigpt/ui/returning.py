"""A page that comes back: after a lost connection, or loaded anew, it is handed what it was, as its browser kept it."""

import json
from dataclasses import asdict, replace
from typing import Any

import gradio as gr

from minigpt.ui import door
from minigpt.ui.explorer import COLOURS, FILM, SHOWS, Game, Selection
from minigpt.ui.exploring import N_EXPLORE, Exploring
from minigpt.ui.handlers import Page, Update

# What a person types or picks, by the names of the layout; `drawn_with`, `own` and the selection come beside it.
TYPED = ("text", "lesson", "preset", *door.Fields._fields, "prompt", "length", "temperature", "top_k", "top_p",
         "sampling_seed")  # fmt: skip
N_RETURN = len(TYPED) + 5 + N_EXPLORE


class Returning:
    """Its handlers. What a browser kept can be anything: what is no such thing is left as it is."""

    def __init__(self, page: Page, exploring: Exploring) -> None:
        self._page, self._exploring = page, exploring

    def mirror(self, selection: Selection, drawn_with: dict[str, Any]) -> str:
        """What only the server knows of a page, for its browser to keep: enough to write again what is shown."""
        told: dict[str, Any] = {"selection": asdict(selection), "drawn_with": drawn_with}
        shown, _ = door.shown(self._exploring.explorer.find, selection)
        if shown is not None and shown.film_step is None:
            told |= {"prompt": shown.asked, "sampling": door.sampling_fields(shown.sampling)}
        return json.dumps(told)

    def come_back(self, kept: str, run: str, request: gr.Request) -> list[Update]:
        """Everything that the page was: what was typed, if it was loaded anew, and what it looked at."""
        known = _object(kept)
        typed, mirror = _object(known.get("typed")), _object(known.get("mirror"))
        back = [typed.get(name, gr.skip()) for name in TYPED]
        drawn_with = mirror.get("drawn_with")
        back.append(drawn_with if isinstance(drawn_with, dict) else gr.skip())
        back += [known[name] if isinstance(known.get(name), str) else gr.skip() for name in ("own", "cleared")]
        back.append(typed["text"] if isinstance(typed.get("text"), str) else gr.skip())
        explored: list[Update] = [gr.skip()] * N_EXPLORE
        selection, guesses = _selection(mirror.get("selection")), gr.skip()
        if selection and run and known.get("run") == run:
            guesses = self._page.guesses.setdefault(request.session_hash or "", selection.game.on)
            selection = replace(selection, game=replace(selection.game, on=guesses))
            explored = self._explored(request, run, selection, mirror)
        return [*back, guesses, *explored]

    def _explored(self, request: gr.Request, run: str, selection: Selection, mirror: dict[str, Any]) -> list[Update]:
        session = request.session_hash or ""
        if selection.key.startswith(FILM):
            of, *step = selection.key.removeprefix(FILM).split()
            if of == run and step and step[0].isdecimal():
                self._page.looks_at[session] = int(step[0])
            at = int(step[0]) if step and step[0].isdecimal() else None
            shown = self._exploring.film(request, run, at, selection)
            return shown if of == run else [gr.skip()] * N_EXPLORE
        self._page.looks_at[session] = None
        exploration, _ = door.shown(self._exploring.explorer.find, selection)
        if exploration is not None and exploration.run == run:
            tokens, heads = self._exploring.token(exploration, selection), self._exploring.heads(exploration, selection)
            return [[], *tokens, *heads, selection, gr.update(visible=True), gr.skip()]
        # The server is another one: what was written is written again, from the same seed.
        prompt, sampling = mirror.get("prompt"), mirror.get("sampling")
        if not (isinstance(prompt, str) and isinstance(sampling, list)):
            return [gr.skip()] * N_EXPLORE
        shown = self._exploring.generate(request, run, prompt, selection, *sampling)
        fresh = shown[-3]
        if not isinstance(fresh, Selection):
            return shown
        found, _ = door.shown(self._exploring.explorer.find, fresh)
        if found is None or not 0 <= selection.position <= len(found.ids):
            return shown
        there = replace(fresh, position=selection.position)
        tokens, heads = self._exploring.token(found, there), self._exploring.heads(found, there)
        return [shown[0], *tokens, *heads, there, *shown[-2:]]


def _object(text: object) -> dict[str, Any]:
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except (ValueError, RecursionError):
            return {}
    return text if isinstance(text, dict) else {}


def _selection(value: object) -> Selection | None:
    """A selection as `mirror` told it; None where it shows nothing, or is none."""
    known = _object(value)
    key, colour, shows = (known.get(name) for name in ("key", "colour", "shows"))
    at = [number for name in ("layer", "head", "position") if type(number := known.get(name)) is int and number >= 0]
    if not (isinstance(key, str) and key and len(at) == 3):
        return None
    if colour not in COLOURS or shows not in SHOWS:
        return None
    game = Game(on=bool(_object(known.get("game")).get("on")))
    return Selection(key, at[0], at[1], at[2], colour, shows, game, picked=bool(known.get("picked")))
